// nxagent's log, as it comes through a pipe from a desktop's program: lines are the same wherever
// the pieces end, and bounded.
#include <cstdint>
#include <cstdlib>

#include "runtime/agent/output.h"
#include "runtime/session/nx_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  // The first byte says how long the pieces are.
  const std::size_t piece = std::size_t{data[0]} + 1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  panal::agent::LineCutter whole;
  const auto lines = whole.feed(text);
  panal::agent::LineCutter parts;
  std::vector<std::string> again;
  for (std::size_t at = 0; at < text.size(); at += piece)
    for (auto& line : parts.feed(text.substr(at, piece))) again.push_back(std::move(line));
  if (lines != again) std::abort();
  for (const auto& line : lines) {
    if (line.size() > 4096 || line.find('\n') != std::string::npos) std::abort();
    static_cast<void>(panal::session::parse_nx_log(line));
    if (const auto heir = panal::session::parse_heir(line); heir && *heir <= 1) std::abort();
  }
  return 0;
}

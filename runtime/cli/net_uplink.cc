#include "runtime/cli/net_uplink.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/netpolicy/uplink_words.h"

namespace panal::cli {
namespace {

/// nft(8) and iptables(8) of the host may be slow; panald gives each 20 s.
constexpr std::chrono::seconds kUplinkTimeout{60};
constexpr std::size_t kLongestRow = 4096;

/// A script, but for the namespace's name.
std::string uplink_script(const netpolicy::UplinkWords& words, const config::Config& config) {
  std::string out;
  if (words.kind != "none") out += fmt::format("# <panal>: {}\n", config.net_namespace_file());
  for (const std::string& line : words.lines) {
    std::size_t begin = 0;
    while (begin <= line.size()) {
      const auto end = std::min(line.find('\n', begin), line.size());
      out += printable(std::string_view(line).substr(begin, end - begin), kLongestRow) + "\n";
      begin = end + 1;
    }
  }
  return out;
}

Result<netpolicy::UplinkWords> words_of_panald(const Shell& shell) {
  PANAL_ASSIGN(const auto answer,
               shell.backends.ask_node(shell.config, {{"op", "net_uplink"}}, kUplinkTimeout));
  return netpolicy::parse_uplink_words(answer);
}

bool panald_is_absent(const Error& error) {
  return error.code == ECONNREFUSED || error.code == ENOENT;
}

}  // namespace

ExitCode net_uplink(Shell& shell, const NetUplinkOptions& options) {
  auto words = options.dry_run ? shell.backends.uplink(shell.config) : words_of_panald(shell);
  if (!words && !options.dry_run && panald_is_absent(words.error()))
    words = shell.backends.uplink(shell.config);
  if (!words && words.error().code == EPERM)
    return shell.refuse(ExitCode::kNotAllowed,
                        "looking at the host's network needs root: run it with sudo");
  if (!words) return shell.told(words.error());
  if (options.json)
    shell.print(netpolicy::to_json(*words));
  else
    shell.out << uplink_script(*words, shell.config);
  return ExitCode::kOk;
}

std::string uplink_at_start_plan(const Shell& shell) {
  if (shell.config.uplink == "none") return {};
  const std::string name = fmt::format("uplink {} by {}", shell.config.uplink,
                                       printable(shell.config.uplink_device, 64));
  const auto words = shell.backends.uplink(shell.config);
  if (words)
    return fmt::format("panald would make the {}:\n{}", name, uplink_script(*words, shell.config));
  if (words.error().code == EPERM)
    return fmt::format("panald would make the {}; with sudo this shows how\n", name);
  return fmt::format("panald could not make the {}: {}\n", name,
                     printable(sentence_of(words.error()), 1000));
}

}  // namespace panal::cli

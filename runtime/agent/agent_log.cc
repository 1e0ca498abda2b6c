#include "runtime/agent/agent_log.h"

#include <unistd.h>

#include <vector>

#include "engine/base/log.h"

namespace panal::agent {

void log_line(std::string_view event,
              std::initializer_list<std::pair<std::string_view, std::string>> fields) {
  std::string line = "panal-agent event=";
  line.append(event);
  for (const auto& [key, value] : fields) {
    line.append(" ").append(key).append("=").append(printable(value, 512));
  }
  line.push_back('\n');
  // Nothing to do about a log that cannot be written.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

void Tail::append(std::string_view text) {
  if (text.size() > limit_) text.remove_prefix(text.size() - limit_);
  text_.append(text);
  if (text_.size() > limit_) text_.erase(0, text_.size() - limit_);
}

std::string Tail::last_lines(int lines) const {
  std::vector<std::string_view> found;
  std::string_view rest = text_;
  while (!rest.empty() && static_cast<int>(found.size()) < lines) {
    const std::size_t cut = rest.rfind('\n');
    const std::string_view line = cut == std::string_view::npos ? rest : rest.substr(cut + 1);
    // A line that begins with blanks explains the one above it (GDK's advice to programmers).
    if (!line.empty() && !line.starts_with("  ")) found.push_back(line);
    rest = cut == std::string_view::npos ? std::string_view{} : rest.substr(0, cut);
  }
  std::string out;
  for (auto line = found.rbegin(); line != found.rend(); ++line) {
    if (!out.empty()) out.append(" | ");
    out.append(printable(*line, 200));
  }
  return out;
}

}  // namespace panal::agent

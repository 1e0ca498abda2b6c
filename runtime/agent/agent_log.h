#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace panal::agent {

/// One line `event=<name> key=value ...` on stderr. The agent's own, because panal::Logger's
/// thread and tables would cost more memory than the whole agent. Values are escaped.
void log_line(std::string_view event,
              std::initializer_list<std::pair<std::string_view, std::string>> fields = {});

/// The last bytes of what somebody printed, for "why did it end".
class Tail {
 public:
  explicit Tail(std::size_t limit_bytes) : limit_(limit_bytes) {}
  void append(std::string_view text);
  /// The last `lines` lines, joined by " | ", printable. Continuations (they begin with two blanks)
  /// are left out.
  [[nodiscard]] std::string last_lines(int lines) const;
  void clear() { text_.clear(); }

 private:
  std::size_t limit_;
  std::string text_;
};

}  // namespace panal::agent

#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/base/result.h"

namespace panal {

/// Level by consequence: error = a request failed, warning = degraded, info = a state changed,
/// debug = everything else.
enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Structured log lines, `event=<name> key=value ...`, passed to whoever needs one.
///
/// Writing never blocks the caller: lines go through a bounded queue whose oldest entry is dropped
/// when it is full (a daemon that waits for its log under memory pressure is a dead one).
/// Control characters in values are escaped: values may come from a hostile desktop.
/// Thread-safe.
class Logger {
 public:
  using Field = std::pair<std::string_view, std::string>;

  /// Logs to stderr under a program name.
  [[nodiscard]] static std::shared_ptr<Logger> to_stderr(std::string program, LogLevel least);
  /// For tests: keeps nothing.
  [[nodiscard]] static std::shared_ptr<Logger> silent();

  virtual ~Logger() = default;
  virtual void write(LogLevel level, std::string_view event,
                     std::initializer_list<Field> fields) = 0;

  void debug(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(LogLevel::kDebug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(LogLevel::kInfo, event, fields);
  }
  void warning(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(LogLevel::kWarning, event, fields);
  }
  void error(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(LogLevel::kError, event, fields);
  }
};

using LoggerPtr = std::shared_ptr<Logger>;

/// `text` with control characters and non-UTF-8 bytes as \xNN, cut to `limit_bytes`.
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit_bytes = 1024);
/// Whether all of `text` is well-formed UTF-8; control characters are.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace panal

#include "runtime/broker/parent_log.h"

#include <unistd.h>

#include <array>
#include <ctime>

namespace panal::broker {

void ParentLog::write(LogLevel level, std::string_view event, std::initializer_list<Field> fields) {
  static constexpr std::array<const char*, 4> kNames = {"debug", "info", "warning", "error"};
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::localtime_r(&now.tv_sec, &parts);
  char time[40];
  const std::size_t size = ::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S%z", &parts);
  std::string line(time, size);
  line.append(" ").append(kNames[static_cast<std::size_t>(level)]);
  line.append(" panal-broker event=").append(event);
  for (const auto& [key, value] : fields) {
    const std::string safe = printable(value);
    const bool quote = safe.empty() || safe.find_first_of(" \"=") != std::string::npos;
    line.append(" ").append(key).append(quote ? "=\"" : "=").append(safe).append(quote ? "\"" : "");
  }
  line += '\n';
  // Nobody can be told that the log is full.
  [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace panal::broker

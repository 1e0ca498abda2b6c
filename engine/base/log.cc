#include "engine/base/log.h"

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace panal {
namespace {

constexpr std::size_t kQueueLines = 8192;

class SpdLogger final : public Logger {
 public:
  SpdLogger(const std::string& program, LogLevel least)
      : pool_(std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1)),
        logger_(std::make_shared<spdlog::async_logger>(
            program, std::make_shared<spdlog::sinks::stderr_sink_mt>(), pool_,
            spdlog::async_overflow_policy::overrun_oldest)) {
    logger_->set_level(to_spdlog(least));
    logger_->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %n %v");
    logger_->flush_on(spdlog::level::info);
  }

  void write(LogLevel level, std::string_view event, std::initializer_list<Field> fields) override {
    std::string line = fmt::format("event={}", event);
    for (const auto& [key, value] : fields) {
      const std::string safe = printable(value);
      const bool quote = safe.empty() || safe.find_first_of(" \"=") != std::string::npos;
      line += quote ? fmt::format(" {}=\"{}\"", key, safe) : fmt::format(" {}={}", key, safe);
    }
    logger_->log(to_spdlog(level), line);
  }

 private:
  static spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
      case LogLevel::kDebug: return spdlog::level::debug;
      case LogLevel::kInfo: return spdlog::level::info;
      case LogLevel::kWarning: return spdlog::level::warn;
      case LogLevel::kError: return spdlog::level::err;
    }
    return spdlog::level::err;
  }

  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

class SilentLogger final : public Logger {
 public:
  void write(LogLevel, std::string_view, std::initializer_list<Field>) override {}
};

}  // namespace

LoggerPtr Logger::to_stderr(std::string program, LogLevel least) {
  return std::make_shared<SpdLogger>(program, least);
}

LoggerPtr Logger::silent() { return std::make_shared<SilentLogger>(); }

}  // namespace panal

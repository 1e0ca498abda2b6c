#include "runtime/cli/supervisor/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "runtime/cli/supervisor/pid_file.h"
#include "runtime/store/child.h"

namespace panal::supervisor {
namespace {

constexpr std::uint64_t kLogBytes = std::uint64_t{8} << 20U;
constexpr std::chrono::seconds kHealthy{10};  ///< alive so long: its trouble is over

/// Reaps a child of ours and says how it ended; adopted ones are somebody else's to reap.
std::string reap(const Pidfd& process) {
  siginfo_t info{};
  if (waitid(P_PIDFD, static_cast<id_t>(process.fd()), &info, WEXITED | WNOHANG) != 0) {
    return "unknown, it was adopted";
  }
  if (info.si_code == CLD_EXITED) return fmt::format("exit code {}", info.si_status);
  return fmt::format("signal {}", info.si_status);
}

}  // namespace

Result<void> rotate_log(const std::string& file, std::uint64_t limit_bytes) {
  struct stat status{};
  if (stat(file.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno("stat", file);
  }
  if (static_cast<std::uint64_t>(status.st_size) <= limit_bytes) return {};
  if (rename(file.c_str(), (file + ".1").c_str()) != 0) return fail_errno("rename", file);
  return {};
}

Supervisor::Supervisor(std::string directory, UniqueFd lock, std::vector<Service> services,
                       LoggerPtr log)
    : directory_(std::move(directory)), lock_(std::move(lock)), log_(std::move(log)) {
  for (auto& service : services) {
    Kept kept;
    kept.service = std::move(service);
    services_.push_back(std::move(kept));
  }
}

Result<Supervisor> Supervisor::open(const std::string& directory, std::vector<Service> services,
                                    LoggerPtr log) {
  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return fail_errno("make directory", directory);
  }
  UniqueFd lock(::open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock) return fail_errno("open", directory + "/lock");
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return fail(EBUSY, "another supervisor runs (" + directory + "/lock)");
    return fail_errno("lock", directory + "/lock");
  }
  PANAL_ASSIGN(const auto self, identify(getpid()));
  PANAL_TRY(write_pid_file(directory + "/supervisor.pid", self));
  return Supervisor(directory, std::move(lock), std::move(services), std::move(log));
}

std::string Supervisor::file(const Kept& kept, const char* ending) const {
  return directory_ + "/" + kept.service.name + ending;
}

Result<Pidfd> Supervisor::launch(const Kept& kept) const {
  PANAL_ASSIGN(const auto program, kept.service.program());
  if (access(program.argv.front().c_str(), X_OK) != 0) {
    return fail_errno("start", program.argv.front());
  }
  PANAL_TRY(rotate_log(program.log_file, kLogBytes));
  const UniqueFd log(
      ::open(program.log_file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  if (!log) return fail_errno("open", program.log_file);
  PANAL_ASSIGN(auto process, store::spawn(program, log));
  // A child that is gone already is seen by the loop; its pid file would name nobody.
  if (const auto identity = identify(process.pid())) {
    PANAL_TRY(write_pid_file(file(kept, ".pid"), *identity));
  }
  return process;
}

void Supervisor::postpone(Kept& kept, const std::string& why, Clock::time_point now) {
  const auto ran = kept.process ? now - kept.started : Clock::duration::zero();
  const auto pause =
      kept.backoff.after_death(std::chrono::duration_cast<std::chrono::milliseconds>(ran));
  kept.start_at = now + pause;
  std::ofstream(file(kept, ".trouble")) << kept.backoff.deaths() << " " << why << "\n";
  log_->warning("service_trouble", {{"service", kept.service.name},
                                    {"why", why},
                                    {"in_a_row", std::to_string(kept.backoff.deaths())},
                                    {"again_in_ms", std::to_string(pause.count())}});
}

void Supervisor::start(Kept& kept, Clock::time_point now) {
  auto recorded = open_recorded(file(kept, ".pid"));
  if (recorded && *recorded) {
    kept.process = std::move(**recorded);
    log_->info("service_adopted",
               {{"service", kept.service.name}, {"pid", std::to_string(kept.process->pid())}});
  } else {
    auto launched = launch(kept);
    if (!launched) return postpone(kept, launched.error().message(), now);
    kept.process = std::move(*launched);
    log_->info("service_started",
               {{"service", kept.service.name}, {"pid", std::to_string(kept.process->pid())}});
  }
  kept.started = now;
}

void Supervisor::died(Kept& kept, Clock::time_point now) {
  const std::string how = reap(*kept.process);
  postpone(kept, how, now);
  kept.process.reset();
  unlink(file(kept, ".pid").c_str());
}

Supervisor::Clock::time_point Supervisor::advance(Clock::time_point now) {
  auto next = Clock::time_point::max();
  for (auto& kept : services_) {
    if (!kept.process && kept.start_at <= now) start(kept, now);
    if (!kept.process) {
      next = std::min(next, kept.start_at);
    } else if (kept.backoff.deaths() != 0) {
      if (now - kept.started >= kHealthy)
        unlink(file(kept, ".trouble").c_str());
      else
        next = std::min(next, kept.started + kHealthy);
    }
    if (kept.passed) continue;
    if (!kept.process) break;  // later services need this one
    if (kept.service.ready && kept.start_at <= now) {
      const auto ready = kept.service.ready(*kept.process);
      if (!ready)
        postpone(kept, ready.error().message(), Clock::now());
      else
        kept.passed = true;
    } else if (!kept.service.ready) {
      kept.passed = true;
    }
    if (!kept.passed) {
      next = std::min(next, kept.start_at);
      break;
    }
  }
  return next;
}

Result<void> Supervisor::run(int stop_fd) {
  while (true) {
    const auto next = advance(Clock::now());
    std::vector<pollfd> waits{{stop_fd, POLLIN, 0}};
    std::vector<Kept*> whose{nullptr};
    for (auto& kept : services_) {
      if (!kept.process) continue;
      waits.push_back({kept.process->fd(), POLLIN, 0});
      whose.push_back(&kept);
    }
    int timeout = -1;
    if (next != Clock::time_point::max()) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now()).count() + 1;
      timeout = static_cast<int>(std::clamp<long long>(left, 0, 60'000));
    }
    const int got = poll(waits.data(), waits.size(), timeout);
    if (got < 0 && errno != EINTR) return fail_errno("poll");
    if (got <= 0) continue;
    if (waits[0].revents != 0) {
      log_->info("supervisor_stops", {{"services", "left running"}});
      unlink((directory_ + "/supervisor.pid").c_str());
      return {};
    }
    for (std::size_t i = 1; i < waits.size(); ++i) {
      if (waits[i].revents != 0) died(*whose[i], Clock::now());
    }
  }
}

}  // namespace panal::supervisor

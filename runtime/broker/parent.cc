#include "runtime/broker/parent.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include "engine/base/process_marks.h"
#include "runtime/broker/archive_door.h"
#include "runtime/broker/certificate.h"
#include "runtime/broker/identity.h"
#include "runtime/broker/listener.h"
#include "runtime/broker/parent_log.h"
#include "runtime/broker/tls_stream.h"
#include "runtime/broker/worker.h"
#include "runtime/config/endpoint.h"

namespace panal::broker {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kShortLife{10000};
constexpr milliseconds kFirstPause{500};
constexpr milliseconds kLongestPause{30000};
constexpr milliseconds kGrace{5000};

struct Slot {
  pid_t pid = -1;
  UniqueFd channel;
  SteadyClock::time_point started{};
  SteadyClock::time_point due{};  ///< when to start it again
  milliseconds pause{0};
};

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, number);
  return set;
}

class Parent {
 public:
  Parent(const config::Config& config, Identity identity, Certificate certificate,
         UniqueFd listener, UniqueFd metrics, PublishedArchive archive, UniqueFd marks)
      : config_(config),
        identity_(std::move(identity)),
        certificate_(std::move(certificate)),
        listener_(std::move(listener)),
        metrics_(std::move(metrics)),
        archive_(std::move(archive)),
        marks_(std::move(marks)) {}

  Result<void> run(std::size_t workers) {
    const sigset_t set = handled_signals();
    sigprocmask(SIG_BLOCK, &set, &before_);
    slots_.resize(workers);
    for (;;) {
      const auto now = SteadyClock::now();
      milliseconds wait{3600000};
      for (auto& slot : slots_) {
        if (slot.pid > 0) continue;
        if (slot.due <= now)
          PANAL_TRY(start(slot));
        else
          wait = std::min(wait, std::chrono::ceil<milliseconds>(slot.due - now));
      }
      const timespec timeout{wait.count() / 1000, (wait.count() % 1000) * 1000000};
      const int number = sigtimedwait(&set, nullptr, &timeout);
      if (number == SIGTERM || number == SIGINT) break;
      if (number == SIGHUP) reload();
      reap();
    }
    stop();
    return {};
  }

 private:
  Result<void> start(Slot& slot) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      return fail_errno("make a socket pair for a worker");
    }
    slot.channel = UniqueFd(pair[0]);
    UniqueFd theirs(pair[1]);
    const pid_t pid = ::fork();
    if (pid < 0) {
      log_.error("fork_failed", {{"reason", fail_errno("fork").value().message()}});
      slot.due = SteadyClock::now() + kFirstPause;
      return {};
    }
    if (pid == 0) {
      // The others' channels must end with the parent, not with their siblings.
      slots_.clear();
      ::_exit(be_worker(std::move(theirs)));
    }
    slot.pid = pid;
    slot.started = SteadyClock::now();
    return {};
  }

  int be_worker(UniqueFd channel) {
    // First of all: the parent may be killed at any time, and `panal down` looks for us then.
    if (marks_)
      if (const auto marked = mark_this_process(marks_.get()); !marked)
        log_.error("worker_not_marked", {{"reason", marked.error().message()}});
    sigprocmask(SIG_SETMASK, &before_, nullptr);
    if (const auto become = identity_.assume(); !become) {
      log_.error("worker_failed", {{"reason", become.error().message()}});
      return 1;
    }
    return run_worker({config_, std::move(certificate_), std::move(listener_), std::move(channel),
                       std::move(metrics_), std::move(archive_)});
  }

  void reap() {
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      for (auto& slot : slots_) {
        if (slot.pid != pid) continue;
        const auto now = SteadyClock::now();
        const bool brief = now - slot.started < kShortLife;
        slot.pause =
            brief ? std::clamp(slot.pause * 2, kFirstPause, kLongestPause) : milliseconds{0};
        slot.due = now + slot.pause;
        slot.pid = -1;
        slot.channel.reset();
        log_.error("worker_died",
                   {{"pid", std::to_string(pid)},
                    {"signal", std::to_string(WIFSIGNALED(status) ? WTERMSIG(status) : 0)},
                    {"exit", std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 0)},
                    {"again_in_ms", std::to_string(slot.pause.count())}});
      }
    }
  }

  void reload() {
    auto fresh = read_certificate(config_);
    if (!fresh) {
      log_.error("reload_failed", {{"reason", fresh.error().message()}});
      return;
    }
    certificate_ = std::move(*fresh);
    const std::string message = encode_certificate(certificate_);
    for (auto& slot : slots_) {
      if (slot.pid > 0 && ::send(slot.channel.get(), message.data(), message.size(),
                                 MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        log_.error("reload_failed", {{"reason", fail_errno("tell a worker").value().message()}});
      }
    }
    log_.info("reloaded");
  }

  void stop() {
    for (const auto& slot : slots_) {
      if (slot.pid > 0) ::kill(slot.pid, SIGTERM);
    }
    const auto end = SteadyClock::now() + kGrace;
    const sigset_t set = handled_signals();
    const auto alive = [this] {
      return std::any_of(slots_.begin(), slots_.end(),
                         [](const Slot& slot) { return slot.pid > 0; });
    };
    while (alive()) {
      if (SteadyClock::now() >= end) {
        for (const auto& slot : slots_) {
          if (slot.pid > 0) ::kill(slot.pid, SIGKILL);
        }
      }
      const timespec timeout{0, 200000000};
      sigtimedwait(&set, nullptr, &timeout);
      for (auto& slot : slots_) {
        if (slot.pid > 0 && ::waitpid(slot.pid, nullptr, WNOHANG) == slot.pid) slot.pid = -1;
      }
    }
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }

  friend Result<void> panal::broker::run_parent(const config::Config&);
  static Result<Certificate> read_certificate(const config::Config& config) {
    const bool own = config.tls_certificate.empty() && config.tls_key.empty();
    if (!own && (config.tls_certificate.empty() || config.tls_key.empty())) {
      return fail(EINVAL, "configuration: tls_certificate and tls_key go together");
    }
    const std::string folder = config.state_dir + "/tls/";
    PANAL_ASSIGN(Certificate out,
                 load_certificate(own ? folder + "cert.pem" : config.tls_certificate,
                                  own ? folder + "key.pem" : config.tls_key, own));
    PANAL_TRY(TlsContext::create(out.certificate, out.key));
    if (encode_certificate(out).size() > kCertificateMessageBytes) {
      return fail(EFBIG, "the TLS certificate's chain is longer than 128 KiB");
    }
    return out;
  }

  config::Config config_;
  Identity identity_;
  Certificate certificate_;
  UniqueFd listener_;
  UniqueFd metrics_;
  PublishedArchive archive_;
  UniqueFd marks_;  ///< of the workers; not valid: they are not marked
  ParentLog log_;
  sigset_t before_{};
  std::vector<Slot> slots_;
};

std::size_t cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

/// Not valid: nobody asked for it, or it cannot be had: users are let in all the same.
UniqueFd listen_for_scrapers(const config::Config& config) {
  if (config.metrics_listen.empty()) return {};
  const auto endpoint = config::parse_endpoint(config.metrics_listen);
  auto listener = endpoint ? listen_on(endpoint->address, endpoint->port)
                           : Result<UniqueFd>(tl::make_unexpected(endpoint.error()));
  if (!listener) {
    ParentLog().error("metrics_not_served", {{"reason", listener.error().message()}});
    return {};
  }
  ParentLog().info("metrics_served", {{"address", bound_address(listener->get())}});
  return std::move(*listener);
}

/// Empty: there is none, or it cannot be had: users are let in all the same.
PublishedArchive publish_archive(const config::Config& config) {
  auto archive = open_published_archive(config);
  if (!archive) {
    ParentLog().error("archive_not_served", {{"reason", archive.error().message()}});
    return {};
  }
  if (archive->directory) ParentLog().info("archive_served", {{"directory", config.archive_dir}});
  return std::move(*archive);
}

/// Not valid: there is no run directory here that can be written to, and nobody to look into it.
UniqueFd open_marks(const config::Config& config) {
  auto marks = open_process_marks(config.broker_workers_file());
  if (marks) return std::move(*marks);
  ParentLog().error("workers_not_marked", {{"reason", marks.error().message()}});
  return {};
}

}  // namespace

Result<void> run_parent(const config::Config& config) {
  PANAL_ASSIGN(Identity identity, find_identity(config.broker_user));
  PANAL_ASSIGN(Certificate certificate, Parent::read_certificate(config));
  PANAL_ASSIGN(UniqueFd listener, listen_on(config.listen_address, config.port));
  const std::size_t workers = config.broker_workers == 0 ? cores() : config.broker_workers;
  ParentLog().info("broker_listens", {{"address", bound_address(listener.get())},
                                      {"workers", std::to_string(workers)}});
  return Parent(config, std::move(identity), std::move(certificate), std::move(listener),
                listen_for_scrapers(config), publish_archive(config), open_marks(config))
      .run(workers);
}

}  // namespace panal::broker

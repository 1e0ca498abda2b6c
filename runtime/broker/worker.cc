#include "runtime/broker/worker.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "runtime/broker/auth/password.h"
#include "runtime/broker/control_node.h"
#include "runtime/broker/http_session.h"
#include "runtime/broker/metrics_door.h"
#include "runtime/broker/services.h"
#include "runtime/broker/tls_stream.h"

namespace panal::broker {
namespace {

constexpr int kAcceptsATurn = 16;
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::chrono::milliseconds kFarewell{2000};
// A dead client (no route, power off) is noticed within a minute or so, and its session suspended.
constexpr int kKeepIdleSeconds = 30;
constexpr int kKeepIntervalSeconds = 10;
constexpr int kKeepProbes = 3;
constexpr int kUserTimeoutMs = 60000;

void set_option(int fd, int level, int name, int value) {
  // Best effort: a connection without one of these still works.
  ::setsockopt(fd, level, name, &value, sizeof value);
}

void tune(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdleSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepIntervalSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepProbes);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
}

std::string address_text(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text,
                sizeof text);
  } else {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text,
                sizeof text);
  }
  // An IPv4 client on a socket for both: one name for it, whatever it came through.
  const std::string out = text;
  return out.starts_with("::ffff:") ? out.substr(7) : out;
}

/// Two descriptors a tunnel, some for everything else.
std::size_t most_connections() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t usable = limit.rlim_cur > 256 ? limit.rlim_cur - 128 : 128;
  return static_cast<std::size_t>(usable / 2);
}

class Worker {
 public:
  Worker(WorkerSetup setup, LoggerPtr log, std::shared_ptr<TlsContext> tls, std::string dummy_hash)
      : log_(std::move(log)),
        tls_(std::move(tls)),
        most_(most_connections()),
        directory_(loop_, factory(setup.config), log_),
        watch_(loop_, factory(setup.config), log_),
        node_(make_control_node(loop_, setup.config.node_socket(), Timing{}.attach)),
        authenticator_(loop_, directory_, log_, options(std::move(dummy_hash))),
        archive_(std::move(setup.archive)),
        services_{loop_, log_, authenticator_, directory_, watch_, *node_, registry_},
        listener_(std::make_unique<loop::Descriptor>(loop_, std::move(setup.listener))),
        parent_(std::make_unique<loop::Descriptor>(loop_, std::move(setup.parent))),
        accept_timer_(loop_),
        farewell_(loop_),
        signals_(loop_, {SIGTERM, SIGINT}, [this](int) { end(); }) {
    services_.archive = &archive_;
    if (setup.metrics)
      metrics_ = std::make_unique<MetricsDoor>(services_, std::move(setup.metrics));
  }

  void run() {
    wait_accept();
    wait_parent();
    loop_.run();
  }

 private:
  static StoreFactory factory(const config::Config& config) {
    return [conninfo = config.database_conninfo(store::kBrokerRole)] {
      return store::Store::connect(conninfo);
    };
  }

  static Authenticator::Options options(std::string dummy_hash) {
    Authenticator::Options out;
    out.dummy_hash = std::move(dummy_hash);
    return out;
  }

  void wait_accept() {
    if (listener_) listener_->wait(loop::Ready::kReadable, [this] { accept(); });
  }

  void accept() {
    for (int i = 0; listener_ && i < kAcceptsATurn; ++i) {
      if (registry_.count() >= most_) return pause("connections");
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      UniqueFd fd(::accept4(listener_->fd(), reinterpret_cast<sockaddr*>(&address), &size,
                            SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
          return pause("descriptors");
        }
        if (errno == EAGAIN) break;
        continue;  // the client has gone again: ECONNABORTED and its relatives
      }
      tune(fd.get());
      auto stream = tls_->accept(loop_, std::move(fd));
      if (!stream) {
        log_->error("tls_failed", {{"reason", stream.error().message()}});
        continue;
      }
      serve_http(services_, std::move(*stream), address_text(address));
    }
    wait_accept();
  }

  void pause(const std::string& of) {
    log_->warning("accept_paused",
                  {{"short_of", of}, {"connections", std::to_string(registry_.count())}});
    accept_timer_.start(kAcceptPause, [this] { wait_accept(); });
  }

  void wait_parent() {
    parent_->wait(loop::Ready::kReadable, [this] { hear_parent(); });
  }

  void hear_parent() {
    std::string message(kCertificateMessageBytes, '\0');
    const ssize_t got = ::recv(parent_->fd(), message.data(), message.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return wait_parent();
    if (got <= 0) {
      log_->warning("parent_gone", {{"connections", std::to_string(registry_.count())}});
      // The port that clients use last: who gets it gets the other as well.
      metrics_.reset();
      listener_.reset();
      return drain();
    }
    message.resize(static_cast<std::size_t>(got));
    const auto certificate = decode_certificate(message);
    auto fresh = certificate ? TlsContext::create(certificate->certificate, certificate->key)
                             : tl::make_unexpected(certificate.error());
    if (fresh) {
      tls_ = std::move(*fresh);  // connections keep the one they began with
      log_->info("certificate_reloaded");
    } else {
      log_->error("certificate_refused", {{"reason", fresh.error().message()}});
    }
    wait_parent();
  }

  /// A new parent may already serve this port; what is open here goes on.
  void drain() {
    if (registry_.count() == 0) return loop_.stop();
    farewell_.start(std::chrono::seconds(1), [this] { drain(); });
  }

  void end() {
    metrics_.reset();
    listener_.reset();
    log_->info("worker_ends", {{"connections", std::to_string(registry_.count())}});
    registry_.close_all();
    farewell_.start(kFarewell, [this] { loop_.stop(); });
    // The rows of the sessions that end now are queued before this, in two rounds.
    const auto nothing = [](store::Store&) { return Result<void>{}; };
    directory_.call<void>(nothing, [this, nothing](const Result<void>&) {
      directory_.call<void>(nothing, [this](const Result<void>&) { loop_.stop(); });
    });
  }

  loop::Loop loop_;
  LoggerPtr log_;
  std::shared_ptr<TlsContext> tls_;
  const std::size_t most_;
  Registry registry_;
  Directory directory_;
  DesktopWatch watch_;
  std::unique_ptr<NodePort> node_;
  Authenticator authenticator_;
  ArchiveDoor archive_;
  Services services_;
  std::unique_ptr<loop::Descriptor> listener_;
  std::unique_ptr<MetricsDoor> metrics_;
  std::unique_ptr<loop::Descriptor> parent_;
  loop::Timer accept_timer_;
  loop::Timer farewell_;
  loop::Signals signals_;
};

}  // namespace

std::string encode_certificate(const Certificate& certificate) {
  return certificate.certificate + '\0' + certificate.key;
}

Result<Certificate> decode_certificate(std::string_view message) {
  const auto middle = message.find('\0');
  if (middle == std::string_view::npos) return fail(EPROTO, "read a certificate message");
  return Certificate{std::string(message.substr(0, middle)),
                     std::string(message.substr(middle + 1))};
}

int run_worker(WorkerSetup setup) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  // One password check takes 19 MiB: left to itself malloc would keep that for good.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  const LoggerPtr log = Logger::to_stderr("panal-broker", LogLevel::kInfo);
  auto tls = TlsContext::create(setup.certificate.certificate, setup.certificate.key);
  // Its own salt, and the same work as a real one: an unknown user must not be told by the clock.
  const auto random = auth::random_bytes(32);
  const auto dummy = random ? auth::hash_password(*random) : tl::make_unexpected(random.error());
  if (!tls || !dummy) {
    log->error("worker_failed",
               {{"reason", tls ? dummy.error().message() : tls.error().message()}});
    return 1;
  }
  log->info("worker_ready", {{"pid", std::to_string(::getpid())}});
  Worker(std::move(setup), log, std::move(*tls), *dummy).run();
  return 0;
}

}  // namespace panal::broker

#include "bench/density/watched_session.h"

#include <fcntl.h>
#include <unistd.h>

#include "bench/density/stopwatch.h"
#include "runtime/client/pump.h"

namespace panal::bench {
namespace {

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

}  // namespace

Session::Session(client::Broker broker, client::NxProxy proxy, std::string early,
                 UniqueFd stop_read, UniqueFd stop_write)
    : broker_(std::move(broker)),
      proxy_(std::move(proxy)),
      stop_write_(std::move(stop_write)),
      thread_([this, early = std::move(early), stop = std::move(stop_read)] {
        (void)client::pump(broker_.connection(), proxy_.stream(), early, stop.get());
      }) {}

Session::~Session() {
  if (::write(stop_write_.get(), "s", 1) != 1) stop_write_.reset();
  thread_.join();
}

Result<Opened> open_session(const BenchNode& node, const Account& account, const Display* screen) {
  client::Target target;
  target.host = "127.0.0.1";
  target.port = node.config().port;
  target.login = account.login;
  target.password = kBenchPassword;
  target.pin_file = node.known_servers();
  const auto failed = [](const client::ClientError& error) {
    return fail(EPROTO, "connect: " + error.sentence);
  };
  Opened out;
  const auto silent = [](const std::string&) {};
  const auto dialled = Clock::now();
  auto broker = client::open_broker(target, silent);
  if (!broker) return failed(broker.error());
  out.times.handshake = ms_since(dialled);
  const auto asked = Clock::now();
  auto tunnel = broker->connect(account.id,
                                {{"qvd.client.os", "linux"},
                                 {"qvd.client.link", "lan"},
                                 {"qvd.client.fullscreen", "0"},
                                 {"qvd.client.keyboard", "pc105/us"},
                                 {"qvd.client.geometry", "1000x700"}},
                                silent);
  if (!tunnel) return failed(tunnel.error());
  out.times.accepted = ms_since(asked);
  auto proxy = client::NxProxy::start({.cookie = tunnel->cookie}, std::chrono::seconds(20));
  if (!proxy) return tl::make_unexpected(proxy.error());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe2");
  out.session = std::make_unique<Session>(std::move(*broker), std::move(*proxy), tunnel->early,
                                          UniqueFd(ends[0]), UniqueFd(ends[1]));
  if (screen == nullptr) return out;
  constexpr double kPainted = 0.3;
  while (screen->painted() < kPainted) {
    if (ms_since(asked) > 30'000) return fail(ETIMEDOUT, "no picture within 30 s");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  out.times.painted = ms_since(asked);
  return out;
}

}  // namespace panal::bench

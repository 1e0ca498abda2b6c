#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/density/load.h"
#include "bench/density/measure.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "engine/base/arithmetic.h"
#include "runtime/client/nxproxy.h"
#include "runtime/client/pump.h"
#include "runtime/client/session.h"

namespace panal::bench {
namespace {

using nlohmann::json;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// The times of one connection, ms.
struct Times {
  double handshake = 0;  ///< TCP and TLS
  double accepted = 0;   ///< request to 101
  double painted = 0;    ///< request to the first painted frame; 0 when nobody looked
};

/// Carries a session until told to stop.
class Session {
 public:
  Session(client::Broker broker, client::NxProxy proxy, std::string early, UniqueFd stop_read,
          UniqueFd stop_write)
      : broker_(std::move(broker)),
        proxy_(std::move(proxy)),
        stop_write_(std::move(stop_write)),
        thread_([this, early = std::move(early), stop = std::move(stop_read)] {
          (void)client::pump(broker_.connection(), proxy_.stream(), early, stop.get());
        }) {}
  ~Session() {
    if (::write(stop_write_.get(), "s", 1) != 1) stop_write_.reset();
    thread_.join();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  client::Broker broker_;
  client::NxProxy proxy_;
  UniqueFd stop_write_;
  std::thread thread_;
};

struct Opened {
  Times times;
  std::unique_ptr<Session> session;
};

/// One user's connection, with a real nxproxy where a screen is given.
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

Result<Measured> measure_times(const std::function<double(const Times&)>& which, int count,
                               bool cold) {
  PANAL_ASSIGN(auto node, BenchNode::up({.prewarm = !cold}));
  const auto work = [&]() -> Result<std::vector<Times>> {
    PANAL_TRY(node.use_image("icewm"));
    PANAL_ASSIGN(const auto accounts, node.make_desktops("icewm", 1));
    PANAL_ASSIGN(const auto load, Load::make(node));
    PANAL_ASSIGN(const auto screen, load->new_display());
    for (const auto& [name, value] : screen->environment())
      ::setenv(name.c_str(), value.c_str(), 1);
    const auto suspended = [](const LiveDesktop& d) { return d.agent && d.session == "suspended"; };
    if (!cold) {
      PANAL_TRY(node.panal({"desktop", "start", "--all"}));
      PANAL_TRY(node.wait_for(accounts, "the pre-warm", suspended, std::chrono::seconds(120)));
    }
    std::vector<Times> all;
    for (int i = 0; i < count; ++i) {
      {
        PANAL_ASSIGN(const auto opened, open_session(node, accounts[0], screen.get()));
        all.push_back(opened.times);
        say("101 after {:.0f} ms (TLS before it {:.0f} ms), first picture after {:.0f} ms",
            opened.times.accepted, opened.times.handshake, opened.times.painted);
        // nxagent 3.5.99.26 dies of a signal when its link goes in the middle of a resume.
        std::this_thread::sleep_for(std::chrono::seconds(2));
      }
      if (cold) {
        PANAL_TRY(node.panal({"desktop", "stop", "--all"}));
      } else {
        PANAL_TRY(node.wait_for(accounts, "the suspend", suspended, std::chrono::seconds(60)));
      }
      const auto begin = Clock::now();
      while (screen->painted() > 0.01 && ms_since(begin) < 10'000)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      // At rest: nxagent ignores a HUP while its last link still closes, and who comes back within
      // a blink waits for the next one.
      std::this_thread::sleep_for(std::chrono::seconds(2));
    }
    return all;
  };
  const auto all = work();
  const auto down = node.down();
  if (!all) return tl::make_unexpected(all.error());
  if (!down) return prefixed("afterwards", down.error());
  std::vector<double> values, handshakes, accepted, painted;
  for (const auto& times : *all) {
    values.push_back(which(times));
    handshakes.push_back(times.handshake);
    accepted.push_back(times.accepted);
    painted.push_back(times.painted);
  }
  const json details = {{"connections", all->size()},
                        {"max_ms", percentile(values, 100)},
                        {"min_ms", percentile(values, 0)},
                        {"tcp_and_tls_p50_ms", median(handshakes)},
                        {"request_to_101_p50_ms", median(accepted)},
                        {"request_to_first_picture_p50_ms", median(painted)}};
  return Measured{median(values), details.dump()};
}

}  // namespace

Result<Measured> measure_running_connect() {
  return measure_times([](const Times& t) { return t.accepted; }, 15, false);
}
Result<Measured> measure_first_pixel() {
  return measure_times([](const Times& t) { return t.painted; }, 15, false);
}
Result<Measured> measure_cold_connect() {
  return measure_times([](const Times& t) { return t.accepted; }, 7, true);
}

}  // namespace panal::bench

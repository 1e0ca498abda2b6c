#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/density/load.h"
#include "bench/density/measure.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/density/watched_session.h"
#include "engine/base/arithmetic.h"

namespace panal::bench {
namespace {

using nlohmann::json;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
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

// What the iptables backend costs with many desktops, in both variants of iptables.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "tests/system/netconfine/frames.h"
#include "tests/system/netconfine/iptables/backend_fixture.h"

namespace panal::netconfine {
namespace {

using namespace testing;

TEST_P(IptablesBackend, ReportsWhatAThousandCost) {
  using Clock = std::chrono::steady_clock;
  const auto ms = [](Clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
  };
  std::vector<Sender> many;
  for (DesktopId desktop = 1; desktop <= 1000; ++desktop)
    many.push_back(sender(desktop, id("office", "t1")));
  auto begin = Clock::now();
  load(many);
  fmt::print("load and audit of 1,000: {:.1f} ms\n", ms(Clock::now() - begin));
  std::vector<double> puts, removes;
  for (DesktopId desktop = 2001; desktop <= 2011; ++desktop) {
    begin = Clock::now();
    ASSERT_TRUE(backend_->put(std::vector{sender(desktop, id("office", "t1"))}));
    puts.push_back(ms(Clock::now() - begin));
    begin = Clock::now();
    ASSERT_TRUE(backend_->remove(std::vector{PlainWorld::addresses(desktop)}));
    removes.push_back(ms(Clock::now() - begin));
  }
  std::sort(puts.begin(), puts.end());
  std::sort(removes.begin(), removes.end());
  begin = Clock::now();
  expect_no_drift();
  const auto audit = ms(Clock::now() - begin);
  // A packet's whole way to outside, and back to the sender's next: veths pass it on in the call.
  constexpr DesktopId kOne = 777;
  world_.add_desktop(kOne);
  Tap mouth(world_.desktop(kOne), "eth0");
  const Addresses me = PlainWorld::addresses(kOne);
  const Bytes frame = ethernet(me.gateway_mac, me.mac, 0x0800, udp4(me.ipv4, ip4("10.1.0.1"), 53));
  constexpr int kFrames = 20'000;
  std::string costs;
  for (const DesktopId count : {1, 100, 400, 1000}) {
    many.assign({sender(kOne, id("office", "t1"))});
    for (DesktopId desktop = 1; desktop < count; ++desktop)
      if (desktop != kOne) many.push_back(sender(desktop, id("office", "t1")));
    load(many);
    double best = 1e9;
    for (int repeat = 0; repeat < 5; ++repeat) {
      begin = Clock::now();
      for (int i = 0; i < kFrames; ++i) mouth.send(frame);
      best = std::min(best, ms(Clock::now() - begin) * 1e6 / kFrames);
    }
    costs += fmt::format("{}: {:.0f} ns  ", count, best);
  }
  fmt::print("a packet with N desktops: {}\n", costs);
  fmt::print("put {:.1f} ms, remove {:.1f} ms (medians of {}), audit {:.1f} ms\n",
             puts[puts.size() / 2], removes[removes.size() / 2], puts.size(), audit);
}

}  // namespace
}  // namespace panal::netconfine

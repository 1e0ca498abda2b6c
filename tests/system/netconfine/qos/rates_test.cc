// What goes through is what was allowed. No test judges a time: what a class has passed on is
// compared with what its rate brings in the time that was measured, so a slow machine only passes
// on less.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "netconfine/link/tap.h"
#include "netconfine/netlink/enter.h"
#include "tests/system/netconfine/frames.h"
#include "tests/system/netconfine/qos/street.h"

namespace panal::netconfine {
namespace {

using testing::blast;
using testing::drain;
using testing::kPort;
using testing::Street;
using testing::use_of;

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMbit = 1'000'000;
constexpr std::size_t kData = 1000;
// What a datagram of kData weighs in a class: UDP, IP and Ethernet headers.
constexpr std::uint64_t kFrame4 = kData + 8 + 20 + 14;
constexpr std::uint64_t kFrame6 = kData + 8 + 40 + 14;

class Rates : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const DesktopId id : {1, 2, 3}) street_.add_and_bring_up(id);
    qos_ = street_.open_qos();
  }
  [[nodiscard]] ShapedDesktop desktop(DesktopId id) const {
    ShapedDesktop one;
    one.addresses = street_.addresses(id);
    return one;
  }
  void put(const std::vector<ShapedDesktop>& desktops) {
    const auto done = qos_->put(desktops);
    ASSERT_TRUE(done) << done.error().message();
  }
  [[nodiscard]] std::string address(DesktopId id) const {
    return to_string(street_.addresses(id).ipv4);
  }

  Street street_;
  std::unique_ptr<Qos> qos_;
};

// What a rate lets through in a time, and once its burst and one frame.
std::uint64_t most(std::uint64_t bits_per_second, Clock::duration time) {
  const double seconds = std::chrono::duration<double>(time).count();
  const double rate = static_cast<double>(bits_per_second) / 8;
  return static_cast<std::uint64_t>(rate * (seconds + 0.05)) + 2 * kFrame6;
}

TEST_F(Rates, WhatADesktopSendsIsHeldToItsRate) {
  auto one = desktop(1);
  one.limits.send_bits_per_second = 8 * kMbit;
  put({one});
  testing::UdpEar ear(street_.inside(2), AF_INET, kPort);
  const auto begin = Clock::now();
  blast(street_.inside(1), address(2), kPort, 2000, kData);
  drain(*qos_);
  const auto use = use_of(*qos_, "pnl1", Direction::kSend);
  const auto time = Clock::now() - begin;
  EXPECT_LE(use.bytes, most(8 * kMbit, time));
  const int heard = ear.heard();
  EXPECT_GT(heard, 0);
  EXPECT_LE(heard, static_cast<int>(use.packets)) << "nothing took a way round";
}

TEST_F(Rates, WhatADesktopReceivesIsHeldToItsRate) {
  auto two = desktop(2);
  two.limits.receive_bits_per_second = 4 * kMbit;
  put({two});
  testing::UdpEar ear(street_.inside(2), AF_INET6, kPort);
  const auto begin = Clock::now();
  blast(street_.inside(1), to_string(street_.addresses(2).ipv6), kPort, 2000, kData);
  drain(*qos_);
  const auto use = use_of(*qos_, "pnl2", Direction::kReceive);
  const auto time = Clock::now() - begin;
  EXPECT_LE(use.bytes, most(4 * kMbit, time));
  const int heard = ear.heard();
  EXPECT_GT(heard, 0);
  EXPECT_LE(heard, static_cast<int>(use.packets));
  EXPECT_EQ(use_of(*qos_, "pnl2", Direction::kSend).packets, 0U);
}

TEST_F(Rates, WhoIsBoundByNothingMakesNoDetour) {
  auto one = desktop(1);
  one.limits.send_bits_per_second = 8 * kMbit;
  put({one, desktop(2), desktop(3)});
  testing::UdpEar ear(street_.inside(3), AF_INET, kPort);
  blast(street_.inside(2), address(3), kPort, 50, kData);
  EXPECT_EQ(testing::hear(ear, 50), 50);
  EXPECT_EQ(street_.tc("filter show dev pnl2 ingress"), "");
}

TEST_F(Rates, ATenantsDesktopsShareItsRate) {
  std::vector<ShapedDesktop> all;
  for (const DesktopId id : {1, 2}) {
    auto one = desktop(id);
    one.tenant = "office@school";
    one.tenant_limits.send_bits_per_second = 8 * kMbit;
    all.push_back(one);
  }
  put(all);
  const auto begin = Clock::now();
  blast(street_.inside(1), address(3), kPort, 1000, kData);
  blast(street_.inside(2), address(3), kPort, 1000, kData);
  drain(*qos_);
  const auto time = Clock::now() - begin;
  const auto together =
      use_of(*qos_, "pnl1", Direction::kSend).bytes + use_of(*qos_, "pnl2", Direction::kSend).bytes;
  // Each has a bucket of three frames of its own besides, and the 4,096th part of the rate.
  EXPECT_LE(together, most(8 * kMbit, time) + 16 * kFrame4);
}

TEST_F(Rates, ActiveSessionsComeFirst) {
  std::vector<ShapedDesktop> all;
  for (const DesktopId id : {1, 2}) {
    auto one = desktop(id);
    one.tenant = "office@school";
    one.tenant_limits.send_bits_per_second = 8 * kMbit;
    one.session = id == 1 ? SessionClass::kActive : SessionClass::kDisconnected;
    all.push_back(one);
  }
  put(all);
  // Both send more than there is, all the time.
  std::atomic<bool> enough{false};
  std::vector<std::thread> senders;
  for (const DesktopId id : {1, 2}) {
    senders.emplace_back([&, id] {
      while (!enough) {
        blast(street_.inside(id), address(3), kPort, 50, kData);
        std::this_thread::yield();
      }
    });
  }
  ShapeUse active, away;
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    active = use_of(*qos_, "pnl1", Direction::kSend);
    away = use_of(*qos_, "pnl2", Direction::kSend);
  } while (active.bytes + away.bytes < 800'000);
  enough = true;
  for (auto& sender : senders) sender.join();
  // Among equals it would be one to one.
  EXPECT_GT(active.bytes, 2 * away.bytes) << active.bytes << " and " << away.bytes;
  EXPECT_GT(away.bytes, 0U) << "who is away crawls and does not stand";
}

TEST_F(Rates, ALineHoldsAllOfThemTogether) {
  qos_ = street_.open_qos({.send_bits_per_second = 8 * kMbit});
  put({desktop(1), desktop(2)});
  const auto begin = Clock::now();
  blast(street_.inside(1), address(3), kPort, 600, kData);
  blast(street_.inside(2), address(3), kPort, 600, kData);
  drain(*qos_);
  const auto time = Clock::now() - begin;
  EXPECT_LE(
      use_of(*qos_, "pnl1", Direction::kSend).bytes + use_of(*qos_, "pnl2", Direction::kSend).bytes,
      most(8 * kMbit, time) + 16 * kFrame4);
}

TEST_F(Rates, WhatIsSentUnderAnothersMacIsChargedToNobody) {
  for (const DesktopId id : {1, 2}) {
    auto one = desktop(id);
    one.limits.send_bits_per_second = 8 * kMbit;
    put({one});
  }
  const auto mine = street_.addresses(1), theirs = street_.addresses(2);
  testing::Tap tap(street_.inside(1), "eth0");
  const auto datagram = testing::udp4(theirs.ipv4, street_.addresses(3).ipv4);
  const auto before = use_of(*qos_, "pnl2", Direction::kSend).packets;
  for (int i = 0; i < 100; ++i) {
    tap.send(testing::ethernet(mine.gateway_mac, theirs.mac, 0x0800, datagram));
  }
  drain(*qos_);
  // A kernel reports its multicast groups now and then: a few packets of its own.
  EXPECT_LT(use_of(*qos_, "pnl2", Direction::kSend).packets, before + 20);
  EXPECT_LT(use_of(*qos_, "pnl1", Direction::kSend).packets, 20U);
}

TEST_F(Rates, NewRatesHoldAtOnceAndNoRateGivesTheWayFree) {
  auto one = desktop(1);
  one.limits.send_bits_per_second = kMbit;
  put({one});
  EXPECT_NE(street_.tc("class show dev panal-send").find("ceil 1Mbit"), std::string::npos);
  one.limits.send_bits_per_second = 40 * kMbit;
  put({one});
  EXPECT_NE(street_.tc("class show dev panal-send").find("ceil 40Mbit"), std::string::npos);
  one.limits = {};
  put({one});
  EXPECT_EQ(street_.tc("class show dev panal-send").find("f000:1 "), std::string::npos);
  EXPECT_EQ(street_.tc("filter show dev pnl1 ingress"), "");
  testing::UdpEar ear(street_.inside(2), AF_INET, kPort);
  blast(street_.inside(1), address(2), kPort, 50, kData);
  EXPECT_EQ(testing::hear(ear, 50), 50);
}

TEST_F(Rates, ATapIsTreatedAsAVeth) {
  const auto machine = street_.addresses(9);
  UniqueFd tap;
  const auto made = run_inside(street_.panal(), [&]() -> Result<void> {
    PANAL_ASSIGN(tap, add_tap(machine));
    return {};
  });
  ASSERT_TRUE(made) << made.error().message();
  const auto up = street_.veths().bring_up(machine);
  ASSERT_TRUE(up) << up.error().message();
  ShapedDesktop one = desktop(9);
  one.limits.send_bits_per_second = one.limits.receive_bits_per_second = 8 * kMbit;
  put({one});
  testing::UdpEar ear(street_.inside(2), AF_INET, kPort);
  const auto frame = testing::ethernet(machine.gateway_mac, machine.mac, 0x0800,
                                       testing::udp4(machine.ipv4, street_.addresses(2).ipv4));
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(write(tap.get(), frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
  }
  EXPECT_EQ(testing::hear(ear, 10), 10);
  EXPECT_EQ(use_of(*qos_, "pnl9", Direction::kSend).packets, 10U);
  // The other way: what is routed to it comes out of the descriptor, through its class.
  blast(street_.inside(2), address(9), kPort, 5, kData);
  EXPECT_EQ(testing::frames_of(tap, kFrame4, 5), 5);
  EXPECT_EQ(use_of(*qos_, "pnl9", Direction::kReceive).packets, 5U);
}

}  // namespace
}  // namespace panal::netconfine

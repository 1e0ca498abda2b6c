// Many desktops. The cost of one more is printed by hand for docs/network.md
// (--gtest_also_run_disabled_tests); nothing here asserts on time.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <thread>

#include "netconfine/firewall/backend.h"
#include "netconfine/netlink/enter.h"
#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine {
namespace {

using testing::new_network_namespace;
using testing::output_inside;

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

const AddressPlan kPlan{"10.77.0.0/16", "fd77:70::/64"};

TEST(Many, RulesDoNotGrowWithDesktops) {
  const auto panal = new_network_namespace();
  auto network = Network::open(*panal.duplicate(), kPlan, Logger::silent());
  ASSERT_TRUE(network) << network.error().message();
  const auto rules = [&] {
    return output_inside(panal, "nft -s -t list ruleset | grep -c .");  // without elements
  };
  const auto before = rules();
  std::vector<UniqueFd> desktops;
  for (DesktopId id = 1; id <= 30; ++id) {
    desktops.push_back(new_network_namespace());
    const auto link = (*network)->attach(id, desktops.back());
    ASSERT_TRUE(link) << link.error().message();
  }
  EXPECT_EQ(rules(), before);
  EXPECT_EQ((*network)->links()->size(), 30U);
  ASSERT_TRUE((*network)->recover({}));
  EXPECT_TRUE((*network)->links()->empty());
}

TEST(Many, ThreadsMayAttachAndDetachAtOnce) {
  const auto panal = new_network_namespace();
  auto network = Network::open(*panal.duplicate(), kPlan, Logger::silent());
  ASSERT_TRUE(network) << network.error().message();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (DesktopId id = 1 + t * 100; id <= 6 + t * 100; ++id) {
        const auto desktop = new_network_namespace();
        const auto link = (*network)->attach(id, desktop);
        EXPECT_TRUE(link) << link.error().message();
        EXPECT_TRUE((*network)->links());
        if (id % 2 == 0) {
          EXPECT_TRUE((*network)->detach(id));
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE((*network)->recover({}));
  EXPECT_TRUE((*network)->links()->empty());
  EXPECT_EQ(output_inside(panal, "nft list ruleset | grep -c pnl.*:"), "0\n");
}

std::vector<Sender> senders_of(DesktopId count) {
  const auto pool = AddressPool::parse(kPlan.subnet4, kPlan.subnet6);
  std::vector<Sender> senders;
  for (DesktopId id = 1; id <= count; ++id) senders.push_back({*pool->of(id), 0});
  return senders;
}

TEST(Many, AReloadWithMoreElementsThanFitOneMessage) {
  const auto panal = new_network_namespace();
  const auto senders = senders_of(1000);
  const auto loaded = run_inside(panal, [&]() -> Result<void> {
    PANAL_ASSIGN(auto firewall, open_nftables_backend());
    PANAL_TRY(firewall->load({}, senders));
    PANAL_TRY(firewall->load({}, senders));
    PANAL_ASSIGN(const auto links, firewall->links());
    EXPECT_EQ(links.size(), 1000U);
    PANAL_TRY(firewall->remove(std::span(&senders[500].addresses, 1)));
    PANAL_TRY(firewall->remove(std::span(&senders[500].addresses, 1)));
    PANAL_ASSIGN(const auto fewer, firewall->links());
    EXPECT_EQ(fewer.size(), 999U);
    PANAL_ASSIGN(const auto drifts, firewall->audit());
    EXPECT_TRUE(drifts.empty()) << drifts.front().where << " " << drifts.front().what;
    return {};
  });
  EXPECT_TRUE(loaded) << loaded.error().message();
}

TEST(Many, AnEntryBeforeAllRulesIsRefusedAndOneAfterTheirLossBringsThemBack) {
  const auto panal = new_network_namespace();
  const auto senders = senders_of(2);
  const auto done = run_inside(panal, [&]() -> Result<void> {
    PANAL_ASSIGN(auto firewall, open_nftables_backend());
    const auto added = firewall->put(std::span(&senders[0], 1));
    EXPECT_FALSE(added);
    EXPECT_EQ(added.error().code, ENOENT) << added.error().message();
    EXPECT_TRUE(firewall->remove(std::span(&senders[0].addresses, 1)))
        << "what is not there is gone";
    PANAL_TRY(firewall->load({}, senders_of(1)));
    EXPECT_EQ(std::system("nft delete table inet panal"), 0);
    PANAL_TRY(firewall->put(std::span(&senders[1], 1)));
    PANAL_ASSIGN(const auto links, firewall->links());
    EXPECT_EQ(links, (std::vector<std::string>{"pnl1", "pnl2"}));
    PANAL_ASSIGN(const auto drifts, firewall->audit());
    EXPECT_TRUE(drifts.empty());
    return {};
  });
  EXPECT_TRUE(done) << done.error().message();
}

// A measurement for who works on it, not a test: run by hand (--gtest_also_run_disabled_tests).
// PANAL_MANY=1000 sets how many.
TEST(Many, DISABLED_CostOfOneMore) {
  const char* wanted = std::getenv("PANAL_MANY");
  const DesktopId total = wanted != nullptr ? std::atoi(wanted) : 400;
  const auto panal = new_network_namespace();
  auto network = std::move(*Network::open(*panal.duplicate(), kPlan, Logger::silent()));
  std::vector<UniqueFd> desktops;
  std::vector<double> first, last, element, detach;
  for (DesktopId id = 1; id <= total; ++id) {
    desktops.push_back(new_network_namespace());
    const double ms = milliseconds([&] { ASSERT_TRUE(network->attach(id, desktops.back())); });
    if (id <= 20) first.push_back(ms);
    if (id > total - 20) last.push_back(ms);
  }
  // A world of its own for the rules alone: 50 more by one, and all at once.
  auto senders = senders_of(total + 50);
  Ruleset rules;
  rules.uplink = "up0";
  for (std::uint32_t id = 1; id <= 20; ++id) {
    CompiledPolicy policy;
    policy.id = id;
    policy.name = "p" + std::to_string(id);
    policy.group = id;
    for (std::uint8_t host = 1; host <= 30; ++host) {
      policy.reach.push_back({.service = "s" + std::to_string(host),
                              .peer = {false, {10, 1, host}, 24},
                              .protocol = Protocol::kTcp,
                              .ports = {443, 443}});
    }
    rules.policies.push_back(policy);
  }
  for (Sender& sender : senders) sender.policy = 1 + sender.addresses.ipv4[3] % 20U;
  const auto alone = new_network_namespace();
  double at_once = 0, swap = 0;
  ASSERT_TRUE(run_inside(alone, [&]() -> Result<void> {
    PANAL_ASSIGN(auto firewall, open_nftables_backend());
    PANAL_TRY(firewall->load(rules, {}));
    const std::span all(senders);
    const auto most = static_cast<std::size_t>(total);
    at_once = milliseconds([&] { EXPECT_TRUE(firewall->put(all.first(most))); });
    for (const Sender& sender : all.subspan(most)) {
      element.push_back(milliseconds([&] { EXPECT_TRUE(firewall->put(std::span(&sender, 1))); }));
    }
    swap = milliseconds([&] { EXPECT_TRUE(firewall->load(rules, senders)); });
    PANAL_ASSIGN(const auto drifts, firewall->audit());
    EXPECT_TRUE(drifts.empty());
    return {};
  }));
  const double list = milliseconds([&] { ASSERT_TRUE(network->links()); });
  const double reopen = milliseconds([&] {
    network.reset();
    network = std::move(*Network::open(*panal.duplicate(), kPlan, Logger::silent()));
  });
  for (DesktopId id = 1; id <= 20; ++id) {
    detach.push_back(milliseconds([&] { ASSERT_TRUE(network->detach(id)); }));
  }
  std::printf(
      "N %d: attach 1..20 %.2f ms, last 20 %.2f ms, one put %.2f ms, all at once %.1f ms, load "
      "again %.1f ms, detach %.2f ms, links %.1f ms, reopen %.1f ms\n",
      static_cast<int>(total), median(first), median(last), median(element), at_once, swap,
      median(detach), list, reopen);
}

}  // namespace
}  // namespace panal::netconfine

// Many desktops. The cost of one more is printed by hand for docs/network.md
// (--gtest_also_run_disabled_tests); nothing here asserts on time.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "netconfine/firewall/firewall.h"
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

TEST(Many, AReloadWithMoreElementsThanFitOneMessage) {
  const auto panal = new_network_namespace();
  const auto pool = AddressPool::parse(kPlan.subnet4, kPlan.subnet6);
  std::vector<Addresses> senders;
  for (DesktopId id = 1; id <= 1000; ++id) senders.push_back(*pool->of(id));
  const auto loaded = run_inside(panal, [&]() -> Result<void> {
    PANAL_ASSIGN(auto firewall, open_nftables());
    PANAL_TRY(firewall->load(senders));
    PANAL_TRY(firewall->load(senders));
    PANAL_ASSIGN(const auto links, firewall->links());
    EXPECT_EQ(links.size(), 1000U);
    PANAL_TRY(firewall->remove(senders[500]));
    PANAL_TRY(firewall->remove(senders[500]));
    PANAL_ASSIGN(const auto fewer, firewall->links());
    EXPECT_EQ(fewer.size(), 999U);
    return {};
  });
  EXPECT_TRUE(loaded) << loaded.error().message();
}

TEST(Many, ARefusedBatchNamesWhatWasRefusedAndChangesNothing) {
  const auto panal = new_network_namespace();
  const auto pool = AddressPool::parse(kPlan.subnet4, kPlan.subnet6);
  const auto done = run_inside(panal, [&]() -> Result<void> {
    PANAL_ASSIGN(auto firewall, open_nftables());
    const auto added = firewall->add(*pool->of(1));  // no table yet
    EXPECT_FALSE(added);
    EXPECT_EQ(added.error().code, ENOENT);
    EXPECT_NE(added.error().message().find("senders4"), std::string::npos)
        << added.error().message();
    EXPECT_TRUE(firewall->remove(*pool->of(1))) << "what is not there is gone";
    return {};
  });
  EXPECT_TRUE(done);
  EXPECT_EQ(output_inside(panal, "nft list ruleset"), "");
}

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
  const auto pool = AddressPool::parse(kPlan.subnet4, kPlan.subnet6);
  ASSERT_TRUE(run_inside(panal, [&]() -> Result<void> {
    PANAL_ASSIGN(auto firewall, open_nftables());
    for (DesktopId id = total + 1; id <= total + 50; ++id) {
      element.push_back(milliseconds([&] { EXPECT_TRUE(firewall->add(*pool->of(id))); }));
    }
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
      "N %d: attach 1..20 %.2f ms, last 20 %.2f ms, elements alone %.2f ms, detach %.2f ms, "
      "links %.1f ms, reopen %.1f ms\n",
      static_cast<int>(total), median(first), median(last), median(element), median(detach), list,
      reopen);
}

}  // namespace
}  // namespace panal::netconfine

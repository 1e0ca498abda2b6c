#include "bench/network/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "bench/backends/spread.h"
#include "bench/network/full_policies.h"
#include "bench/network/paired.h"
#include "bench/network/place.h"
#include "bench/network/qvd_rules.h"
#include "netconfine/policy/prefix.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Paired, TheMedianIsTheMiddle) {
  EXPECT_EQ(median_of({}), 0);
  EXPECT_EQ(median_of({3}), 3);
  EXPECT_EQ(median_of({9, 1}), 5);
  EXPECT_EQ(median_of({9, 1, 2}), 2);
}

TEST(Paired, RatiosAreOfPairsAndNotOfSums) {
  // Twice as dear in each pair, while the machine gets ten times slower.
  std::vector<double> base, value;
  for (int i = 1; i <= 40; ++i) {
    base.push_back(i);
    value.push_back(2.0 * i);
  }
  const Ratio ratio = ratio_of(base, value);
  EXPECT_EQ(ratio.pairs, 40U);
  EXPECT_EQ(ratio.median, 2);
  EXPECT_EQ(ratio.low, 2);
  EXPECT_EQ(ratio.high, 2);
}

TEST(Paired, BoundsAreByRanks) {
  std::vector<double> base(100, 1), value;
  for (int i = 1; i <= 100; ++i) value.push_back(i);
  const Ratio ratio = ratio_of(base, value);
  EXPECT_EQ(ratio.median, 50.5);
  EXPECT_EQ(ratio.low, 40);
  EXPECT_EQ(ratio.high, 61);
  // Of the binomial table: the least and the most of six; the second of ten; the third of twelve.
  const std::map<int, int> table = {{6, 1}, {9, 2}, {10, 2}, {12, 3}, {20, 6}};
  for (const auto& [count, least] : table) {
    const std::vector<double> ones(static_cast<std::size_t>(count), 1);
    value.assign(ones.size(), 0);
    std::iota(value.begin(), value.end(), 1);
    EXPECT_EQ(ratio_of(ones, value).low, least) << count;
    EXPECT_EQ(ratio_of(ones, value).high, count + 1 - least) << count;
  }
  const Ratio few = ratio_of({1, 1, 1}, {1, 2, 3});
  EXPECT_EQ(few.low, 1);
  EXPECT_EQ(few.high, 3);
}

TEST(Paired, WhatHasNoCounterpartIsLeftOut) {
  EXPECT_EQ(ratio_of({}, {1}).pairs, 0U);
  EXPECT_EQ(ratio_of({0, 2}, {1, 1}).pairs, 1U);
  EXPECT_EQ(ratio_of({2, 2, 2}, {1}).median, 0.5);
}

TEST(QvdRules, OneDesktopIsTwoChainsAndTwoJumps) {
  const auto all = *addresses_of(1, 2);
  const std::string text = qvd_desktop_rules(all);
  for (const char* line :
       {":QVD_1_INPUT ACCEPT\n", ":QVD_2_FORWARD ACCEPT\n", "-A INPUT -i qvd1 -j QVD_1_INPUT\n",
        "-A FORWARD -i qvd2 -j QVD_2_FORWARD\n", "-A QVD_1_INPUT -s ! 02:70:00:00:00:01 -j DROP\n",
        "-A QVD_1_INPUT -p IPv4 --ip-src 0.0.0.0 --ip-proto udp --ip-dport 67 -j DROP\n",
        "-A QVD_2_FORWARD -p IPv4 --ip-proto udp --ip-dport 67 -j DROP\n",
        "-A QVD_2_FORWARD -p IPv4 --ip-src ! 10.77.0.2 -j DROP\n"})
    EXPECT_THAT(text, HasSubstr(line));
  // A program for each: two chains, six rules, two jumps.
  EXPECT_EQ(qvd_adding(all[0]).size(), 10U);
  EXPECT_EQ(qvd_removing(all[0]).size(), 9U);
}

TEST(QvdRules, AJumpIsFoundByItsWholeName) {
  const std::string listing =
      "Bridge table: filter\n\nBridge chain: INPUT, entries: 3, policy: ACCEPT\n"
      "1. -i qvd1 -j QVD_1_INPUT\n2. -i qvd10 -j QVD_10_INPUT \n"
      "12. -i qvd100 -j QVD_100_INPUT\n";
  EXPECT_EQ(qvd_jump_number(listing, "QVD_1_INPUT"), 1U);
  EXPECT_EQ(qvd_jump_number(listing, "QVD_10_INPUT"), 2U);
  EXPECT_EQ(qvd_jump_number(listing, "QVD_100_INPUT"), 12U);
  // As the variant on nftables writes it.
  EXPECT_EQ(qvd_jump_number("7 -i qvd1 -j QVD_1_INPUT\n", "QVD_1_INPUT"), 7U);
  for (const char* text : {"", "-j QVD_1_INPUT", "x. -j QVD_1_INPUT\n", "1-j QVD_1_INPUT",
                           "99999999999999. -j QVD_1_INPUT\n"})
    EXPECT_EQ(qvd_jump_number(text, "QVD_1_INPUT"), 0U) << text;
}

TEST(FullPolicies, SayWhatIsMeasured) {
  for (const bool other : {false, true}) {
    const auto rules = full_rules(other);
    ASSERT_TRUE(rules) << rules.error().message();
    EXPECT_EQ(rules->policies.size(), 20U);
    const auto holders = full_holders(*rules, 1000);
    EXPECT_EQ(holders.size(), 1000U);
    std::set<std::uint32_t> kinds;
    for (const auto& [id, policy] : holders) {
      EXPECT_NE(policy, 0U) << id;
      kinds.insert(policy);
    }
    EXPECT_EQ(kinds.size(), 20U);
    const auto senders = *full_senders(*rules, 1000, 400);
    ASSERT_EQ(senders.size(), 1400U);
    EXPECT_NE(senders.back().policy, 0U);

    // The flows that go on whatever is in force, and those that never do.
    const netconfine::Sender &last = senders[999], &mate = senders[0];
    netconfine::Flow flow;
    flow.protocol = netconfine::Protocol::kUdp;
    flow.from4 = last.addresses.ipv4;
    const auto reaches = [&](const char* to, std::uint16_t port) {
      const auto prefix = *netconfine::parse_prefix(to);
      std::copy(prefix.bytes.begin(), prefix.bytes.begin() + 4, flow.to4.begin());
      flow.port = port;
      return netconfine::explain(*rules, &last, nullptr, flow).allowed;
    };
    EXPECT_TRUE(reaches("10.1.0.53", kDnsPort));
    EXPECT_TRUE(reaches("10.2.0.7", kFilesPort));
    EXPECT_FALSE(reaches("10.1.0.53", kNobodysPort));
    flow.to4 = mate.addresses.ipv4;
    flow.port = 7000;
    EXPECT_TRUE(netconfine::explain(*rules, &last, &mate, flow).allowed);
    flow.to4 = senders[1].addresses.ipv4;
    EXPECT_FALSE(netconfine::explain(*rules, &last, &senders[1], flow).allowed);
  }
  EXPECT_FALSE(*full_rules(false) == *full_rules(true));
}

json turns(double ns) {
  return {{"cpu_ns", to_json(spread_of({ns}))},
          {"wall_ns", to_json(spread_of({ns}))},
          {"packets_per_second", 1e9 / ns},
          {"late", 0}};
}

TEST(NetworkTables, HaveARowForWhatWasMeasured) {
  const json spread = to_json(spread_of({0.5, 25}));
  const json ratio = to_json(ratio_of({100, 100}, {103, 103}));
  const json result = {
      {"sizes", {1, 1000}},
      {"parts",
       {{"cost",
         {{"nftables",
           {{"nodes",
             {{{"desktops", 1}, {"ways", {{"out", turns(2000)}}}},
              {{"desktops", 1000}, {"ways", {{"out", turns(2060)}, {"mate", turns(2500)}}}}}},
            {"flatness", {{"out", ratio}}}}},
          {"qvd", {{"skipped", "no ebtables"}}}}},
        {"changes",
         {{"nftables",
           {{"desktops", 1000},
            {"add_ms", spread},
            {"remove_ms", spread},
            {"add_again_ms", to_json(spread_of({25, 30}))},
            {"add_400_ms", to_json(spread_of({25, 30}))},
            {"remove_400_ms", spread},
            {"load_ms", 77.2}}},
          {"qvd",
           {{"desktops", 1000}, {"add_ms", spread}, {"remove_ms", spread}, {"load_ms", 1.5}}}}},
        {"swap",
         {{"nftables",
           {{"desktops", 1000},
            {"swaps", 100},
            {"swap_ms", spread},
            {"sent", 4000},
            {"lost", 1},
            {"leaked", 0}}}}},
        {"repair",
         {{"nftables",
           {{"desktops", 1000},
            {"seconds",
             {{"flushed table", spread}, {"added rule", spread}, {"lost element", spread}}},
            {"longest_seconds", 25}}}}}}}};
  const std::string text = network_tables(result);
  for (const char* row :
       {"| nftables | out | 2000 (500) | 2060 (485) | 1.030 (1.030 to 1.030) |\n",
        "| nftables | mate | - | 2500 (400) | |\n", "| qvd | not here: no ebtables | | | |\n",
        "| nftables | 1000 | 0.50 / 25.00 | 25 / 30 | 0.50 / 25.00 | 25 / 30 | 0.50 / 25.00 | 77 "
        "|\n",
        "| qvd | 1000 | 0.50 / 25.00 | - | 0.50 / 25.00 | - | - | 2 |\n",
        "| nftables | 1000 | 100 | 0.50 / 25.00 | 4000 | 1 | 0 |\n",
        "| nftables | 1000 | 0.50 to 25.00 | 0.50 to 25.00 | 0.50 to 25.00 |\n"})
    EXPECT_THAT(text, HasSubstr(row));
  EXPECT_THAT(text, Not(HasSubstr("| mate6 |")));
  EXPECT_EQ(network_tables({{"sizes", {1}}, {"parts", json::object()}}), "");
}

TEST(Flatness, IsTheWorstWays) {
  EXPECT_EQ(worst_flatness({{"skipped", "x"}}), 0);
  EXPECT_EQ(
      worst_flatness({{"flatness", {{"out", {{"median", 1.01}}}, {"first", {{"median", 1.04}}}}}}),
      1.04);
}

TEST(Network, IsMeasuredInALabOnly) {
  EXPECT_THAT(network_parts(), Contains("cost"));
  if (std::getenv("PANAL_LAB") == nullptr) {
    EXPECT_FALSE(run_network({}));
  }
}

}  // namespace
}  // namespace panal::bench

#include "bench/redteam/redteam.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace panal::bench {
namespace {

Ground ground() {
  Ground g;
  g.me = {2, 0, 0, 0, 0, 1};
  g.victim = g.to_victim = {2, 0, 0, 0, 0, 2};
  g.host = {2, 0, 0, 0, 0, 9};
  g.me4 = ip4("10.0.0.1");
  g.victim4 = ip4("10.0.0.2");
  g.me6 = ip6("fd00::1");
  g.victim6 = ip6("fd00::2");
  return g;
}

TEST(RedTeam, AttacksAreDistinctAndCarryTheirOwnMarks) {
  std::set<std::string> names;
  std::set<Octets> marks;
  for (const Attack& attack : all_attacks(ground())) {
    EXPECT_TRUE(names.insert(attack.topic + ": " + attack.name).second) << attack.name;
    EXPECT_TRUE(marks.insert(attack.mark).second) << attack.name;
    ASSERT_FALSE(attack.frames.empty()) << attack.name;
    const bool counted = attack.connections != ~0UL;
    for (const Octets& frame : attack.frames) {
      EXPECT_GE(frame.size(), 14U) << attack.name;
      EXPECT_LE(frame.size(), 1514U) << attack.name;
      const bool marked = std::search(frame.begin(), frame.end(), attack.mark.begin(),
                                      attack.mark.end()) != frame.end();
      EXPECT_NE(marked, counted) << attack.name;
    }
  }
  EXPECT_GE(names.size(), 150U);
}

// As others compute them: RFC 1071's sums over header, and pseudo header with segment, are 0.
std::uint16_t sum_of(const Octets& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2)
    sum += static_cast<std::uint32_t>(bytes[i] << 8U) + (i + 1 < bytes.size() ? bytes[i + 1] : 0U);
  while ((sum >> 16U) != 0) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

TEST(RedTeam, HonestHeadersAddUp) {
  const Ipv4 a4 = ip4("10.0.0.1"), b4 = ip4("10.0.0.2");
  const Packet four = ip(a4, b4, kUdp, udp_segment(raw(a4), raw(b4), {1, 2}, {7, 8, 9}));
  EXPECT_EQ(sum_of(Octets(four.bytes.begin(), four.bytes.begin() + 20)), 0);
  EXPECT_EQ(four.bytes.size(), 31U);
  EXPECT_EQ(four.bytes[3], 31);
  EXPECT_EQ(sum_of(raw(a4) + raw(b4) + Octets{0, kUdp, 0, 11} +
                   Octets(four.bytes.begin() + 20, four.bytes.end())),
            0);
  const Ipv6 a6 = ip6("fd00::1"), b6 = ip6("fd00::2");
  const Packet six = ip(a6, b6, kTcp, tcp_segment(raw(a6), raw(b6), {1, 2}, kSyn, {7}));
  EXPECT_EQ(six.bytes[5], 21);
  EXPECT_EQ(sum_of(raw(a6) + raw(b6) + be32(21) + be32(kTcp) +
                   Octets(six.bytes.begin() + 40, six.bytes.end())),
            0);
  EXPECT_EQ(sum_of(icmp_message(a4, b4, 8, 0, {1, 2, 3, 4})), 0);
}

TEST(RedTeam, OnlyWhatPassesElsewhereCounts) {
  const auto fared = [](const char* target, bool ours, unsigned a, unsigned b, unsigned c) {
    return Assault{target, target, ours, {{"x", "a", a}, {"x", "b", b}, {"y", "c", c}}, 1};
  };
  const auto report = redteam_report(
      {fared("panal", true, 0, kAnswer, 0), fared("lxc", false, kVictimHears, kHostHears, 0)});
  EXPECT_EQ(report["attacks"], 2);
  EXPECT_EQ(report["heard_nowhere"], nlohmann::json::array({"y: c"}));
  EXPECT_EQ(report["targets"][0]["passed"], 1);
  EXPECT_EQ(report["targets"][0]["which"], nlohmann::json::array({"x: b: somebody answers"}));
  EXPECT_EQ(report["targets"][1]["by_topic"]["x"]["passed"], 2);
  EXPECT_EQ(report["targets"][1]["by_topic"]["y"]["attacks"], 0);
  const auto table = redteam_table(report);
  EXPECT_NE(table.find("| x (2) | 1 | 2 |"), std::string::npos) << table;
}

TEST(RedTeam, WhatAnHonestMateDoesIsToldApart) {
  const Assault ours{"mates",
                     "mates",
                     true,
                     {{"x", "a", 0, kVictimHears}, {"x", "b", kThirdHears, kVictimHears}},
                     1};
  const Assault others{"lxc", "lxc", false, {{"x", "a", kVictimHears}, {"x", "b", kAnswer}}, 1};
  const auto report = redteam_report({ours, others});
  EXPECT_EQ(report["targets"][0]["passed"], 1);
  EXPECT_EQ(report["targets"][0]["by_design"], 1) << "what did more than that has passed";
  EXPECT_EQ(report["targets"][0]["which"], nlohmann::json::array({"x: b: a third hears it"}));
  EXPECT_EQ(report["targets"][1]["by_design"], 0);
  const auto table = redteam_table(report);
  EXPECT_NE(table.find("| x (2) | 1 + 1 | 2 |"), std::string::npos) << table;
  EXPECT_NE(table.find("| **all** | **1 + 1** | **2** |"), std::string::npos) << table;
}

}  // namespace
}  // namespace panal::bench

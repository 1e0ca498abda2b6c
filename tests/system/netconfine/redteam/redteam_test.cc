// Everything that a hostile desktop may try (bench/redteam), against both of our firewalls, and
// against what others do: there the same attacks must pass, else silence would prove nothing.
#include "bench/redteam/redteam.h"

#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>

namespace panal::bench {
namespace {

class RedTeam : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const Target& target : targets()) {
      auto one = assault(target);
      if (one) {
        assaults_.push_back(std::move(*one));
      } else {
        errors_.push_back(one.error().message());
      }
    }
    std::cout << redteam_table(redteam_report(assaults_));
  }
  static void TearDownTestSuite() { assaults_.clear(); }
  void SetUp() override {
    for (const auto& error : errors_) ADD_FAILURE() << error;
  }
  static const Assault& of(const std::string& target) {
    for (const Assault& one : assaults_)
      if (one.target == target) return one;
    throw std::runtime_error(target + " was not under attack");
  }

  inline static std::vector<Assault> assaults_;
  inline static std::vector<std::string> errors_;
};

TEST_F(RedTeam, NothingPassesUs) {
  int ours = 0;
  for (const Assault& one : assaults_) {
    if (!one.ours) continue;
    ++ours;
    for (const auto& outcome : one.outcomes)
      EXPECT_EQ(to_string_of_signs(outcome.signs), "")
          << one.target << ": " << outcome.topic << ": " << outcome.name;
  }
  EXPECT_EQ(ours, 7) << "of nftables and iptables, masking or not, of iptables without ipset, and "
                        "of groups' bridges, from one to another and between mates";
}

// What is not honest is among what passes nowhere (above); what is, must be heard, or the site
// would prove nothing.
TEST_F(RedTeam, MatesHearWhatIsHonest) {
  std::map<std::string, int> by_topic;
  int all = 0;
  for (const auto& outcome : of("group_mate").outcomes) {
    if (outcome.by_design == 0) continue;
    ++all;
    ++by_topic[outcome.topic];
  }
  EXPECT_GT(all, 80);
  for (const char* topic : {"other desktops", "frames to all", "TCP out of nowhere", "tunnels",
                            "other protocols", "ARP"})
    EXPECT_GT(by_topic[topic], 2) << topic;
  for (const char* topic :
       {"source addresses", "source MACs", "neighbour discovery", "routers", "VLAN tags",
        "link protocols", "fragments", "IPv4 options", "ICMP about others' connections"})
    EXPECT_EQ(by_topic[topic], 0) << topic;
  for (const Assault& one : assaults_) {
    if (one.target == "group_mate") continue;
    for (const auto& outcome : one.outcomes)
      EXPECT_EQ(outcome.by_design, 0U) << one.target << ": " << outcome.name;
  }
}

TEST_F(RedTeam, AtLeastAHundredAndFiftyPassElsewhere) {
  const auto report = redteam_report(assaults_);
  EXPECT_GE(report["attacks"].get<int>(), 150);
  // Dropped by every kernel and bridge there is: kept, not counted.
  for (const auto& name : report["heard_nowhere"]) std::cout << "nowhere: " << name << '\n';
  EXPECT_GT(of("lxc").passed(), 150U);
  EXPECT_GT(of("qvd").passed(), 0U);
  EXPECT_LT(of("qvd").passed(), of("lxc").passed());
}

TEST_F(RedTeam, EachAttackIsAnotherOne) {
  std::set<std::string> names;
  for (const auto& outcome : of("nftables").outcomes)
    EXPECT_TRUE(names.insert(outcome.topic + ": " + outcome.name).second) << outcome.name;
}

}  // namespace
}  // namespace panal::bench

// Rates follow policies, desktops and sessions through the network's face.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine {
namespace {

using testing::new_network_namespace;
using testing::output_inside;

const AddressPlan kPlan{"10.77.0.0/16", "fd77:70::/64"};

Ruleset rules(std::uint64_t send_bits_per_second) {
  Ruleset set;
  CompiledPolicy free;
  free.id = 1;
  free.name = "free";
  CompiledPolicy slow;
  slow.id = 2;
  slow.name = "slow";
  slow.limits.send_bits_per_second = send_bits_per_second;
  set.policies = {free, slow};
  return set;
}

class NetworkRates : public ::testing::Test {
 protected:
  std::unique_ptr<Network> open(const AddressPlan& plan = kPlan) {
    auto network = Network::open(*panal_.duplicate(), plan, Logger::silent());
    EXPECT_TRUE(network) << network.error().message();
    return network ? std::move(*network) : nullptr;
  }
  void attach(Network& network, DesktopId id) {
    desktops_.push_back(new_network_namespace());
    const auto link = network.attach(id, desktops_.back());
    ASSERT_TRUE(link) << link.error().message();
  }
  static void good(const Result<void>& result) { ASSERT_TRUE(result) << result.error().message(); }
  [[nodiscard]] std::string classes() const {
    return output_inside(panal_,
                         "tc class show dev panal-send 2>/dev/null | grep -o 'f000:[0-9]* .*ceil "
                         "[^ ]*' | sed 's/ .* prio/ prio/; s/rate.*ceil/ceil/' | sort");
  }

  UniqueFd panal_ = new_network_namespace();
  std::vector<UniqueFd> desktops_;
};

TEST_F(NetworkRates, WithoutRatesTheKernelIsNotAskedForAny) {
  const auto network = open();
  good(network->set_rules(rules(0), {{1, 2}}));
  attach(*network, 1);
  EXPECT_EQ(output_inside(panal_, "ip -br link show type ifb"), "");
  EXPECT_TRUE(network->rates()->empty());
  EXPECT_EQ(network->audit().outcome, AuditReport::Outcome::kAsMeant);
}

TEST_F(NetworkRates, FollowPoliciesAndSessions) {
  const auto network = open();
  good(network->set_rules(rules(8'000'000), {{1, 2}, {2, 1}}));
  attach(*network, 1);
  attach(*network, 2);
  EXPECT_EQ(classes(), "f000:1 prio 0 ceil 8Mbit\n");
  good(network->set_policy(2, 2));
  EXPECT_EQ(classes(), "f000:1 prio 0 ceil 8Mbit\nf000:2 prio 0 ceil 8Mbit\n");
  good(network->set_session(1, SessionClass::kIdle));
  EXPECT_EQ(classes(), "f000:1 prio 1 ceil 8Mbit\nf000:2 prio 0 ceil 8Mbit\n");
  good(network->set_rules(rules(16'000'000), {{1, 2}, {2, 2}}));
  EXPECT_EQ(classes(), "f000:1 prio 1 ceil 16Mbit\nf000:2 prio 0 ceil 16Mbit\n");
  EXPECT_EQ(network->rates()->size(), 2U);
  good(network->set_policy(1, 1));
  EXPECT_EQ(classes(), "f000:2 prio 0 ceil 16Mbit\n");
  good(network->detach(2));
  EXPECT_EQ(classes(), "");
  EXPECT_EQ(network->audit().outcome, AuditReport::Outcome::kAsMeant);
}

TEST_F(NetworkRates, DriftIsMendedAndTold) {
  const auto network = open();
  good(network->set_rules(rules(8'000'000), {{1, 2}}));
  attach(*network, 1);
  ASSERT_EQ(testing::shell_inside(panal_, "tc qdisc del dev pnl1 clsact"), 0);
  const auto report = network->audit();
  EXPECT_EQ(report.outcome, AuditReport::Outcome::kRepaired);
  ASSERT_FALSE(report.drifts.empty());
  EXPECT_EQ(report.drifts.front().where, "filter in pnl1");
  EXPECT_EQ(network->audit().outcome, AuditReport::Outcome::kAsMeant);
}

TEST_F(NetworkRates, AProcessWhoseRulesHaveNoRatesTakesThemAway) {
  {
    const auto network = open();
    good(network->set_rules(rules(8'000'000), {{1, 2}}));
    attach(*network, 1);
  }
  const auto next = open();
  good(next->set_rules(rules(0), {{1, 2}}));
  EXPECT_EQ(classes(), "");
  EXPECT_EQ(output_inside(panal_, "tc filter show dev pnl1 ingress"), "");
}

TEST_F(NetworkRates, ALineHoldsForWhoHasNoPolicy) {
  AddressPlan plan = kPlan;
  plan.line.send_bits_per_second = 100'000'000;
  const auto network = open(plan);
  attach(*network, 1);
  EXPECT_EQ(classes(), "f000:1 prio 0 ceil 100Mbit\n");
}

TEST_F(NetworkRates, ManyGoAtOnce) {
  const auto network = open();
  std::map<DesktopId, std::uint32_t> policies;
  std::vector<DesktopId> ids;
  for (DesktopId id = 1; id <= 20; ++id) {
    policies[id] = 2;
    ids.push_back(id);
  }
  good(network->set_rules(rules(8'000'000), policies));
  for (const DesktopId id : ids) attach(*network, id);
  ids.push_back(21);  // never was
  good(network->detach_all(ids));
  EXPECT_TRUE(network->links()->empty());
  EXPECT_EQ(classes(), "");
  good(network->detach_all({}));
  EXPECT_EQ(network->audit().outcome, AuditReport::Outcome::kAsMeant);
}

}  // namespace
}  // namespace panal::netconfine

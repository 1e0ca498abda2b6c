// A probe tells what Panal's rules do with a packet, whatever the desktop thinks of it.
#include "netconfine/probe/probe.h"

#include <gtest/gtest.h>

#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine {
namespace {

using std::chrono::milliseconds;
using testing::FakeDesktop;
using testing::new_network_namespace;
using testing::shell_inside;

const AddressPlan kPlan{"10.77.0.0/16", "fd77:70::/64"};
constexpr milliseconds kShort{200};    // for what must not come
constexpr milliseconds kLong{20'000};  // for what must; it ends with the packet

class ProbeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto network = Network::open(*panal_.duplicate(), kPlan, Logger::silent());
    ASSERT_TRUE(network) << network.error().message();
    network_ = std::move(*network);
    const auto pool = AddressPool::parse(kPlan.subnet4, kPlan.subnet6);
    ASSERT_TRUE(pool);
    one_ = *pool->of(1);
    two_ = *pool->of(2);
    ASSERT_TRUE(network_->attach(1, first_.network()));
    ASSERT_TRUE(network_->attach(2, second_.network()));
    testing::await_link(panal_, "pnl1", first_.network());
    testing::await_link(panal_, "pnl2", second_.network());
  }
  [[nodiscard]] Flow flow(Protocol protocol, bool v6) const {
    Flow flow;
    flow.from4 = one_.ipv4;
    flow.from6 = one_.ipv6;
    flow.to4 = two_.ipv4;
    flow.to6 = two_.ipv6;
    flow.v6 = v6;
    flow.protocol = protocol;
    flow.port = protocol == Protocol::kTcp || protocol == Protocol::kUdp ? 443 : 0;
    return flow;
  }
  [[nodiscard]] Result<ProbeResult> sent(const Flow& flow, milliseconds patience) const {
    return probe(panal_, first_.network(), one_, flow, patience);
  }

  UniqueFd panal_ = new_network_namespace();
  FakeDesktop first_, second_;
  std::unique_ptr<Network> network_;
  Addresses one_, two_;
};

TEST_F(ProbeTest, SeesWhatIsDroppedAndWhatPasses) {
  for (const bool v6 : {false, true}) {
    auto result = sent(flow(Protocol::kUdp, v6), kShort);
    // The kernel starts a new link's queues some time after it came up.
    for (int i = 0; i < 50 && result && !result->left; ++i)
      result = sent(flow(Protocol::kUdp, v6), kShort);
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_TRUE(result->left);
    EXPECT_FALSE(result->passed) << "by " << result->by;
  }
  // Both walls torn down.
  ASSERT_EQ(shell_inside(panal_,
                         "nft delete table inet panal && nft delete table arp panal"
                         " && sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"),
            0);
  for (const bool v6 : {false, true})
    for (const Protocol protocol :
         {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp, Protocol::kAny}) {
      const auto result = sent(flow(protocol, v6), kLong);
      ASSERT_TRUE(result) << result.error().message();
      EXPECT_TRUE(result->left);
      EXPECT_TRUE(result->passed) << static_cast<int>(protocol) << (v6 ? " v6" : " v4");
      EXPECT_EQ(result->by, "pnl2");
    }
}

TEST_F(ProbeTest, ADesktopsOwnRulesDoNotHideIt) {
  ASSERT_EQ(shell_inside(first_.network(),
                         "nft add table inet mine && nft add chain inet mine out"
                         " '{ type filter hook output priority 0; policy drop; }'"
                         " && ip route flush table all 2>/dev/null; true"),
            0);
  const auto result = sent(flow(Protocol::kTcp, false), kShort);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(result->left);
  EXPECT_FALSE(result->passed);
}

TEST_F(ProbeTest, SaysWhichLinkIsMissing) {
  Addresses gone = one_;
  gone.link = "pnl9";
  const auto none = probe(panal_, first_.network(), gone, flow(Protocol::kTcp, false), kShort);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ENODEV);
  EXPECT_EQ(none.error().context, "there is no link pnl9");
  ASSERT_EQ(shell_inside(first_.network(), "ip link set eth0 down; ip link set eth0 name mine"), 0);
  const auto renamed = sent(flow(Protocol::kTcp, false), kShort);
  ASSERT_FALSE(renamed);
  EXPECT_EQ(renamed.error().context, "there is no link eth0");
}

TEST_F(ProbeTest, ARateIsNoWayThrough) {
  Ruleset rules;
  CompiledPolicy slow;
  slow.id = 1;
  slow.name = "slow";
  slow.limits.send_bits_per_second = slow.limits.receive_bits_per_second = 8'000'000;
  rules.policies = {slow};
  ASSERT_TRUE(network_->set_rules(rules, {{1, 1}, {2, 1}}));
  auto result = sent(flow(Protocol::kUdp, false), kShort);
  for (int i = 0; i < 50 && result && !result->left; ++i)
    result = sent(flow(Protocol::kUdp, false), kShort);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(result->left);
  EXPECT_FALSE(result->passed) << "by " << result->by;
}

}  // namespace
}  // namespace panal::netconfine

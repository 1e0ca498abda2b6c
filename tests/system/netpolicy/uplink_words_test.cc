// What `panal net uplink` shows is what the uplink itself says, and looking changes nothing.
#include "runtime/netpolicy/uplink_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/uplink/uplink.h"
#include "runtime/netpolicy/plan.h"
#include "tests/system/netconfine/sandbox.h"

namespace panal::netpolicy {
namespace {

using netconfine::run_inside;
using netconfine::testing::new_network_namespace;
using netconfine::testing::output_inside;
using netconfine::testing::shell_inside;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class UplinkWordsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(shell_inside(host_,
                           "ip link add eth0 type veth peer name lan0 && "
                           "ip addr add 192.168.1.2/24 dev eth0 && ip link set eth0 up && "
                           "ip link set lan0 up && ip route add default via 192.168.1.1"),
              0);
    // Listing may make its tables.
    ASSERT_EQ(shell_inside(host_, "iptables-nft -S >/dev/null && ip6tables-nft -S >/dev/null"), 0);
    ASSERT_TRUE(run_inside(panal_, [] { return netconfine::prepare_panal_namespace(true); }));
    config_.run_dir = ::testing::TempDir() + "no-such-run";  // panald was never there
    config_.uplink = "veth";
    config_.uplink_device = "eth0";
  }
  [[nodiscard]] Result<UplinkWords> described() const {
    Result<UplinkWords> words;
    const auto done = run_inside(host_, [&]() -> Result<void> {
      words = describe_uplink(config_);
      return {};
    });
    EXPECT_TRUE(done) << done.error().message();
    return words;
  }
  [[nodiscard]] std::string state() const {
    return output_inside(
        host_,
        "ip -br link show | sed 's/[@ ].*//' | sort; ip route | sed 's/ linkdown//'; "
        "nft -s list ruleset; cat /proc/sys/net/ipv4/conf/*/forwarding");
  }

  UniqueFd host_ = new_network_namespace(), panal_ = new_network_namespace();
  config::Config config_;
};

TEST_F(UplinkWordsTest, AreTheUplinksOwn) {
  const std::string before = state();
  const auto words = described();
  ASSERT_TRUE(words) << words.error().message();
  EXPECT_EQ(state(), before);
  EXPECT_EQ(words->kind, "veth");
  EXPECT_EQ(words->device, "eth0");
  const auto plan = uplink_plan(config_);
  ASSERT_TRUE(plan) << plan.error().message();
  const auto uplink =
      netconfine::Uplink::open(*host_.duplicate(), *panal_.duplicate(), *plan, Logger::silent());
  ASSERT_TRUE(uplink) << uplink.error().message();
  const auto lines = (*uplink)->describe();
  ASSERT_TRUE(lines) << lines.error().message();
  EXPECT_EQ(words->lines, *lines);
  // The same beside an uplink that is up: another process has found all of it.
  const auto up = (*uplink)->up();
  ASSERT_TRUE(up) << up.error().message();
  const std::string with = state();
  const auto again = described();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(state(), with);
  const auto drifts = (*uplink)->audit();
  ASSERT_TRUE(drifts) << drifts.error().message();
  EXPECT_TRUE(drifts->empty());
  EXPECT_TRUE((*uplink)->down());
}

TEST_F(UplinkWordsTest, RefuseWhereTheUplinkWould) {
  config_.uplink = "nic";
  config_.uplink_address4 = "192.168.1.9";
  config_.uplink_gateway4 = "192.168.1.1";
  const auto own = described();
  ASSERT_FALSE(own);
  EXPECT_EQ(own.error().code, EBUSY);
  EXPECT_THAT(own.error().context, HasSubstr("the host's own way out"));
  config_.uplink_device = "eth9";
  const auto missing = described();
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, EBUSY);
  EXPECT_THAT(missing.error().context, HasSubstr("the host has no link eth9"));
}

TEST_F(UplinkWordsTest, WithoutAnUplinkNothingIsDone) {
  config_.uplink = "none";
  config_.uplink_device.clear();
  const auto words = described();
  ASSERT_TRUE(words) << words.error().message();
  EXPECT_THAT(words->lines, ElementsAre(HasSubstr("nothing is done to the host")));
}

}  // namespace
}  // namespace panal::netpolicy

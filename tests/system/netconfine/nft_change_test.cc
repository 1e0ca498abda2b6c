// A change that the kernel has refused has not been made, and is made when it is asked for again.
#include <gtest/gtest.h>
#include <poll.h>

#include <span>

#include "netconfine/firewall/nft/events.h"
#include "netconfine/netlink/enter.h"
#include "tests/system/netconfine/powerless.h"
#include "tests/system/netconfine/world.h"

namespace panal::netconfine {
namespace {

using namespace testing;

class NftChange : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto loaded = run_inside(panal_, [&]() -> Result<void> {
      PANAL_ASSIGN(firewall_, open_nftables_backend());
      return firewall_->load(rules_, std::vector<Sender>{sender(1, 1), sender(2, 1)});
    });
    ASSERT_TRUE(loaded) << loaded.error().message();
  }
  static Sender sender(DesktopId id, std::uint32_t policy) {
    return {*AddressPool::parse(kWorldPlan.subnet4, kWorldPlan.subnet6)->of(id), policy};
  }
  [[nodiscard]] std::string text() const { return output_inside(panal_, "nft -s list ruleset"); }

  UniqueFd panal_ = new_network_namespace();
  const Ruleset rules_ = *compile(
      policies({service("dns", {"10.1.0.53"})}, {policy("office", {"dns"})}),
      {.uplink = kUplink, .masquerade = false, .desktops = {}, .uses = {{"office", "acme"}}});
  std::unique_ptr<FirewallBackend> firewall_;
};

TEST_F(NftChange, ANarrowingThatFailsIsCarriedOutTheNextTime) {
  const Sender narrowed = sender(1, 0);
  const auto before = text();
  {
    const Powerless powerless;
    const auto put = firewall_->put(std::span(&narrowed, 1));
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().code, EPERM) << put.error().message();
  }
  EXPECT_EQ(text(), before);
  const auto again = firewall_->put(std::span(&narrowed, 1));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(output_inside(panal_, "nft list map inet panal policy_of").find("pnl1"),
            std::string::npos)
      << "reported done, and the desktop is as open as before";
  const auto drifts = firewall_->audit();
  ASSERT_TRUE(drifts) << drifts.error().message();
  EXPECT_TRUE(drifts->empty());
}

TEST_F(NftChange, ARemovalThatFailsLeavesNoEntryOnceItSucceeds) {
  const Sender gone = sender(2, 1);
  {
    const Powerless powerless;
    ASSERT_FALSE(firewall_->remove(std::span(&gone.addresses, 1)));
  }
  ASSERT_EQ(*firewall_->links(), (std::vector<std::string>{"pnl1", "pnl2"}));
  ASSERT_TRUE(firewall_->remove(std::span(&gone.addresses, 1)));
  EXPECT_EQ(*firewall_->links(), std::vector<std::string>{"pnl1"});
}

TEST_F(NftChange, AnAdditionThatFailsIsAddedTheNextTime) {
  const Sender next = sender(3, 1);
  {
    const Powerless powerless;
    ASSERT_FALSE(firewall_->put(std::span(&next, 1)));
  }
  ASSERT_TRUE(firewall_->put(std::span(&next, 1)));
  EXPECT_EQ(*firewall_->links(), (std::vector<std::string>{"pnl1", "pnl2", "pnl3"}));
}

TEST(NftEvents, TellOfEveryChangeOfAnybody) {
  const auto somewhere = new_network_namespace();
  UniqueFd events;
  const auto opened = run_inside(somewhere, [&]() -> Result<void> {
    PANAL_ASSIGN(events, open_nft_events());
    return {};
  });
  ASSERT_TRUE(opened) << opened.error().message();
  pollfd ready{events.get(), POLLIN, 0};
  EXPECT_EQ(poll(&ready, 1, 0), 0);
  for (const char* change : {"nft add table inet others", "nft flush ruleset"}) {
    ASSERT_EQ(shell_inside(somewhere, change), 0) << change;
    EXPECT_EQ(poll(&ready, 1, 0), 1) << change;
    forget_nft_events(events.get());
    EXPECT_EQ(poll(&ready, 1, 0), 0) << change;
  }
}

}  // namespace
}  // namespace panal::netconfine

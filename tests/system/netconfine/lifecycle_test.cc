// Links and rules come and go as one; a new process finds what an old one left.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine {
namespace {

using testing::FakeDesktop;
using testing::new_network_namespace;
using testing::output_inside;
using testing::shell_inside;

const AddressPlan kPlan{"10.77.0.0/16", "fd77:70::/64"};

class Lifecycle : public ::testing::Test {
 protected:
  std::unique_ptr<Network> open() {
    auto network = Network::open(*panal_.duplicate(), kPlan, Logger::silent());
    if (!network) {
      ADD_FAILURE() << network.error().message();
      return nullptr;
    }
    return std::move(*network);
  }
  void SetUp() override {
    network_ = open();
    ASSERT_NE(network_, nullptr);
  }
  [[nodiscard]] int elements(const std::string& link) const {
    const auto rules = output_inside(panal_, "nft list ruleset");
    int count = 0;
    for (std::size_t at = 0; (at = rules.find("\"" + link + "\"", at)) != std::string::npos; ++at) {
      ++count;
    }
    return count;
  }
  [[nodiscard]] bool has_link(const std::string& link) const {
    return shell_inside(panal_, "ip link show dev " + link + " >/dev/null 2>&1") == 0;
  }

  UniqueFd panal_ = new_network_namespace();
  std::unique_ptr<Network> network_;
};

TEST_F(Lifecycle, AttachMakesLinkAddressesRoutesNeighboursAndEntries) {
  const FakeDesktop desktop;
  const auto inside = desktop.network();
  const auto link = network_->attach(7, inside);
  ASSERT_TRUE(link) << link.error().message();
  EXPECT_EQ(link->name, "pnl7");
  EXPECT_EQ(link->address4, "10.77.0.7");
  EXPECT_EQ(link->address6, "fd77:70::7");
  EXPECT_EQ(link->mac, "02:70:00:00:00:07");
  EXPECT_EQ(elements("pnl7"), 2);

  const auto addresses = output_inside(inside, "ip -br address show");
  EXPECT_NE(addresses.find("10.77.0.7/32 fd77:70::7/128"), std::string::npos) << addresses;
  EXPECT_EQ(addresses.find("fe80"), std::string::npos) << addresses;
  EXPECT_NE(addresses.find("127.0.0.1/8"), std::string::npos) << "lo is down: " << addresses;
  EXPECT_NE(output_inside(inside, "ip route")
                .find("default via 169.254.1.1 dev eth0 proto static onlink"),
            std::string::npos);
  EXPECT_NE(output_inside(inside, "ip -6 route").find("default via fe80::1 dev eth0"),
            std::string::npos);
  EXPECT_NE(output_inside(inside, "ip neigh")
                .find("169.254.1.1 dev eth0 lladdr 06:70:00:00:00:07 PERMANENT"),
            std::string::npos);

  const auto routes = output_inside(panal_, "ip route; ip -6 route");
  EXPECT_NE(routes.find("10.77.0.7 dev pnl7 proto static scope link"), std::string::npos) << routes;
  EXPECT_NE(routes.find("fd77:70::7 dev pnl7"), std::string::npos) << routes;
  const auto neighbours = output_inside(panal_, "ip neigh");
  EXPECT_NE(neighbours.find("10.77.0.7 dev pnl7 lladdr 02:70:00:00:00:07 PERMANENT"),
            std::string::npos)
      << neighbours;
  EXPECT_NE(neighbours.find("fd77:70::7 dev pnl7 lladdr 02:70:00:00:00:07 PERMANENT"),
            std::string::npos)
      << neighbours;
  const auto host_end = output_inside(panal_, "ip address show dev pnl7");
  EXPECT_EQ(host_end.find("inet"), std::string::npos) << "the host end has an address:\n"
                                                      << host_end;
  EXPECT_NE(host_end.find("NOARP"), std::string::npos) << host_end;
}

TEST_F(Lifecycle, TheSameIdTwiceIsRefusedAndTheFirstLives) {
  const FakeDesktop first, second;
  ASSERT_TRUE(network_->attach(1, first.network()));
  const auto again = network_->attach(1, second.network());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EEXIST) << again.error().message();
  EXPECT_EQ(elements("pnl1"), 2);
  EXPECT_TRUE(has_link("pnl1"));
}

TEST_F(Lifecycle, ADesktopThatHasEth0IsRefusedAndNothingIsLeft) {
  const FakeDesktop desktop;
  const auto inside = desktop.network();
  ASSERT_EQ(shell_inside(inside, "ip link add eth0 type veth peer name other"), 0);
  const auto attached = network_->attach(2, inside);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, EEXIST) << attached.error().message();
  EXPECT_EQ(elements("pnl2"), 0);
  EXPECT_FALSE(has_link("pnl2"));
}

TEST_F(Lifecycle, OutsideThePlanIsRefused) {
  const FakeDesktop desktop;
  const auto attached = network_->attach(65535, desktop.network());
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, ENOSPC);
  EXPECT_EQ(network_->attach(0, desktop.network()).error().code, EINVAL);
}

TEST_F(Lifecycle, DetachTwiceIsFineAndLeavesNothing) {
  const FakeDesktop desktop;
  ASSERT_TRUE(network_->attach(3, desktop.network()));
  ASSERT_TRUE(network_->detach(3));
  EXPECT_FALSE(has_link("pnl3"));
  EXPECT_EQ(elements("pnl3"), 0);
  const auto again = network_->detach(3);
  EXPECT_TRUE(again) << again.error().message();
  EXPECT_TRUE(network_->attach(3, desktop.network())) << "and it can come back";
}

TEST_F(Lifecycle, ADeadDesktopTakesItsLinkAlongAndRecoverItsEntries) {
  {
    FakeDesktop desktop;
    ASSERT_TRUE(network_->attach(4, desktop.network()));
    desktop.kill();
  }
  // The kernel takes namespaces down on a worker thread.
  for (int i = 0; i < 100 && has_link("pnl4"); ++i) usleep(50'000);
  EXPECT_FALSE(has_link("pnl4"));
  EXPECT_EQ(elements("pnl4"), 2) << "nobody has told the rules yet";
  const FakeDesktop living;
  ASSERT_TRUE(network_->attach(5, living.network()));
  ASSERT_TRUE(network_->recover({5}));
  EXPECT_EQ(elements("pnl4"), 0);
  EXPECT_EQ(elements("pnl5"), 2);
  EXPECT_TRUE(has_link("pnl5"));
  // Nor does a stale entry hinder the next life of the same desktop.
  const FakeDesktop next;
  EXPECT_TRUE(network_->attach(4, next.network()));
}

TEST_F(Lifecycle, RecoverDetachesWhatIsNotLive) {
  const FakeDesktop one, two;
  ASSERT_TRUE(network_->attach(1, one.network()));
  ASSERT_TRUE(network_->attach(2, two.network()));
  ASSERT_TRUE(network_->recover({2}));
  const auto links = network_->links();
  ASSERT_TRUE(links);
  ASSERT_EQ(links->size(), 1U);
  EXPECT_EQ(links->front().id, 2);
  EXPECT_EQ(elements("pnl1"), 0);
}

TEST_F(Lifecycle, RecoverKeepsALiveLinkThatACrashLeftAmongThoseToGo) {
  const FakeDesktop one, two, three, four, five;
  const FakeDesktop* const all[] = {&one, &two, &three, &four, &five};
  for (DesktopId id = 1; id <= 5; ++id) ASSERT_TRUE(network_->attach(id, all[id - 1]->network()));
  // Groups of links that are removed together ("pnl\0"); another's is its own affair.
  ASSERT_EQ(shell_inside(panal_, "ip link set pnl1 group 0x706e6c00 && ip link set pnl2 group 77"),
            0);
  ASSERT_TRUE(network_->recover({1, 2, 5}));
  EXPECT_TRUE(has_link("pnl1"));
  EXPECT_FALSE(has_link("pnl3") || has_link("pnl4"));
  // Nor does the next lot take it along.
  const FakeDesktop six;
  ASSERT_TRUE(network_->attach(6, six.network()));
  const DesktopId gone[] = {5, 6};
  ASSERT_TRUE(network_->detach_all(gone));
  EXPECT_TRUE(has_link("pnl1"));
  EXPECT_NE(output_inside(panal_, "ip link show dev pnl2").find("group 77"), std::string::npos);
}

TEST_F(Lifecycle, AReopenedNetworkFindsAllAndDoublesNothing) {
  const FakeDesktop one, two;
  ASSERT_TRUE(network_->attach(1, one.network()));
  ASSERT_TRUE(network_->attach(2, two.network()));
  const auto before = output_inside(panal_, "nft -s list ruleset");
  network_.reset();
  network_ = open();
  ASSERT_NE(network_, nullptr);
  EXPECT_EQ(output_inside(panal_, "nft -s list ruleset"), before);
  const auto links = network_->links();
  ASSERT_TRUE(links);
  EXPECT_EQ(links->size(), 2U);
  EXPECT_EQ(network_->attach(1, one.network()).error().code, EEXIST);
  EXPECT_TRUE(network_->detach(1));
}

TEST_F(Lifecycle, OpeningRaisesLinksThatAnEarlierProcessTookDown) {
  const FakeDesktop one, two;
  ASSERT_TRUE(network_->attach(1, one.network()));
  ASSERT_TRUE(network_->attach(2, two.network()));
  // As where nobody could be cut off by rules, and then the process ended.
  ASSERT_EQ(shell_inside(panal_, "ip link set pnl1 down && ip link set pnl2 down"), 0);
  network_.reset();
  network_ = open();
  ASSERT_NE(network_, nullptr);
  EXPECT_EQ(output_inside(panal_, "ip -o link show up | grep -c pnl"), "2\n");
  const auto routes = output_inside(panal_, "ip route; ip -6 route; ip neigh");
  for (const char* wanted : {"10.77.0.1 dev pnl1 proto", "fd77:70::2 dev pnl2 ",
                             "10.77.0.2 dev pnl2 lladdr 02:70:00:00:00:02 PERMANENT"})
    EXPECT_NE(routes.find(wanted), std::string::npos) << wanted << "\n" << routes;
}

TEST_F(Lifecycle, OpeningMendsTamperedRules) {
  ASSERT_EQ(shell_inside(panal_,
                         "nft flush chain inet panal prerouting && "
                         "nft add chain inet panal forward '{ policy accept; }'"),
            0);
  network_ = open();
  const auto rules = output_inside(panal_, "nft list ruleset");
  EXPECT_EQ(rules.find("policy accept"), std::string::npos) << rules;
  EXPECT_NE(rules.find("@senders4"), std::string::npos) << rules;
}

TEST_F(Lifecycle, OtherLinksAreLeftAlone) {
  ASSERT_EQ(shell_inside(panal_,
                         "ip link add pnlx type veth peer name out0 && "
                         "ip link add pnl01 type veth peer name pnl-1"),
            0);
  ASSERT_TRUE(network_->recover({}));
  EXPECT_TRUE(has_link("pnlx"));
  EXPECT_TRUE(has_link("out0"));
  EXPECT_TRUE(has_link("pnl01"));
}

TEST(Open, ABadPlanIsNamed) {
  const auto network =
      Network::open(new_network_namespace(), {"10.77.0.5/16", "fd77::/64"}, Logger::silent());
  ASSERT_FALSE(network);
  EXPECT_EQ(network.error().code, EINVAL);
  EXPECT_NE(network.error().message().find("subnet4"), std::string::npos);
}

TEST(Open, SomethingThatIsNoNamespaceIsRefused) {
  const auto network =
      Network::open(UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)), kPlan, Logger::silent());
  ASSERT_FALSE(network);
  EXPECT_EQ(network.error().code, EINVAL) << network.error().message();
}

}  // namespace
}  // namespace panal::netconfine

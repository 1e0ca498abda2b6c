#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "netconfine/firewall/backend.h"
#include "netconfine/firewall/iptables/iptables.h"
#include "netconfine/firewall/iptables/set_tool.h"
#include "netconfine/netlink/enter.h"
#include "tests/system/netconfine/iptables/plain_world.h"

namespace panal::netconfine {

/// The iptables backend in the real kernel, in each variant of iptables, with and without sets.
class IptablesBackend : public ::testing::TestWithParam<IptablesOptions> {
 protected:
  void SetUp() override {
    if (GetParam().sets && !run_inside(world_.panal(), []() -> Result<void> {
          const auto tool = SetTool::find();
          return tool ? Result<void>{} : tl::make_unexpected(tool.error());
        }))
      GTEST_SKIP() << "ipset or its kernel module is missing: install ipset";
    const auto opened = run_inside(world_.panal(), [&]() -> Result<void> {
      PANAL_ASSIGN(backend_, open_iptables_backend(GetParam()));
      return {};
    });
    ASSERT_TRUE(opened) << opened.error().message();
  }

  static std::string words(const std::vector<Drift>& drifts) {
    std::string text;
    for (const auto& drift : drifts) text += drift.where + " " + drift.what + "\n";
    return text;
  }
  [[nodiscard]] std::string tool(const std::string& name) const {
    return name + (GetParam().variant == IptablesVariant::kNft ? "-nft" : "-legacy");
  }
  std::uint32_t id(const std::string& policy, const std::string& tenant = "") const {
    return policy_id(rules_, policy, tenant);
  }
  static Sender sender(DesktopId id, std::uint32_t policy) {
    return {testing::PlainWorld::addresses(id), policy};
  }
  void load(const std::vector<Sender>& senders) {
    const auto loaded = backend_->load(rules_, senders);
    ASSERT_TRUE(loaded) << loaded.error().message();
    senders_.clear();
    for (const auto& one : senders) senders_[id_of_link(one.addresses.link)] = one;
    expect_no_drift();
  }
  void expect_no_drift() {
    const auto drifts = backend_->audit();
    ASSERT_TRUE(drifts) << drifts.error().message();
    EXPECT_EQ(words(*drifts), "");
  }
  std::string drift() {
    const auto drifts = backend_->audit();
    return drifts ? words(*drifts) : drifts.error().message();
  }
  bool to_outside(DesktopId from, const std::string& destination, Protocol protocol,
                  std::uint16_t port) {
    const bool v6 = destination.find(':') != std::string::npos;
    const auto own = testing::PlainWorld::addresses(from);
    return testing::arrives(world_.desktop(from), v6 ? to_string(own.ipv6) : to_string(own.ipv4),
                            world_.outside(), destination, protocol, port);
  }
  std::uint64_t dropped(const std::string& reason) {
    const auto drops = backend_->drops();
    if (!drops) ADD_FAILURE() << drops.error().message();
    for (const auto& drop : *drops)
      if (drop.reason == reason) return drop.packets;
    return 0;
  }
  /// Desktops 1 to 7 with all kinds of policy.
  std::vector<Sender> everybody() const {
    return {sender(1, id("office", "t1")), sender(2, id("office", "t1")),
            sender(3, id("pupil", "t1")),  sender(4, id("free")),
            sender(5, id("lonely")),       sender(6, 0),
            sender(7, id("office", "t2"))};
  }
  void add_desktops(DesktopId last) {
    for (DesktopId desktop = 1; desktop <= last; ++desktop) world_.add_desktop(desktop);
  }

  testing::PlainWorld world_;
  Ruleset rules_ = testing::PlainWorld::rules();
  std::map<DesktopId, Sender> senders_;
  std::unique_ptr<FirewallBackend> backend_;
};

}  // namespace panal::netconfine

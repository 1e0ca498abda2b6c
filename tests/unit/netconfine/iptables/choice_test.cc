#include "netconfine/firewall/choice/choice.h"

#include <gtest/gtest.h>

namespace panal::netconfine {
namespace {

/// Loads whatever it is told, and writes down what happens.
class FakeFirewall : public FirewallBackend {
 public:
  FakeFirewall(const char* name, std::string& events) : name_(name), events_(events) {}
  [[nodiscard]] const char* name() const override { return name_; }
  Result<void> load(const Ruleset& rules, const std::vector<Sender>&) override {
    events_ += std::string("load ") + name_ + "; ";
    if (rules.uplink == "bad") return fail(EINVAL, "bad rules");
    return {};
  }
  Result<void> put(std::span<const Sender>) override { return {}; }
  Result<void> remove(std::span<const Addresses>) override { return {}; }
  Result<std::vector<std::string>> links() override { return std::vector<std::string>{"pnl1"}; }
  Result<std::vector<DropCounter>> drops() override { return std::vector<DropCounter>{}; }
  Result<std::vector<Drift>> audit() override { return std::vector<Drift>{}; }
  Result<void> cut_off() override { return {}; }

 private:
  const char* name_;
  std::string& events_;
};

class Choice : public ::testing::Test {
 protected:
  FirewallWay way(const char* name, Error refusal = {}) {
    return {.open = [this, name, refusal]() -> Result<std::unique_ptr<FirewallBackend>> {
              if (refusal.code != 0) return tl::make_unexpected(refusal);
              return std::make_unique<FakeFirewall>(name, events);
            },
            .clear = [this, name]() -> Result<void> {
              events += std::string("clear ") + name + "; ";
              return {};
            }};
  }
  std::string events;
};

TEST_F(Choice, AutoTakesNftablesAndSaysWhy) {
  const auto chosen = choose_firewall(FirewallChoice::kAuto, way("nftables"), way("iptables"));
  ASSERT_TRUE(chosen);
  EXPECT_STREQ(chosen->backend->name(), "nftables");
  EXPECT_EQ(chosen->why,
            "nftables: the kernel has it, and its costs do not grow with the desktops");
}

TEST_F(Choice, AutoFallsBackWhereTheKernelHasNoNftables) {
  const auto chosen = choose_firewall(
      FirewallChoice::kAuto, way("nftables", {EPROTONOSUPPORT, "nftables: this kernel has none"}),
      way("iptables"));
  ASSERT_TRUE(chosen);
  EXPECT_STREQ(chosen->backend->name(), "iptables");
  EXPECT_EQ(chosen->why,
            "iptables: nftables: this kernel has none; so it is iptables; bridged groups need "
            "nftables");
}

TEST_F(Choice, NotBeingRootIsNoReasonToFallBack) {
  const auto chosen = choose_firewall(FirewallChoice::kAuto,
                                      way("nftables", {EPERM, "open a socket"}), way("iptables"));
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code, EPERM);
}

TEST_F(Choice, NeitherIsOneSentenceWithBoth) {
  const auto chosen =
      choose_firewall(FirewallChoice::kAuto, way("nftables", {EPROTONOSUPPORT, "none here"}),
                      way("iptables", {EPROTONOSUPPORT, "no programs"}));
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().context, "no firewall can be had: none here; no programs");
}

TEST_F(Choice, WhatIsAskedForIsTakenOrRefused) {
  EXPECT_STREQ(
      choose_firewall(FirewallChoice::kIptables, way("nftables"), way("iptables"))->backend->name(),
      "iptables");
  EXPECT_EQ(choose_firewall(FirewallChoice::kNftables, way("nftables", {EPROTONOSUPPORT, "none"}),
                            way("iptables"))
                .error()
                .context,
            "none");
}

TEST_F(Choice, TheOtherGoesOnceTheFirstRulesStand) {
  auto chosen = choose_firewall(FirewallChoice::kIptables, way("nftables"), way("iptables"));
  ASSERT_TRUE(chosen);
  EXPECT_EQ(events, "");
  EXPECT_FALSE(chosen->backend->load({.policies = {}, .uplink = "bad"}, {}));
  EXPECT_EQ(events, "load iptables; ");
  ASSERT_TRUE(chosen->backend->load({}, {}));
  EXPECT_EQ(events, "load iptables; load iptables; clear nftables; ");
  ASSERT_TRUE(chosen->backend->load({}, {}));
  EXPECT_EQ(events, "load iptables; load iptables; clear nftables; load iptables; ");
  EXPECT_EQ(*chosen->backend->links(), std::vector<std::string>{"pnl1"});
}

TEST(FirewallChoice, WordsAndTheirNeighbours) {
  for (const char* text : {"auto", "nftables", "iptables"})
    EXPECT_STREQ(to_string(*parse_firewall_choice(text)), text);
  EXPECT_EQ(parse_firewall_choice("nftable").error().context,
            "backend \"nftable\": want \"auto\", \"nftables\" or \"iptables\"; did you mean "
            "\"nftables\"?");
  EXPECT_EQ(parse_firewall_choice("").error().code, EINVAL);
}

}  // namespace
}  // namespace panal::netconfine

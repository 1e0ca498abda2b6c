#include "runtime/netpolicy/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "netconfine/policy/text.h"
#include "runtime/netpolicy/policy_file.h"
#include "runtime/netpolicy/query.h"

namespace panal::netpolicy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr const char* kPolicies = R"(
default = "office"
[service.dns]
to = ["10.0.0.53"]
ports = ["53/udp"]
[policy.office]
reach = ["dns"]
[policy.class]
group = "room"
)";

netconfine::PolicySet read(const std::string& text) {
  const auto set = netconfine::parse_policies(text, "n.toml");
  EXPECT_TRUE(set) << set.error().message();
  return set.value_or(netconfine::PolicySet());
}

store::DesktopNetPolicy row(DesktopId id, const std::string& tenant, const std::string& policy) {
  return {id,     "d" + std::to_string(id),      tenant, "icewm", "n1",
          policy, policy.empty() ? "" : "tenant"};
}

Plan plan(const std::vector<store::DesktopNetPolicy>& rows,
          const netconfine::PolicySet& set = read(kPolicies)) {
  const auto made = make_plan(set, rows, config::Config());
  EXPECT_TRUE(made) << made.error().message();
  return made.value_or(Plan());
}

TEST(Plan, EverybodyHasThePolicyThatIsClosest) {
  const Plan made = plan({row(1, "acme", ""), row(2, "acme", "class"), row(3, "beta", "class"),
                          row(4, "acme", "none"), row(5, "acme", "gone")});
  const auto& of = made.desktops;
  EXPECT_EQ(of.at(1).policy, "office");
  EXPECT_EQ(of.at(1).given_by, "default");
  EXPECT_NE(of.at(1).id, 0U);
  EXPECT_EQ(of.at(2).given_by, "tenant");
  EXPECT_NE(of.at(2).id, of.at(3).id) << "a group ends at the tenant";
  EXPECT_EQ(of.at(4).id, 0U);
  EXPECT_FALSE(of.at(4).missing);
  EXPECT_EQ(of.at(5).id, 0U) << "what is not known allows nothing, not what the default does";
  EXPECT_TRUE(of.at(5).missing);
  EXPECT_EQ(made.policies().size(), 5U);
}

TEST(Plan, WithoutAFileNothingIsAllowed) {
  const Plan made = plan({row(1, "acme", ""), row(2, "acme", "class")}, {});
  EXPECT_EQ(made.desktops.at(1).policy, netconfine::kNoPolicy);
  EXPECT_FALSE(made.desktops.at(1).missing);
  EXPECT_TRUE(made.desktops.at(2).missing);
  EXPECT_THAT(made.rules.policies, IsEmpty());
}

TEST(Plan, TakesOneMoreWhereItsRulesSuffice) {
  Plan made = plan({row(1, "acme", "class")});
  EXPECT_TRUE(place(made, row(2, "acme", "class")));
  EXPECT_EQ(made.desktops.at(2).id, made.desktops.at(1).id);
  EXPECT_TRUE(place(made, row(3, "beta", "")));
  EXPECT_TRUE(place(made, row(1, "acme", "none")));
  EXPECT_EQ(made.desktops.at(1).id, 0U);
  EXPECT_FALSE(place(made, row(4, "beta", "class"))) << "that tenant has no group yet";
  EXPECT_EQ(made.desktops.count(4), 0U);
  EXPECT_TRUE(place(made, row(5, "beta", "gone")));
  EXPECT_TRUE(made.desktops.at(5).missing);
}

TEST(Plan, ServicesAmongTheDesktopsAddressesAreRefused) {
  const auto made = make_plan(read("[service.x]\nto = [\"10.77.0.0/24\"]\n"), {}, config::Config());
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().context, HasSubstr("10.77.0.0/24 is an address of desktops"));
}

TEST(Plan, TheUplinkIsTheConfigurations) {
  config::Config config;
  for (const auto& [kind, masked] :
       {std::pair("nic", true), std::pair("macvlan", true), std::pair("veth", false)}) {
    config.uplink = kind;
    config.uplink_device = "eth1";
    config.uplink_address4 = masked ? "192.168.1.9" : "";
    config.uplink_gateway4 = masked ? "192.168.1.1" : "";
    const auto made = make_plan(read(kPolicies), {}, config);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->rules.uplink, "uplink0") << kind;
    EXPECT_EQ(made->rules.masquerade, masked) << kind;
  }
  config.uplink_device.clear();
  EXPECT_EQ(make_plan(read(kPolicies), {}, config).error().code, EINVAL) << "no device";
}

TEST(Plan, GroupsHaveBridgesButByIptables) {
  const auto set = read("[group.room]\nbridge = true\n[policy.class]\ngroup = \"room\"\n");
  config::Config config;
  for (const char* backend : {"auto", "nftables"}) {
    config.firewall_backend = backend;
    const auto made = make_plan(set, {row(1, "acme", "class")}, config);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_TRUE(made->rules.policies.at(0).bridged) << backend;
  }
  config.firewall_backend = "iptables";
  const auto refused = make_plan(set, {}, config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EOPNOTSUPP);
  EXPECT_THAT(refused.error().context, HasSubstr("bridged groups need nftables"));
}

TEST(Plan, AnswersWithTheRule) {
  const Plan made = plan({row(7, "acme", "")});
  const auto pool = netconfine::AddressPool::parse("10.77.0.0/16", "fd77:7061:6e61::/64");
  Query query;
  query.from.desktop = 7;
  query.to.address = netconfine::Prefix{false, {10, 0, 0, 53}, 32};
  query.traffic = {netconfine::Protocol::kUdp, {53, 53}};
  const auto said = answer(made, *pool, query);
  ASSERT_TRUE(said) << said.error().message();
  const auto json = to_json(made, query, *said);
  EXPECT_EQ(json["from"]["address"], "10.77.0.7");
  EXPECT_EQ(json["from"]["policy"], "office");
  EXPECT_EQ(json["from"]["given_by"], "default");
  EXPECT_EQ(json["to"]["address"], "10.0.0.53");
  EXPECT_FALSE(json["to"].contains("desktop"));
  EXPECT_EQ(json["traffic"], "53/udp");
  EXPECT_EQ(json["allowed"], false);
  EXPECT_EQ(json["rule"], "no uplink: nothing leads outside");
  query.from.desktop = 8;
  EXPECT_EQ(answer(made, *pool, query).error().code, ENOENT);
}

TEST(PolicyFile, OneThatIsNotThereAllowsNothing) {
  const auto none = read_policy_file("/nonexistent/network.toml");
  ASSERT_TRUE(none) << none.error().message();
  EXPECT_FALSE(none->there);
  EXPECT_EQ(none->set, netconfine::PolicySet());
  EXPECT_EQ(read_policy_file("/").error().code, EISDIR);
  const auto example = read_policy_file(PANAL_SOURCE_DIR "/scripts/network.toml");
  ASSERT_TRUE(example) << example.error().message();
  EXPECT_TRUE(example->there);
}

TEST(LineLimits, AreOfTheWholeNode) {
  config::Config config;
  EXPECT_EQ(*line_limits(config), netconfine::LineLimits());
  config.line_send = "100 Mbit";
  config.line_receive = "1 Gbit";
  const auto line = line_limits(config);
  ASSERT_TRUE(line) << line.error().message();
  EXPECT_EQ(*line, (netconfine::LineLimits{100'000'000, 1'000'000'000}));
  for (const char* text :
       {"fast", "100", "1 GB", "-1 bit", "1.5 Gbit", "100 Mbit/s", "99999999999999999999 bit"}) {
    config.line_send = text;
    const auto bad = line_limits(config);
    ASSERT_FALSE(bad) << text;
    EXPECT_EQ(bad.error().code, EINVAL);
    EXPECT_THAT(bad.error().context, HasSubstr("line_send = \""));
  }
}

TEST(PolicyFile, AMistakeIsToldWithItsPlace) {
  const std::string path =
      (std::filesystem::temp_directory_path() / "panal-policy-file-test.toml").string();
  std::ofstream(path) << "\n[policy.none]\n";
  const auto bad = read_policy_file(path);
  std::filesystem::remove(path);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, EPROTO);
  EXPECT_THAT(bad.error().context, HasSubstr(path + ":2: policy none is there already"));
}

TEST(PolicyFile, DifferencesAreNamed) {
  const auto then = read(kPolicies);
  EXPECT_THAT(differences(then, then), IsEmpty());
  const auto now = read(R"(
[service.dns]
to = ["10.0.0.54"]
[service.web]
to = ["internet"]
[policy.office]
reach = ["dns"]
)");
  EXPECT_THAT(differences(then, now),
              UnorderedElementsAre("default: office -> none", "service dns changed",
                                   "service web added", "policy class removed"));
  const std::string pupil = "[policy.pupil]\ngroup = \"room\"\n";
  EXPECT_THAT(differences(read(pupil), read(pupil + "[group.room]\nbridge = true\n")),
              UnorderedElementsAre("group room added"));
  EXPECT_THAT(differences(netconfine::PolicySet(), read("default = \"none\"\n")), IsEmpty())
      << "the same, said in two ways";
}

}  // namespace
}  // namespace panal::netpolicy

#include "netconfine/uplink/uplink_plan.h"

#include <gtest/gtest.h>

#include <functional>

#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

Result<UplinkPlan> parse(const UplinkSettings& settings) {
  return parse_uplink(settings, *parse_prefix("10.77.0.0/16"), *parse_prefix("fd77:70::/64"));
}

UplinkSettings macvlan() {
  UplinkSettings settings;
  settings.kind = "macvlan";
  settings.device = "eth0";
  settings.address4 = "192.168.1.9";
  settings.gateway4 = "192.168.1.1";
  return settings;
}

TEST(UplinkPlan, NoneIsTheDefault) {
  const auto plan = parse({});
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->kind, UplinkKind::kNone);
  EXPECT_FALSE(plan->masquerade());
}

TEST(UplinkPlan, AMacvlanHasAddressesRoutersAndWhatIsDirect) {
  auto settings = macvlan();
  settings.address6 = "2001:db8::9";
  settings.gateway6 = "fe80::1";
  settings.direct = {"192.168.1.128/26", "192.168.1.5", "192.168.1.128/27", "2001:db8::/124"};
  const auto plan = parse(settings);
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->kind, UplinkKind::kMacvlan);
  EXPECT_EQ(*plan->address4, (Ipv4{192, 168, 1, 9}));
  EXPECT_EQ(*plan->gateway4, (Ipv4{192, 168, 1, 1}));
  EXPECT_TRUE(plan->gateway6);
  EXPECT_EQ(plan->direct.size(), 3U) << "one contains another";
  EXPECT_TRUE(plan->masquerade());
}

TEST(UplinkPlan, AVethNeedsOnlyTheDevice) {
  const auto plan = parse({.kind = "veth", .device = "eth0.100"});
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_FALSE(plan->masquerade()) << "the host does it";
}

TEST(UplinkPlan, BadSettingsAreNamed) {
  struct Case {
    const char* what;
    std::function<void(UplinkSettings&)> change;
    const char* says;
  };
  const std::vector<Case> cases = {
      {"kind", [](auto& s) { s.kind = "mcvlan"; }, "(\"macvlan\"?)"},
      {"no kind", [](auto& s) { s.kind = ""; }, "uplink \"\": want none, nic, macvlan, veth"},
      {"no device", [](auto& s) { s.device = ""; }, "uplink_device \"\": name the host's link"},
      {"long", [](auto& s) { s.device = "abcdefghijklmnop"; }, "is no name of a link"},
      {"quote", [](auto& s) { s.device = "a\"b"; }, "is no name of a link"},
      {"slash", [](auto& s) { s.device = "../all"; }, "is no name of a link"},
      {"option", [](auto& s) { s.device = "-j"; }, "is no name of a link"},
      {"newline", [](auto& s) { s.device = "a\nb"; }, "is no name of a link"},
      {"zero", [](auto& s) { s.device = std::string("a\0b", 3); }, "is no name of a link"},
      {"lo", [](auto& s) { s.device = "lo"; }, "is not a link to the outside"},
      {"ours", [](auto& s) { s.device = "pnl7"; }, "is not a link to the outside"},
      {"itself", [](auto& s) { s.device = "panal-uplink"; }, "is not a link to the outside"},
      {"length", [](auto& s) { s.address4 = "192.168.1.9/24"; }, "write the address alone"},
      {"text", [](auto& s) { s.address4 = "gate"; }, "uplink_address4 \"gate\": is no address"},
      {"family", [](auto& s) { s.address4 = "2001:db8::9"; }, "is no IPv4 address"},
      {"family 6", [](auto& s) { s.address6 = "192.168.1.9", s.gateway6 = "fe80::1"; },
       "is no IPv6 address"},
      {"half", [](auto& s) { s.gateway4 = ""; }, "needs uplink_gateway4"},
      {"other half", [](auto& s) { s.address4 = ""; }, "needs uplink_address4"},
      {"none", [](auto& s) { s.address4 = s.gateway4 = ""; }, "give it an address and a router"},
      {"same", [](auto& s) { s.gateway4 = s.address4; }, "is the uplink's own address"},
      {"loopback", [](auto& s) { s.gateway4 = "127.0.0.1"; }, "is no address of a host"},
      {"multicast", [](auto& s) { s.gateway4 = "224.0.0.1"; }, "is no address of a host"},
      {"desktop", [](auto& s) { s.gateway4 = "10.77.0.1"; }, "lies among desktops' addresses"},
      {"much direct", [](auto& s) { s.direct = {"192.168.0.0/23"}; }, "more than 256 addresses"},
      {"sum", [](auto& s) { s.direct = {"192.168.0.0/24", "192.168.2.1"}; }, "more than 256"},
      {"all", [](auto& s) { s.direct = {"0.0.0.0/0"}; }, "lies among desktops' addresses"},
      {"no such family", [](auto& s) { s.direct = {"2001:db8::/120"}; }, "no address of this"},
      {"wide 6",
       [](auto& s) {
         s.address6 = "2001:db8::9", s.gateway6 = "fe80::1", s.direct = {"2001:db8::/64"};
       },
       "more than 256 addresses"},
      {"bits", [](auto& s) { s.direct = {"192.168.1.1/24"}; }, "bits past its length"},
      {"unused device", [](auto& s) { s = {.kind = "none", .device = "eth0"}; }, "is not used"},
      {"unused address", [](auto& s) { s.kind = "veth"; },
       "uplink_address4 \"192.168.1.9\": is not used"},
      {"unused direct",
       [](auto& s) { s = {.kind = "veth", .device = "eth0"}, s.direct = {"192.168.1.5"}; },
       "uplink_direct \"192.168.1.5\": is not used"},
  };
  for (const auto& one : cases) {
    auto settings = macvlan();
    one.change(settings);
    const auto plan = parse(settings);
    ASSERT_FALSE(plan) << one.what;
    EXPECT_EQ(plan.error().code, EINVAL) << one.what;
    EXPECT_NE(plan.error().message().find(one.says), std::string::npos)
        << one.what << ": " << plan.error().message();
  }
}

}  // namespace
}  // namespace panal::netconfine

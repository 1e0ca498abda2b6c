// docs/network.md shows the rules as they are.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "netconfine/netlink/enter.h"
#include "tests/system/netconfine/world.h"

namespace panal::netconfine {
namespace {

using namespace testing;

std::string documented() {
  std::ifstream file(std::string(PANAL_SOURCE_DIR) + "/docs/network.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str(), begin = "<!-- ruleset -->\n```\n";
  const auto first = all.find(begin);
  const auto end = all.find("```", first + begin.size());
  if (first == std::string::npos || end == std::string::npos) return "docs/network.md has no rules";
  return all.substr(first + begin.size(), end - first - begin.size());
}

TEST(NftText, DocumentsShowTheRulesAsTheKernelHasThem) {
  NetPolicy office = policy("office", {"dns"}, {"monitoring"});
  office.limits.connections = 200;
  office.limits.new_connections_per_second = 50;
  office.log = NetLog::kDenied;
  const auto set =
      policies({service("dns", {"10.1.0.0/24"},
                        {{Protocol::kUdp, {53, 53}}, {Protocol::kTcp, {53, 53}}}, {"10.1.0.1"}),
                service("monitoring", {"fd00:9::/32"}, {{Protocol::kIcmp, {}}})},
               {office, policy("room", {}, {}, "class")});
  const auto rules = compile(
      set, {.uplink = "up0", .masquerade = true, .desktops = {}, .uses = {{"room", "acme"}}});
  ASSERT_TRUE(rules) << rules.error().message();
  const auto pool = *AddressPool::parse(kWorldPlan.subnet4, kWorldPlan.subnet6);
  const std::vector<Sender> senders = {{*pool.of(7), policy_id(*rules, "office", "acme")},
                                       {*pool.of(8), policy_id(*rules, "room", "acme")}};
  const auto panal = new_network_namespace();
  const auto loaded = run_inside(panal, [&]() -> Result<void> {
    PANAL_ASSIGN(auto firewall, open_nftables_backend());
    return firewall->load(*rules, senders);
  });
  ASSERT_TRUE(loaded) << loaded.error().message();
  auto text = output_inside(panal, "nft -s list ruleset");
  for (std::size_t at = 0; (at = text.find('\t', at)) != std::string::npos;) {
    text.replace(at, 1, "  ");
  }
  EXPECT_EQ(text, documented());
}

}  // namespace
}  // namespace panal::netconfine

#include "netconfine/bridge/bridge_rules.h"

#include <gtest/gtest.h>

#include "netconfine/bridge/group_bridges.h"

namespace panal::netconfine {
namespace {

Sender member(DesktopId id) {
  return {*AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id), 1};
}

TEST(BridgeRules, APortPassesItsOwnAddressesOnly) {
  EXPECT_EQ(bridge_rules_text({{7, member(7)}, {12, member(12)}, {130, member(130)}}),
            R"(*filter
:INPUT DROP
:FORWARD DROP
:OUTPUT DROP
:PANAL-PORT RETURN
:PANAL-PORT-1 RETURN
-A PANAL-PORT -i png1+ -j PANAL-PORT-1
-A PANAL-PORT -p ARP -s 02:70:00:00:00:07 -i png7 --arp-op Request --arp-ip-src 10.77.0.7 --arp-mac-src 02:70:00:00:00:07 --limit 100/sec --limit-burst 200 -j ACCEPT
-A PANAL-PORT -p IPv4 -s 02:70:00:00:00:07 -d Multicast -i png7 --ip-src 10.77.0.7 --limit 100/sec --limit-burst 200 -j ACCEPT
-A PANAL-PORT -p IPv6 -s 02:70:00:00:00:07 -d Multicast -i png7 --ip6-src fd77:70::7 --limit 100/sec --limit-burst 200 -j ACCEPT
-A PANAL-PORT -d Multicast -i png7 -j DROP
-A PANAL-PORT -p IPv4 -s 02:70:00:00:00:07 -i png7 --ip-src 10.77.0.7 -j ACCEPT
-A PANAL-PORT -p IPv6 -s 02:70:00:00:00:07 -i png7 --ip6-src fd77:70::7 -j ACCEPT
-A PANAL-PORT-1 -p ARP -s 02:70:00:00:00:0c -i png12 --arp-op Request --arp-ip-src 10.77.0.12 --arp-mac-src 02:70:00:00:00:0c --limit 100/sec --limit-burst 200 -j ACCEPT
-A PANAL-PORT-1 -p IPv4 -s 02:70:00:00:00:0c -d Multicast -i png12 --ip-src 10.77.0.12 --limit 100/sec --limit-burst 200 -j ACCEPT
-A PANAL-PORT-1 -p IPv6 -s 02:70:00:00:00:0c -d Multicast -i png12 --ip6-src fd77:70::c --limit 100/sec --limit-burst 200 -j ACCEPT
-A PANAL-PORT-1 -d Multicast -i png12 -j DROP
-A PANAL-PORT-1 -p IPv4 -s 02:70:00:00:00:0c -i png12 --ip-src 10.77.0.12 -j ACCEPT
-A PANAL-PORT-1 -p IPv6 -s 02:70:00:00:00:0c -i png12 --ip6-src fd77:70::c -j ACCEPT
-A PANAL-PORT-1 -p ARP -s 02:70:00:00:00:82 -i png130 --arp-op Request --arp-ip-src 10.77.0.130 --arp-mac-src 02:70:00:00:00:82 --limit 100/sec --limit-burst 200 -j ACCEPT
-A PANAL-PORT-1 -p IPv4 -s 02:70:00:00:00:82 -d Multicast -i png130 --ip-src 10.77.0.130 --limit 100/sec --limit-burst 200 -j ACCEPT
-A PANAL-PORT-1 -p IPv6 -s 02:70:00:00:00:82 -d Multicast -i png130 --ip6-src fd77:70::82 --limit 100/sec --limit-burst 200 -j ACCEPT
-A PANAL-PORT-1 -d Multicast -i png130 -j DROP
-A PANAL-PORT-1 -p IPv4 -s 02:70:00:00:00:82 -i png130 --ip-src 10.77.0.130 -j ACCEPT
-A PANAL-PORT-1 -p IPv6 -s 02:70:00:00:00:82 -i png130 --ip6-src fd77:70::82 -j ACCEPT
-A FORWARD -i pnt+ -j ACCEPT
-A FORWARD -i pnu+ -j ACCEPT
-A FORWARD -p IPv6 --ip6-proto ipv6-icmp --ip6-icmp-type 133:137/0:255 -j DROP
-A FORWARD -i png+ -j PANAL-PORT
)");
}

TEST(BridgeRules, NobodyPassesNothing) {
  const auto text = bridge_rules_text({});
  EXPECT_NE(text.find(":FORWARD DROP"), std::string::npos);
  EXPECT_EQ(text.find("-A PANAL-PORT"), std::string::npos);
}

TEST(GroupLinkNames, AreTheirOwn) {
  EXPECT_EQ(group_link_name(7), "png7");
  EXPECT_EQ(id_of_group_link("png7"), 7);
  for (const char* name : {"pnl7", "png", "png07", "png7x", ""})
    EXPECT_EQ(id_of_group_link(name), 0);
  EXPECT_EQ(bridge_name(3, 0), "pnb3-0");
}

}  // namespace
}  // namespace panal::netconfine

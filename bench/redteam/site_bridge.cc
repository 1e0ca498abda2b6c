// What others do: all desktops on one bridge that the host is on, too.
#include <fmt/format.h>

#include "bench/redteam/site.h"

namespace panal::bench {
namespace {

struct BridgePlan {
  const char* bridge;
  const char* mac;
  const char* prefix4;  ///< its first three numbers, with a dot
  const char* prefix6;  ///< with "::"; "": nobody gives any, so that there is only link-local
  const char* macs;     ///< of desktops, less two digits
  const char* links;    ///< on the host, less a digit
  unsigned first;       ///< last number of the first desktop's address
};

Mac mac_of(const std::string& text) {
  Mac mac{};
  for (std::size_t i = 0; i < mac.size(); ++i)
    mac[i] = static_cast<std::uint8_t>(std::stoul(text.substr(i * 3, 2), nullptr, 16));
  return mac;
}

std::string mac_of_desktop(const BridgePlan& plan, std::size_t i) {
  return fmt::format("{}{:02x}", plan.macs, plan.first + i);
}

Result<void> add_desktop(Site& site, const BridgePlan& plan, std::size_t i) {
  const std::string mac = mac_of_desktop(plan, i);
  PANAL_ASSIGN(site.desktops[i], new_network());
  PANAL_TRY(ip_commands(
      site.host, fmt::format("link add {0}{1} type veth peer name inside{1}\n"
                             "link set {0}{1} master {2}\n"
                             "link set {0}{1} up\n"
                             "link set inside{1} netns {3}\n",
                             plan.links, plan.first + i, plan.bridge, path_of(site.desktops[i]))));
  // Duplicate address detection would keep addresses away for a second.
  PANAL_TRY(set_sysctls(site.desktops[i], {{"ipv6/conf/default/accept_dad", "0"}}));
  const std::string address4 = fmt::format("{}{}", plan.prefix4, plan.first + i);
  std::string lines = fmt::format(
      "link set lo up\n"
      "link set inside{0} name eth0\n"
      "link set eth0 address {1}\n"
      "link set eth0 up\n"
      "address add {2}/24 broadcast + dev eth0\n"
      "route add default via {3}1\n",
      plan.first + i, mac, address4, plan.prefix4);
  site.macs[i] = mac_of(mac);
  site.addresses4[i] = ip4(address4);
  if (*plan.prefix6 != '\0') {
    const std::string address6 = fmt::format("{}{:x}", plan.prefix6, plan.first + i);
    lines += fmt::format("address add {0}/64 dev eth0 nodad\nroute add default via {1}1\n",
                         address6, plan.prefix6);
    site.addresses6[i] = ip6(address6);
  }
  return ip_commands(site.desktops[i], lines);
}

Result<Site> bridge_site(const BridgePlan& plan, bool bridge_calls_iptables) {
  Site site;
  site.masks = true;
  PANAL_ASSIGN(site.host, new_network());
  PANAL_ASSIGN(site.outside, new_network());
  PANAL_TRY(set_sysctls(site.host, {{"ipv4/ip_forward", "1"},
                                    {"ipv6/conf/all/forwarding", "1"},
                                    {"ipv6/conf/default/accept_dad", "0"}}));
  // Where br_netfilter is not there, nothing is to be said about it.
  const auto calls = set_sysctls(
      site.host, {{"bridge/bridge-nf-call-iptables", bridge_calls_iptables ? "1" : "0"},
                  {"bridge/bridge-nf-call-ip6tables", bridge_calls_iptables ? "1" : "0"}});
  if (!calls && bridge_calls_iptables)
    return fail(EPROTONOSUPPORT, "bridge: the kernel has no br_netfilter");
  std::string lines = fmt::format(
      "link add {0} type bridge\n"
      "link set {0} address {1}\n"
      "address add {2}1/24 broadcast + dev {0}\n"
      "link set {0} up\n",
      plan.bridge, plan.mac, plan.prefix4);
  if (*plan.prefix6 != '\0')
    lines += fmt::format("address add {}1/64 dev {} nodad\n", plan.prefix6, plan.bridge);
  PANAL_TRY(ip_commands(site.host, lines));
  PANAL_TRY(add_outside(site));
  for (std::size_t i = 0; i < site.desktops.size(); ++i) PANAL_TRY(add_desktop(site, plan, i));
  Ground& g = site.ground;
  g.me = site.macs[Site::kMe];
  g.victim = g.to_victim = site.macs[Site::kVictim];
  g.third = g.to_third = site.macs[Site::kThird];
  g.me4 = site.addresses4[Site::kMe];
  g.victim4 = site.addresses4[Site::kVictim];
  g.third4 = site.addresses4[Site::kThird];
  complete(g);
  g.host = mac_of(plan.mac);
  g.gateway4 = ip4(fmt::format("{}1", plan.prefix4));
  g.nobody4 = ip4(fmt::format("{}200", plan.prefix4));
  g.network4 = ip4(fmt::format("{}0", plan.prefix4));
  g.broadcast4 = ip4(fmt::format("{}255", plan.prefix4));
  const std::string prefix6 = *plan.prefix6 != '\0' ? plan.prefix6 : "fe80::";
  g.network6 = ip6(prefix6);
  g.nobody6 = ip6(prefix6 + "c8");
  if (*plan.prefix6 != '\0') {
    g.gateway6 = ip6(prefix6 + "1");
  } else {
    g.gateway6 = g.host6 = link_local(g.host);
    for (std::size_t i = 0; i < site.desktops.size(); ++i)
      site.addresses6[i] = link_local(site.macs[i]);
  }
  g.me6 = site.addresses6[Site::kMe];
  g.victim6 = site.addresses6[Site::kVictim];
  g.third6 = site.addresses6[Site::kThird];
  return site;
}

// QVD's rules as it publishes them: the node's, appended in this order (protect_host and
// protect_vms on, allow_login_from_vm off, NAT), and each desktop's against spoofing.
std::string qvd_iptables() {
  constexpr const char* kDesktops = "10.3.15.50-10.3.15.254";
  constexpr const char* kNodes = "10.3.15.1-10.3.15.49";
  const std::string from = fmt::format("-m iprange --src-range {}", kDesktops);
  return fmt::format(R"(*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD {from} --dst-range {nodes} -p tcp --syn -j DROP
-A INPUT {from} -p tcp --syn -j DROP
-A FORWARD {from} --dst-range {nodes} -p tcp -j ACCEPT
-A INPUT {from} -p tcp -j ACCEPT
-A INPUT {from} -p udp -m multiport --dports 67,53 -j ACCEPT
-A INPUT {from} -p tcp --dport 53 -j ACCEPT
-A FORWARD {from} --dst-range {nodes} -j DROP
-A INPUT {from} -j DROP
-A FORWARD {from} --dst-range {desktops} -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING {from} -o up0 -j MASQUERADE
COMMIT
)",
                     fmt::arg("from", from), fmt::arg("nodes", kNodes),
                     fmt::arg("desktops", kDesktops));
}

std::string qvd_ebtables(const BridgePlan& plan, const Site& site) {
  std::string chains, rules;
  for (std::size_t i = 0; i < site.desktops.size(); ++i) {
    const auto number = plan.first + i;
    const std::string mac = mac_of_desktop(plan, i);
    const std::string address = netconfine::to_string(site.addresses4[i]);
    for (const char* base : {"INPUT", "FORWARD"}) {
      const std::string chain = fmt::format("QVD_{}_{}", number, base);
      chains += ":" + chain + " ACCEPT\n";
      rules += fmt::format("-A {} -i {}{} -j {}\n", base, plan.links, number, chain);
      rules += fmt::format("-A {} -s ! {} -j DROP\n", chain, mac);
      const char* source = std::string(base) == "INPUT" ? "--ip-src 0.0.0.0 " : "";
      rules += fmt::format("-A {} -p IPv4 {}--ip-proto udp --ip-dport 67 -j DROP\n", chain, source);
      rules += fmt::format("-A {} -p IPv4 --ip-src ! {} -j DROP\n", chain, address);
    }
  }
  return "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n" + chains + rules;
}

}  // namespace

// lxc-net's own rules let everything pass, and hide what leaves.
Result<Site> lxc_site() {
  PANAL_ASSIGN(auto site, bridge_site({"lxcbr0", "00:16:3e:00:00:00", "10.0.3.",
                                       "fc42:5009:ba4b:5ab0::", "00:16:3e:00:00:", "veth", 11},
                                      false));
  PANAL_TRY(run_program_in(
      site.host, "nft", {"-f", "-"},
      "add table inet lxc\n"
      "add chain inet lxc input { type filter hook input priority 0; }\n"
      "add rule inet lxc input iifname \"lxcbr0\" udp dport { 53, 67 } accept\n"
      "add rule inet lxc input iifname \"lxcbr0\" tcp dport { 53, 67 } accept\n"
      "add chain inet lxc forward { type filter hook forward priority 0; }\n"
      "add rule inet lxc forward iifname \"lxcbr0\" accept\n"
      "add rule inet lxc forward oifname \"lxcbr0\" accept\n"
      "add table ip lxc\n"
      "add chain ip lxc postrouting { type nat hook postrouting priority 100; }\n"
      "add rule ip lxc postrouting ip saddr 10.0.3.0/24 ip daddr != 10.0.3.0/24 counter "
      "masquerade\n"));
  return site;
}

Result<Site> qvd_site() {
  const BridgePlan plan{"qvdnet", "54:52:00:03:0f:01", "10.3.15.", "", "54:52:00:03:0f:", "qvd",
                        51};
  PANAL_ASSIGN(auto site, bridge_site(plan, true));
  site.third_reaches4 = false;
  PANAL_TRY(run_program_in(site.host, "iptables-restore", {}, qvd_iptables()));
  PANAL_TRY(run_program_in(site.host, "ebtables-restore", {}, qvd_ebtables(plan, site)));
  return site;
}

}  // namespace panal::bench

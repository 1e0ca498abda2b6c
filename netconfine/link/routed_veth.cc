#include "netconfine/link/routed_veth.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "netconfine/link/find_link.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/netlink/steps.h"

namespace panal::netconfine {
namespace {

Result<int> index_of(NetlinkSocket& socket, const std::string& name) {
  PANAL_ASSIGN(const auto link, find_link(socket, name));
  return link.index;
}

// Links of this group are on their way out ("pnl\0"). What a crash leaves in it is still found, and
// removed or kept, by name.
constexpr std::uint32_t kLeavingGroup = 0x706e6c00;
constexpr std::uint32_t kNoGroup = 0;  // that of a new link

struct Setting {
  const char* path;  ///< below proc/sys/net
  const char* value;
};

// Sysctls of the calling thread's network namespace.
Result<Dir> open_settings() {
  PANAL_ASSIGN(const auto proc, Dir::open(kernel_paths::kProc));
  return proc.open_dir("sys/net");
}

// A kernel booted without IPv6 has no ipv6 directory, and conntrack's settings are there once
// conntrack is, whose module comes with the first rule that wants it; bridges' likewise, whose
// module (br_netfilter) anybody may have loaded.
bool is_there(const Dir& net, std::string_view path) {
  if (path.starts_with("ipv6/")) return net.exists("ipv6");
  const bool of_a_module = path.starts_with("netfilter/") || path.starts_with("bridge/");
  return !of_a_module || net.exists(std::string(path));
}

Result<void> set_all(const std::vector<Setting>& settings) {
  PANAL_ASSIGN(const auto net, open_settings());
  for (const auto& [path, value] : settings) {
    if (is_there(net, path)) PANAL_TRY(net.write(path, value));
  }
  return {};
}

Result<void> prefix_link(std::string_view link, Result<void> result) {
  if (!result) return prefixed(link, std::move(result.error()));
  return result;
}

// addr_gen_mode 1: no link-local address is made (kernel: Documentation/networking/ip-sysctl).
constexpr const char* kNoLinkLocal = "1";

constexpr const char* kForward4 = "ipv4/ip_forward";
constexpr const char* kForward6 = "ipv6/conf/all/forwarding";
// What a new link has. Writing the others sets these only where it changes something, and a new
// namespace may have IPv4's from a machine where they differ.
constexpr const char* kForwardNew4 = "ipv4/conf/default/forwarding";
constexpr const char* kForwardNew6 = "ipv6/conf/default/forwarding";

std::vector<Setting> panal_settings(bool forwarding) {
  const char* passed_on = forwarding ? "1" : "0";
  // ip_forward first: writing it resets other settings to a router's or a host's defaults.
  return {{kForward4, passed_on},
          {kForwardNew4, passed_on},
          {"ipv4/conf/all/accept_redirects", "0"},
          {"ipv4/conf/default/accept_redirects", "0"},
          {"ipv4/conf/all/send_redirects", "0"},
          {"ipv4/conf/default/send_redirects", "0"},
          {"ipv4/conf/all/accept_source_route", "0"},
          {"ipv4/conf/default/accept_source_route", "0"},
          {"ipv4/conf/all/rp_filter", "1"},
          {"ipv4/conf/default/rp_filter", "1"},
          // Of each link, not of "all": the larger value counts, and an uplink must answer.
          {"ipv4/conf/all/arp_ignore", "0"},
          {"ipv4/conf/default/arp_ignore", "8"},
          {kForward6, passed_on},
          {kForwardNew6, passed_on},
          {"ipv6/conf/all/accept_ra", "0"},
          {"ipv6/conf/default/accept_ra", "0"},
          {"ipv6/conf/default/autoconf", "0"},
          {"ipv6/conf/default/accept_dad", "0"},
          {"ipv6/conf/all/accept_redirects", "0"},
          {"ipv6/conf/default/accept_redirects", "0"},
          {"ipv6/conf/default/addr_gen_mode", kNoLinkLocal},
          // A packet from the middle of a connection nobody knows begins none.
          {"netfilter/nf_conntrack_tcp_loose", "0"},
          // What goes over a group's bridge is the bridge family's affair: the other tables know
          // the routed links only, and would drop all of it.
          {"bridge/bridge-nf-call-iptables", "0"},
          {"bridge/bridge-nf-call-ip6tables", "0"},
          {"bridge/bridge-nf-call-arptables", "0"}};
}

}  // namespace

Result<void> prepare_desktop_namespace() {
  return set_all({{"ipv6/conf/default/accept_ra", "0"},
                  {"ipv6/conf/default/autoconf", "0"},
                  {"ipv6/conf/default/accept_dad", "0"},
                  {"ipv6/conf/default/accept_redirects", "0"},
                  {"ipv6/conf/default/addr_gen_mode", kNoLinkLocal},
                  {"ipv4/conf/default/accept_redirects", "0"}});
}

Result<void> take_from_everywhere(const std::string& link) {
  PANAL_ASSIGN(const auto net, open_settings());
  // Of all and of the link the larger counts.
  for (const std::string& of : {std::string("all"), link})
    PANAL_TRY(net.write("ipv4/conf/" + of + "/rp_filter", "0"));
  return {};
}

Result<void> prepare_panal_namespace(bool forwarding) {
  return set_all(panal_settings(forwarding));
}

Result<std::vector<ChangedSetting>> changed_settings(bool forwarding) {
  PANAL_ASSIGN(const auto net, open_settings());
  std::vector<ChangedSetting> changed;
  for (const auto& [path, value] : panal_settings(forwarding)) {
    const std::string_view name = path;
    if (!is_there(net, name)) continue;
    // Which family is passed on is the uplink's matter, where there is one.
    const bool passes_on =
        name == kForward4 || name == kForwardNew4 || name == kForward6 || name == kForwardNew6;
    if (forwarding && passes_on) continue;
    PANAL_ASSIGN(auto found, net.read(path));
    while (found.ends_with('\n')) found.pop_back();
    if (found == value) continue;
    std::string dotted = "net." + std::string(name);
    std::replace(dotted.begin(), dotted.end(), '/', '.');
    changed.push_back({std::move(dotted), std::move(found), value});
  }
  return changed;
}

Result<RoutedVeths> RoutedVeths::open() {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
  return RoutedVeths(std::move(socket));
}

Result<void> RoutedVeths::add(const Addresses& addresses, const UniqueFd& desktop_namespace) {
  const NewLink link{addresses, desktop_namespace.get()};
  return add(std::span(&link, 1));
}

Result<void> RoutedVeths::add(std::span<const NewLink> links) {
  std::vector<Message> messages;
  for (const auto& link : links) {
    PANAL_ASSIGN(auto message, add_veth(link.addresses, kInsideName, link.desktop_namespace));
    messages.push_back(std::move(message));
  }
  if (messages.empty()) return {};
  PANAL_ASSIGN(auto refusals, socket_.try_transact(std::move(messages)));
  if (refusals.empty()) return {};
  // A link that was there before is one of the refused: only what this call has made goes.
  std::vector<std::string> made;
  for (std::size_t i = 0; i < links.size(); ++i) {
    const bool refused = std::any_of(refusals.begin(), refusals.end(),
                                     [&](const Refusal& refusal) { return refusal.index == i; });
    if (!refused) made.push_back(links[i].addresses.link);
  }
  auto undone = remove(made);
  Error error = std::move(refusals.front().error);
  if (!undone) error.context += "; and the others could not be undone: " + undone.error().message();
  return tl::make_unexpected(std::move(error));
}

Result<void> RoutedVeths::bring_up(const Addresses& addresses) {
  return bring_up(std::span(&addresses, 1));
}

Result<void> RoutedVeths::bring_up(std::span<const Addresses> all) {
  std::vector<Step> steps;
  for (const auto& addresses : all) {
    PANAL_ASSIGN(const int index, index_of(socket_, addresses.link));
    const Ip ipv4(addresses.ipv4);
    const Ip ipv6(addresses.ipv6);
    PANAL_ASSIGN(auto neighbour4, add_neighbour(index, ipv4, addresses.mac));
    PANAL_ASSIGN(auto neighbour6, add_neighbour(index, ipv6, addresses.mac));
    PANAL_ASSIGN(auto route4, add_host_route(index, ipv4));
    PANAL_ASSIGN(auto route6, add_host_route(index, ipv6));
    // The kernel takes routes only on a link that is up.
    std::vector<Message> messages;
    messages.push_back(link_up(index));
    messages.push_back(std::move(neighbour4));
    messages.push_back(std::move(neighbour6));
    messages.push_back(std::move(route4));
    messages.push_back(std::move(route6));
    for (Message& message : messages) {
      message.what.insert(0, addresses.link + ": ");
      steps.push_back({std::move(message), {}});
    }
  }
  return carry_out(socket_, std::move(steps));
}

Result<void> RoutedVeths::take_down(const std::string& link) {
  PANAL_ASSIGN(const int index, index_of(socket_, link));
  std::vector<Message> messages;
  messages.push_back(link_down(index));
  return socket_.transact(std::move(messages));
}

Result<void> RoutedVeths::remove(const std::string& link) {
  PANAL_ASSIGN(auto message, delete_link(link));
  std::vector<Message> messages;
  messages.push_back(std::move(message));
  return socket_.transact(std::move(messages));
}

Result<void> RoutedVeths::remove(std::span<const std::string> links) {
  std::vector<Step> steps;
  for (const auto& link : links) steps.push_back({set_link_group(link, kLeavingGroup), {ENODEV}});
  if (steps.empty()) return {};
  steps.push_back({delete_link_group(kLeavingGroup), {ENODEV}});
  return carry_out(socket_, std::move(steps));
}

Result<void> RoutedVeths::keep(const std::set<DesktopId>& ids) {
  PANAL_ASSIGN(const auto links, all_links(socket_));
  std::vector<Step> steps;
  for (const auto& link : links) {
    if (link.group != kLeavingGroup || !ids.contains(id_of_link(link.name))) continue;
    steps.push_back({set_link_group(link.name, kNoGroup), {ENODEV}});
  }
  return carry_out(socket_, std::move(steps));
}

Result<bool> RoutedVeths::exists(const std::string& link) {
  const auto index = index_of(socket_, link);
  if (index) return true;
  if (index.error().is_gone()) return false;
  return tl::make_unexpected(index.error());
}

Result<std::vector<DesktopId>> RoutedVeths::list() {
  PANAL_ASSIGN(const auto links, all_links(socket_));
  std::vector<DesktopId> ids;
  for (const auto& link : links) {
    if (const DesktopId id = id_of_link(link.name); id != 0) ids.push_back(id);
  }
  return ids;
}

Result<std::vector<DesktopId>> RoutedVeths::list_down() {
  PANAL_ASSIGN(const auto links, all_links(socket_));
  std::vector<DesktopId> ids;
  for (const auto& link : links) {
    const DesktopId id = link.up ? 0 : id_of_link(link.name);
    if (id != 0) ids.push_back(id);
  }
  return ids;
}

Result<void> configure_desktop_end(const Addresses& addresses) {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
  PANAL_ASSIGN(const int loopback, index_of(socket, "lo"));
  PANAL_ASSIGN(const int index, index_of(socket, kInsideName));
  const Ip gateway4(kGateway4);
  const Ip gateway6(kGateway6);
  PANAL_ASSIGN(auto address4, add_address(index, Ip(addresses.ipv4)));
  PANAL_ASSIGN(auto address6, add_address(index, Ip(addresses.ipv6)));
  PANAL_ASSIGN(auto neighbour4, add_neighbour(index, gateway4, addresses.gateway_mac));
  PANAL_ASSIGN(auto neighbour6, add_neighbour(index, gateway6, addresses.gateway_mac));
  PANAL_ASSIGN(auto route4, add_default_route(index, gateway4));
  PANAL_ASSIGN(auto route6, add_default_route(index, gateway6));
  std::vector<Message> messages;
  messages.push_back(link_up(loopback));
  // A program can send past all routes, straight over a link, to as many as there are addresses.
  for (const int family : {AF_INET, AF_INET6}) messages.push_back(ask_for_nobody(index, family));
  messages.push_back(link_up(index));
  messages.push_back(std::move(address4));
  messages.push_back(std::move(address6));
  messages.push_back(std::move(neighbour4));
  messages.push_back(std::move(neighbour6));
  messages.push_back(std::move(route4));
  messages.push_back(std::move(route6));
  return prefix_link(kInsideName, socket.transact(std::move(messages)));
}

}  // namespace panal::netconfine

#include "netconfine/link/routed_veth.h"

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "netconfine/link/route_messages.h"

namespace panal::netconfine {
namespace {

struct FoundLink {
  int index = 0;
  std::string name;
};

FoundLink parse_link(const nlmsghdr* message) {
  const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  FoundLink link{info->ifi_index, {}};
  const auto take_name = [](const nlattr* attribute, void* to) -> int {
    if (mnl_attr_get_type(attribute) != IFLA_IFNAME) return MNL_CB_OK;
    *static_cast<std::string*>(to) = mnl_attr_get_str(attribute);
    return MNL_CB_STOP;
  };
  mnl_attr_parse(message, sizeof(ifinfomsg), take_name, &link.name);
  return link;
}

Result<int> index_of(NetlinkSocket& socket, const std::string& name) {
  PANAL_ASSIGN(auto question, get_link(name));
  int index = 0;
  PANAL_TRY(socket.query(std::move(question),
                         [&](const nlmsghdr* message) { index = parse_link(message).index; }));
  if (index == 0) return fail(EPROTO, "look up link " + name);
  return index;
}

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
// conntrack is, whose module comes with the first rule that wants it.
bool is_there(const Dir& net, std::string_view path) {
  if (path.starts_with("ipv6/")) return net.exists("ipv6");
  return !path.starts_with("netfilter/") || net.exists(std::string(path));
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

std::vector<Setting> panal_settings(bool forwarding) {
  const char* passed_on = forwarding ? "1" : "0";
  // ip_forward first: writing it resets other settings to a router's or a host's defaults.
  return {{kForward4, passed_on},
          {"ipv4/conf/all/accept_redirects", "0"},
          {"ipv4/conf/default/accept_redirects", "0"},
          {"ipv4/conf/all/send_redirects", "0"},
          {"ipv4/conf/default/send_redirects", "0"},
          {"ipv4/conf/all/accept_source_route", "0"},
          {"ipv4/conf/default/accept_source_route", "0"},
          {"ipv4/conf/all/rp_filter", "1"},
          {"ipv4/conf/default/rp_filter", "1"},
          {"ipv4/conf/all/arp_ignore", "8"},
          {"ipv4/conf/default/arp_ignore", "8"},
          {kForward6, passed_on},
          {"ipv6/conf/all/accept_ra", "0"},
          {"ipv6/conf/default/accept_ra", "0"},
          {"ipv6/conf/default/autoconf", "0"},
          {"ipv6/conf/default/accept_dad", "0"},
          {"ipv6/conf/all/accept_redirects", "0"},
          {"ipv6/conf/default/accept_redirects", "0"},
          {"ipv6/conf/default/addr_gen_mode", kNoLinkLocal},
          // A packet from the middle of a connection nobody knows begins none.
          {"netfilter/nf_conntrack_tcp_loose", "0"}};
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
    if (forwarding && (name == kForward4 || name == kForward6)) continue;
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
  PANAL_ASSIGN(auto message, add_veth(addresses, kInsideName, desktop_namespace.get()));
  std::vector<Message> messages;
  messages.push_back(std::move(message));
  return socket_.transact(std::move(messages));
}

Result<void> RoutedVeths::bring_up(const Addresses& addresses) {
  PANAL_ASSIGN(const int index, index_of(socket_, addresses.link));
  const Ip ipv4(addresses.ipv4);
  const Ip ipv6(addresses.ipv6);
  PANAL_ASSIGN(auto neighbour4, add_neighbour(index, ipv4, addresses.mac));
  PANAL_ASSIGN(auto neighbour6, add_neighbour(index, ipv6, addresses.mac));
  PANAL_ASSIGN(auto route4, add_host_route(index, ipv4));
  PANAL_ASSIGN(auto route6, add_host_route(index, ipv6));
  std::vector<Message> messages;
  // The kernel takes routes only on a link that is up.
  messages.push_back(link_up(index));
  messages.push_back(std::move(neighbour4));
  messages.push_back(std::move(neighbour6));
  messages.push_back(std::move(route4));
  messages.push_back(std::move(route6));
  return prefix_link(addresses.link, socket_.transact(std::move(messages)));
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

Result<bool> RoutedVeths::exists(const std::string& link) {
  const auto index = index_of(socket_, link);
  if (index) return true;
  if (index.error().is_gone()) return false;
  return tl::make_unexpected(index.error());
}

Result<std::vector<DesktopId>> RoutedVeths::list() {
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    std::vector<DesktopId> ids;
    auto listed = socket_.query(dump_links(), [&](const nlmsghdr* message) {
      if (message->nlmsg_type != RTM_NEWLINK) return;
      if (const DesktopId id = id_of_link(parse_link(message).name); id != 0) ids.push_back(id);
    });
    if (listed) return ids;
    // Links came or went while the kernel was listing.
    if (listed.error().code != EINTR || attempt == kAttempts) {
      return tl::make_unexpected(std::move(listed.error()));
    }
  }
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

#include "bench/network/node.h"

#include <fmt/format.h>
#include <linux/netlink.h>

#include <algorithm>
#include <span>

#include "bench/network/full_policies.h"
#include "bench/network/place.h"
#include "bench/network/qvd_rules.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "netconfine/firewall/iptables/iptables.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"

namespace panal::bench {
namespace {

using netconfine::Addresses;
using netconfine::IptablesOptions;
using netconfine::IptablesVariant;
using netconfine::Network;
using netconfine::run_inside;

/// A connection's each: enough that what a batch costs beside them does not count.
constexpr unsigned kFirstPackets = 32;

/// The bridge's own address, where QVD's desktops send what is for others.
constexpr const char* kBridgeAddress = "10.77.255.254";
constexpr const char* kBridgeMac = "06:70:ff:ff:00:01";

Result<void> forward_for_qvd() {
  PANAL_ASSIGN(const auto proc, Dir::open(kernel_paths::kProc));
  PANAL_TRY(proc.write("sys/net/ipv4/ip_forward", "1"));
  PANAL_TRY(proc.write("sys/net/ipv4/conf/all/send_redirects", "0"));
  PANAL_TRY(proc.write("sys/net/ipv4/conf/default/send_redirects", "0"));
  return proc.write("sys/net/ipv6/conf/default/disable_ipv6", "1");
}

}  // namespace

const std::vector<std::string>& network_arms() {
  static const std::vector<std::string> all = {"nftables", "iptables-nft", "iptables-legacy",
                                               "qvd"};
  return all;
}

bool is_ours(const std::string& arm) { return arm != "qvd"; }

netconfine::OpenBackend backend_of(const std::string& arm) {
  if (arm == "nftables") return netconfine::open_nftables_backend;
  const auto variant = arm == "iptables-nft" ? IptablesVariant::kNft : IptablesVariant::kLegacy;
  return [variant] { return netconfine::open_iptables_backend(IptablesOptions{variant, true}); };
}

Result<std::unique_ptr<MeasuredNode>> MeasuredNode::make(const std::string& arm,
                                                         std::size_t desktops) {
  std::unique_ptr<MeasuredNode> node(new MeasuredNode);
  node->arm_ = arm;
  node->desktops_ = desktops;
  PANAL_ASSIGN(node->addresses_, addresses_of(1, static_cast<DesktopId>(desktops)));
  PANAL_ASSIGN(node->panal_, new_network());
  auto made = is_ours(arm) ? node->confine() : node->bridge();
  if (!made) return prefixed(fmt::format("{} with {} desktops", arm, desktops), made.error());
  PANAL_TRY(run_inside(node->panal_, [&]() -> Result<void> {
    PANAL_ASSIGN(node->connections_, netconfine::ConnectionTable::open());
    return {};
  }));
  return node;
}

/// As panald makes them, but that the crowd's links are there before the rules: it finds links of
/// before in the same way after a restart.
Result<void> MeasuredNode::confine() {
  PANAL_TRY(run_inside(panal_, [] { return netconfine::prepare_panal_namespace(true); }));
  PANAL_ASSIGN(outside_, connect_outside(panal_));
  std::span<const Addresses> others(addresses_);
  if (others.size() > 2) {
    others = others.subspan(1, others.size() - 2);
    PANAL_ASSIGN(crowd_, add_crowd(panal_, others));
    PANAL_TRY(run_inside(panal_, [&]() -> Result<void> {
      PANAL_ASSIGN(auto veths, netconfine::RoutedVeths::open());
      return veths.bring_up(others);
    }));
  }
  PANAL_ASSIGN(const auto rules, full_rules());
  PANAL_ASSIGN(UniqueFd panal, panal_.duplicate());
  PANAL_ASSIGN(network_, Network::open(std::move(panal), {kSubnet4, kSubnet6}, Logger::silent(),
                                       backend_of(arm_), rules, full_holders(rules, desktops_)));
  PANAL_ASSIGN(sender_, new_network());
  PANAL_ASSIGN(const auto link, network_->attach(static_cast<DesktopId>(desktops_), sender_));
  (void)link;
  if (desktops_ < 2) return {};
  PANAL_ASSIGN(mate_, new_network());
  PANAL_ASSIGN(const auto mates, network_->attach(1, mate_));
  (void)mates;
  return {};
}

Result<void> MeasuredNode::bridge() {
  PANAL_ASSIGN(outside_, connect_outside(panal_));
  PANAL_TRY(run_inside(panal_, forward_for_qvd));
  std::vector<Addresses> ports = addresses_;
  for (std::size_t i = 0; i < ports.size(); ++i)
    ports[i].link = qvd_link(static_cast<DesktopId>(i + 1));
  // A MAC is remembered for an hour: longer than anybody measures.
  PANAL_TRY(ip_lines(panal_, fmt::format("link add {0} address {1} type bridge ageing_time 360000\n"
                                         "address add {2}/16 dev {0}\n"
                                         "link set {0} up\n",
                                         kQvdBridge, kBridgeMac, kBridgeAddress)));
  std::span<const Addresses> others(ports);
  if (others.size() > 2) {
    others = others.subspan(1, others.size() - 2);
    PANAL_ASSIGN(crowd_, add_crowd(panal_, others));
  }
  PANAL_TRY(add_bridged(ports.back(), sender_));
  if (ports.size() > 1) PANAL_TRY(add_bridged(ports.front(), mate_));
  std::string lines;
  for (const auto& port : ports)
    lines += fmt::format("link set {} master {} up\n", port.link, kQvdBridge);
  PANAL_TRY(ip_lines(panal_, lines));
  PANAL_ASSIGN(const auto said, run_there(panal_, "iptables-restore", {}, qvd_node_rules(kUplink)));
  PANAL_ASSIGN(const auto heard,
               run_there(panal_, "ebtables-restore", {}, qvd_desktop_rules(addresses_)));
  (void)said, (void)heard;
  return {};
}

Result<void> MeasuredNode::add_bridged(const Addresses& one, UniqueFd& network) {
  PANAL_ASSIGN(network, new_network());
  PANAL_TRY(run_inside(panal_, [&]() -> Result<void> {
    PANAL_ASSIGN(auto socket, netconfine::NetlinkSocket::open(NETLINK_ROUTE));
    std::vector<netconfine::Message> messages;
    PANAL_ASSIGN(auto message, netconfine::add_veth(one, netconfine::kInsideName, network.get()));
    messages.push_back(std::move(message));
    return socket.transact(std::move(messages));
  }));
  std::string lines = fmt::format(
      "link set lo up\naddress add {0}/16 dev {1}\nlink set {1} up\n"
      "neighbour replace {2} lladdr {3} dev {1}\nroute add default via {2}\n",
      netconfine::to_string(one.ipv4), netconfine::kInsideName, kBridgeAddress, kBridgeMac);
  for (const auto* other : {&addresses_.front(), &addresses_.back()})
    if (other->ipv4 != one.ipv4)
      lines +=
          fmt::format("neighbour replace {} lladdr {} dev {}\n", netconfine::to_string(other->ipv4),
                      netconfine::to_string(other->mac), netconfine::kInsideName);
  PANAL_TRY(ip_lines(network, lines));
  return ip_lines(panal_, fmt::format("neighbour replace {} lladdr {} dev {}\n",
                                      netconfine::to_string(one.ipv4),
                                      netconfine::to_string(one.mac), kQvdBridge));
}

Result<std::vector<Lane>> MeasuredNode::lanes() const {
  std::vector<Lane> lanes;
  const auto add = [&](const LanePlan& plan) -> Result<void> {
    PANAL_ASSIGN(auto lane, Lane::open(plan));
    lanes.push_back(std::move(lane));
    return {};
  };
  const Addresses& me = sender_addresses();
  const std::string me4 = netconfine::to_string(me.ipv4), me6 = netconfine::to_string(me.ipv6);
  PANAL_TRY(add({"out", sender_, me4, outside_, {"10.1.0.53"}, kDnsPort}));
  if (is_ours(arm_)) PANAL_TRY(add({"out6", sender_, me6, outside_, {"fd00:1::53"}, kDnsPort}));
  std::vector<std::string> many;
  for (unsigned i = 1; i <= kFirstPackets; ++i) many.push_back(fmt::format("10.2.0.{}", i));
  PANAL_TRY(add({"first", sender_, me4, outside_, std::move(many), kFilesPort}));
  if (is_ours(arm_))
    PANAL_TRY(add({"denied", sender_, me4, outside_, {"10.1.0.53"}, kNobodysPort, false}));
  if (!mate_.valid()) return lanes;
  const Addresses& other = mate_addresses();
  const std::string mate4 = netconfine::to_string(other.ipv4);
  constexpr std::uint16_t kMatesPort = 7000;
  // A bridge learns where the mate is from what it sends, whether that arrives or not.
  PANAL_ASSIGN(auto hello, Lane::open({"hello", mate_, mate4, sender_, {me4}, kMatesPort}));
  (void)hello.send();
  PANAL_TRY(add({"mate", sender_, me4, mate_, {mate4}, kMatesPort}));
  if (is_ours(arm_))
    PANAL_TRY(add({"mate6", sender_, me6, mate_, {netconfine::to_string(other.ipv6)}, kMatesPort}));
  return lanes;
}

Result<void> MeasuredNode::forget_connections() {
  PANAL_ASSIGN(const auto forgotten,
               connections_->forget([](const netconfine::Connection&) { return true; }));
  (void)forgotten;
  return {};
}

}  // namespace panal::bench

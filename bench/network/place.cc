#include "bench/network/place.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "netconfine/firewall/iptables/program.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/netlink/steps.h"

namespace panal::bench {
namespace {

using netconfine::Addresses;

/// The crowd's ends say nothing of their own.
Result<void> no_ipv6() {
  PANAL_ASSIGN(const auto proc, Dir::open(kernel_paths::kProc));
  if (!proc.exists("sys/net/ipv6")) return {};
  PANAL_TRY(proc.write("sys/net/ipv6/conf/all/disable_ipv6", "1"));
  return proc.write("sys/net/ipv6/conf/default/disable_ipv6", "1");
}

/// A new namespace has the machine's own settings for IPv4, and some machines' have no IPv6.
Result<void> open_minded() {
  PANAL_ASSIGN(const auto proc, Dir::open(kernel_paths::kProc));
  for (const char* which : {"all", "default"}) {
    PANAL_TRY(proc.write(fmt::format("sys/net/ipv4/conf/{}/rp_filter", which), "0"));
    PANAL_TRY(proc.write(fmt::format("sys/net/ipv6/conf/{}/disable_ipv6", which), "0"));
  }
  return {};
}

/// As `ip` finds a namespace that this process holds.
std::string path_of(const UniqueFd& network) {
  return fmt::format("{}/{}/fd/{}", kernel_paths::kProc, ::getpid(), network.get());
}

}  // namespace

Result<UniqueFd> new_network() {
  UniqueFd fd;
  int code = 0;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      code = errno;
      return;
    }
    fd = UniqueFd(::open(kernel_paths::kProcThreadSelfNsNet, O_RDONLY | O_CLOEXEC));
    if (!fd) code = errno;
  }).join();
  if (!fd) return fail(code, "make a network namespace");
  return fd;
}

Result<std::string> run_there(const UniqueFd& network, const std::string& name,
                              const std::vector<std::string>& arguments, const std::string& input) {
  const auto path = netconfine::find_program(name);
  if (!path) return fail(EPROTONOSUPPORT, path.error().context);
  std::string output;
  PANAL_TRY(netconfine::run_inside(network, [&]() -> Result<void> {
    PANAL_ASSIGN(output, netconfine::output_of({*path, arguments}, input));
    return {};
  }));
  return output;
}

Result<void> ip_lines(const UniqueFd& network, const std::string& lines) {
  PANAL_ASSIGN(const auto said, run_there(network, "ip", {"-batch", "-"}, lines));
  (void)said;
  return {};
}

Result<UniqueFd> connect_outside(const UniqueFd& node) {
  PANAL_ASSIGN(UniqueFd outside, new_network());
  PANAL_TRY(netconfine::run_inside(outside, open_minded));
  PANAL_TRY(ip_lines(node, fmt::format("link add {} address 06:99:00:00:00:01 type veth peer name "
                                       "out0 address 02:99:00:00:00:01 netns {}\n",
                                       kUplink, path_of(outside))));
  PANAL_TRY(ip_lines(outside,
                     "link set lo up\n"
                     "address add 192.0.2.254/24 dev out0\n"
                     "address add 2001:db8:77::fe/64 dev out0 nodad\n"
                     "link set out0 up\n"
                     "neighbour replace 192.0.2.1 lladdr 06:99:00:00:00:01 dev out0\n"
                     "neighbour replace 2001:db8:77::1 lladdr 06:99:00:00:00:01 dev out0\n"
                     "route add 10.77.0.0/16 via 192.0.2.1\n"
                     "route add fd77:70::/64 via 2001:db8:77::1\n"
                     "route add local 10.1.0.0/16 dev lo\n"
                     "route add local 10.2.0.0/16 dev lo\n"
                     "route add local fd00:1::/32 dev lo\n"
                     "route add local fd00:2::/32 dev lo\n"));
  PANAL_TRY(ip_lines(node, fmt::format("link set lo up\n"
                                       "address add 192.0.2.1/24 dev {0}\n"
                                       "address add 2001:db8:77::1/64 dev {0} nodad\n"
                                       "link set {0} up\n"
                                       "neighbour replace 192.0.2.254 lladdr 02:99:00:00:00:01 dev "
                                       "{0}\n"
                                       "neighbour replace 2001:db8:77::fe lladdr "
                                       "02:99:00:00:00:01 dev {0}\n"
                                       "route add default via 192.0.2.254\n"
                                       "route add default via 2001:db8:77::fe\n",
                                       kUplink)));
  return outside;
}

Result<UniqueFd> add_crowd(const UniqueFd& node, std::span<const Addresses> all) {
  PANAL_ASSIGN(UniqueFd crowd, new_network());
  PANAL_TRY(netconfine::run_inside(crowd, no_ipv6));
  PANAL_TRY(netconfine::run_inside(node, [&]() -> Result<void> {
    PANAL_ASSIGN(auto socket, netconfine::NetlinkSocket::open(NETLINK_ROUTE));
    std::vector<netconfine::Step> steps;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::string inside = fmt::format("c{}", i);
      PANAL_ASSIGN(auto message, netconfine::add_veth(all[i], inside.c_str(), crowd.get()));
      steps.push_back({std::move(message), {}});
    }
    return netconfine::carry_out(socket, std::move(steps));
  }));
  PANAL_TRY(ip_lines(crowd, "link set group default up\n"));
  return crowd;
}

Result<std::vector<Addresses>> addresses_of(DesktopId first, DesktopId last) {
  PANAL_ASSIGN(const auto pool, netconfine::AddressPool::parse(kSubnet4, kSubnet6));
  std::vector<Addresses> all;
  for (DesktopId id = first; id <= last; ++id) {
    PANAL_ASSIGN(auto one, pool.of(id));
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace panal::bench

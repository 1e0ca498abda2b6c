#include "bench/redteam/site.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>

#include "netconfine/firewall/backend.h"
#include "netconfine/firewall/iptables/iptables.h"
#include "netconfine/firewall/iptables/program.h"
#include "netconfine/netlink/enter.h"

namespace panal::bench {

using netconfine::run_inside;

std::string path_of(const UniqueFd& network) {
  return fmt::format("/proc/{}/fd/{}", ::getpid(), network.get());
}

Result<void> run_program_in(const UniqueFd& network, const std::string& program,
                            const std::vector<std::string>& arguments, const std::string& input) {
  return run_inside(network, [&]() -> Result<void> {
    PANAL_ASSIGN(const auto path, netconfine::find_program(program));
    auto done = netconfine::output_of({path, arguments}, input);
    if (!done) return tl::make_unexpected(std::move(done.error()));
    return {};
  });
}

Result<void> ip_commands(const UniqueFd& network, const std::string& lines) {
  return run_program_in(network, "ip", {"-batch", "-"}, lines);
}

Result<void> set_sysctls(const UniqueFd& network,
                         const std::vector<std::pair<std::string, std::string>>& settings) {
  return run_inside(network, [&]() -> Result<void> {
    for (const auto& [path, value] : settings) {
      std::ofstream file("/proc/sys/net/" + path);
      file << value << std::flush;
      if (!file) return fail(EIO, "set net/" + path);
    }
    return {};
  });
}

Result<void> add_outside(Site& site) {
  PANAL_TRY(ip_commands(site.host, fmt::format("link add up0 type veth peer name out0\n"
                                               "link set out0 netns {}\n",
                                               path_of(site.outside))));
  // The address outside is nobody's: what comes is only looked at.
  PANAL_TRY(set_sysctls(site.outside, {{"ipv6/conf/default/disable_ipv6", "1"},
                                       {"ipv6/conf/all/disable_ipv6", "1"}}));
  PANAL_TRY(
      ip_commands(site.outside, "link set out0 address 02:99:00:00:00:01\nlink set out0 up\n"));
  // An answer that is only put off would look like none.
  PANAL_TRY(set_sysctls(site.host, {{"ipv4/icmp_ratelimit", "0"}, {"ipv6/icmp/ratelimit", "0"}}));
  return ip_commands(site.host,
                     "link set lo up\n"
                     "link set up0 address 02:99:00:00:00:02\n"
                     "link set up0 up\n"
                     "address add 192.0.2.1/24 dev up0\n"
                     "address add 2001:db8:77::1/64 dev up0 nodad\n"
                     "address add 10.99.0.1/32 dev lo\n"
                     "address add fd99::1/128 dev lo\n"
                     "neigh replace 192.0.2.254 lladdr 02:99:00:00:00:01 dev up0\n"
                     "neigh replace 2001:db8:77::fe lladdr 02:99:00:00:00:01 dev up0\n"
                     "route add default via 192.0.2.254\n"
                     "route add default via 2001:db8:77::fe\n");
}

std::vector<Target> targets() {
  const auto nftables = netconfine::open_nftables_backend;
  const auto iptables = [] { return netconfine::open_iptables_backend(); };
  const auto without_sets = [] {
    return netconfine::open_iptables_backend(netconfine::IptablesOptions{.sets = false});
  };
  return {{"nftables", "Panal, nftables", true, [=] { return panal_site(nftables, false); }},
          {"nftables_masked", "Panal, nftables, masking addresses", true,
           [=] { return panal_site(nftables, true); }},
          {"iptables", "Panal, iptables", true, [=] { return panal_site(iptables, false); }},
          {"iptables_masked", "Panal, iptables, masking addresses", true,
           [=] { return panal_site(iptables, true); }},
          {"iptables_trees", "Panal, iptables without ipset", true,
           [=] { return panal_site(without_sets, false); }},
          {"groups", "Panal, another group's bridge", true, group_site},
          {"group_mate", "Panal, a mate's bridge", true, mate_site},
          {"bare", "Panal's links without rules", false, bare_site},
          {"lxc", "a bridge as lxc-net makes it", false, lxc_site},
          {"qvd", "a bridge with QVD's rules", false, qvd_site}};
}

}  // namespace panal::bench

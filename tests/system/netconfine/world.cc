#include "tests/system/netconfine/world.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

#include "netconfine/policy/prefix.h"

namespace panal::netconfine::testing {
namespace {

constexpr std::uint16_t kFencePort = 7778;

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}

void must_run(const UniqueFd& where, const std::string& command) {
  if (shell_inside(where, command) != 0) throw std::runtime_error("failed: " + command);
}

// A veth between two namespaces.
void connect(const UniqueFd& here, const std::string& name, const UniqueFd& there,
             const std::string& peer) {
  must_run(here, "ip link add " + name + " type veth peer name " + peer + " && ip link set " +
                     peer + " netns /proc/" + std::to_string(getpid()) + "/fd/" +
                     std::to_string(there.get()));
}

Mac mac_of(const UniqueFd& where, const std::string& link) {
  const auto text = output_inside(where, "ip -br link show dev " + link);
  Mac mac{};
  const auto at = text.find(':');
  if (at == std::string::npos || at < 2) throw std::runtime_error("no MAC in " + text);
  for (std::size_t i = 0; i < mac.size(); ++i) {
    mac[i] = static_cast<std::uint8_t>(std::stoi(text.substr(at - 2 + i * 3, 2), nullptr, 16));
  }
  return mac;
}

std::vector<Prefix> prefixes(const std::vector<std::string>& texts) {
  std::vector<Prefix> all;
  for (const auto& text : texts) all.push_back(must(parse_prefix(text)));
  return all;
}

constexpr Mac kOutsideMac = {0x02, 0x99, 0, 0, 0, 1};

}  // namespace

std::vector<BackendUnderTest> backends() {
  return {{.name = "nftables",
           .open = open_nftables_backend,
           .flush = "nft flush ruleset",
           .open_up = "nft insert rule inet panal forward accept",
           .list = "nft -s list ruleset",
           .bridges = true},
          {.name = "iptables",
           .open = open_iptables_backend,
           .flush = "for p in iptables ip6tables; do"
                    " for t in $($p-save | sed -n 's/^[*]//p'); do $p -t $t -F; $p -t $t -X; done;"
                    " for c in INPUT FORWARD OUTPUT; do $p -P $c ACCEPT; done; done",
           .open_up = "iptables -I FORWARD -j ACCEPT && ip6tables -I FORWARD -j ACCEPT",
           .list = "for p in iptables ip6tables; do $p-save |"
                   " sed '/^#/d; s/[[][0-9:]*[]]//'; done; ipset save"}};
}

OneCore::OneCore() {
  sched_getaffinity(0, sizeof(before_), &before_);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &before_)) continue;
    CPU_SET(cpu, &one);
    break;
  }
  sched_setaffinity(0, sizeof(one), &one);
}

OneCore::~OneCore() { sched_setaffinity(0, sizeof(before_), &before_); }

Fence::Fence() {
  connect(here_, "fence0", there_, "fence1");
  must_run(here_, "ip address add 10.255.0.1/24 dev fence0 && ip link set fence0 up");
  must_run(there_, "ip address add 10.255.0.2/24 dev fence1 && ip link set fence1 up");
  ear_ = std::make_unique<UdpEar>(there_, AF_INET, kFencePort);
  pass();
}

// As many rounds as a packet has hops at most (a desktop, the node, another desktop), and one.
void Fence::pass() {
  for (int round = 0; round < 4; ++round) {
    if (!say(here_, "10.255.0.2", kFencePort)) throw std::runtime_error("the fence is shut");
    int heard = 0;
    for (int i = 0; i < 10'000 && heard == 0; ++i) {
      heard = ear_->heard();
      if (heard == 0) usleep(1000);
    }
    if (heard == 0) throw std::runtime_error("the fence did not come through");
  }
}

World::World(const OpenBackend& open, DesktopId count) {
  network_ = must(Network::open(must(panal_.duplicate()), kWorldPlan, Logger::silent(), open, {},
                                {}, [this](DesktopId id) -> Result<UniqueFd> {
                                  const auto at = static_cast<std::size_t>(id - 1);
                                  if (at >= inside_.size()) return fail(ENOENT, "no such desktop");
                                  return inside_[at].duplicate();
                                }));
  connect(panal_, kUplink, outside_, "out0");
  must_run(outside_,
           "ip link set lo up && ip link set out0 address 02:99:00:00:00:01 && "
           "ip link set out0 up && sysctl -qw net.ipv6.conf.all.disable_ipv6=0");
  must_run(panal_,
           "ip link set lo up && ip link set up0 up && ip address add 192.0.2.1/24 dev up0 && "
           "ip address add 2001:db8:77::1/64 dev up0 nodad && "
           "ip neigh replace 192.0.2.254 lladdr 02:99:00:00:00:01 dev up0 && "
           "ip -6 neigh replace 2001:db8:77::fe lladdr 02:99:00:00:00:01 dev up0 && "
           "ip route add default via 192.0.2.254 && ip -6 route add default via 2001:db8:77::fe");
  uplink_mac_ = mac_of(panal_, kUplink);
  taps_.emplace_back(outside_, "out0");
  const auto pool = must(AddressPool::parse(kWorldPlan.subnet4, kWorldPlan.subnet6));
  desktops_.reserve(static_cast<std::size_t>(count));
  for (DesktopId id = 1; id <= count; ++id) {
    addresses_.push_back(must(pool.of(id)));
    desktops_.emplace_back();
    inside_.push_back(desktops_.back().network());
    await_link(panal_, must(network_->attach(id, inside_.back())).name, inside_.back());
    taps_.emplace_back(inside_.back(), "eth0");
  }
}

Result<void> World::apply(PolicySet set, const std::map<DesktopId, std::string>& has,
                          bool masquerade, const std::set<DesktopId>& strangers) {
  const auto tenant = [&](DesktopId id) { return strangers.contains(id) ? "other" : "acme"; };
  Surroundings around{.uplink = kUplink,
                      .masquerade = masquerade,
                      .desktops = prefixes({kWorldPlan.subnet4, kWorldPlan.subnet6}),
                      .uses = {},
                      .bridges = true};
  for (const auto& [id, name] : has) around.uses.emplace(name, tenant(id));
  PANAL_ASSIGN(auto rules, compile(set, around));
  std::map<DesktopId, std::uint32_t> policies;
  for (const auto& [id, name] : has) policies[id] = policy_id(rules, name, tenant(id));
  PANAL_TRY(network_->set_rules(rules, policies));
  rules_ = std::move(rules);
  policies_ = std::move(policies);
  return {};
}

Sender World::sender(DesktopId id) const {
  const auto found = policies_.find(id);
  return {addresses(id), found != policies_.end() ? found->second : 0};
}

void World::send(DesktopId id, const Bytes& packet, bool v6) {
  const std::uint16_t type = v6 ? 0x86dd : 0x0800;
  if (id == 0) {
    taps_[0].send(ethernet(uplink_mac_, kOutsideMac, type, packet));
    return;
  }
  const Addresses& me = addresses(id);
  taps_[static_cast<std::size_t>(id)].send(ethernet(me.gateway_mac, me.mac, type, packet));
}

std::vector<Bytes> World::arrived(DesktopId id) {
  std::vector<Bytes> packets;
  constexpr std::size_t kHeader = 14;
  for (const auto& hex : taps_[static_cast<std::size_t>(id)].received()) {
    Bytes packet;
    for (std::size_t i = kHeader * 2; i + 1 < hex.size(); i += 2) {
      packet.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    packets.push_back(std::move(packet));
  }
  return packets;
}

bool World::passes(DesktopId from, DesktopId to, const Bytes& packet, bool v6) {
  (void)arrived(to);
  send(from, packet, v6);
  settle();
  // Hop count and checksums change on the way; what the transport carries does not.
  const std::size_t header = v6 ? 40 : 20;
  for (const Bytes& other : arrived(to)) {
    if (other.size() >= packet.size() && other.size() > header + 4 &&
        std::equal(packet.begin() + static_cast<std::ptrdiff_t>(header + 8), packet.end(),
                   other.begin() + static_cast<std::ptrdiff_t>(header + 8))) {
      return true;
    }
  }
  return false;
}

std::uint64_t World::dropped(const std::string& reason) {
  for (const auto& counter : must(network_->drops())) {
    if (counter.reason == reason) return counter.packets;
  }
  ADD_FAILURE() << "no counter " << reason;
  return 0;
}

Service service(const std::string& name, const std::vector<std::string>& peers,
                const std::vector<Traffic>& traffic, const std::vector<std::string>& except) {
  return {.name = name, .peers = prefixes(peers), .except = prefixes(except), .traffic = traffic};
}

NetPolicy policy(const std::string& name, const std::vector<std::string>& reach,
                 const std::vector<std::string>& reached_by, const std::string& group) {
  NetPolicy policy;
  policy.name = name;
  policy.reach = reach;
  policy.reached_by = reached_by;
  policy.group = group;
  return policy;
}

PolicySet policies(const std::vector<Service>& services, const std::vector<NetPolicy>& all) {
  PolicySet set;
  for (const auto& one : services) set.services[one.name] = one;
  for (const auto& one : all) set.policies[one.name] = one;
  return set;
}

}  // namespace panal::netconfine::testing

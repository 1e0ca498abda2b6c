#include "netconfine/firewall/iptables/policy_chains.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace panal::netconfine {
namespace {

std::string text_of(const Prefix& prefix) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(prefix.v6 ? AF_INET6 : AF_INET, prefix.bytes.data(), text.data(), text.size());
  return fmt::format("{}/{}", text.data(), prefix.length);
}

/// "-d 10.1.0.0/16 -p tcp -m tcp --dport 80:90 "; `flag`: "-s" or "-d".
std::string matches(const Allow& line, const char* flag) {
  std::string text;
  if (line.peer.length > 0) text += fmt::format("{} {} ", flag, text_of(line.peer));
  if (line.except || line.protocol == Protocol::kAny) return text;
  if (line.protocol == Protocol::kIcmp) {
    return text + (line.peer.v6 ? "-p ipv6-icmp -m icmp6 --icmpv6-type 128 "
                                : "-p icmp -m icmp --icmp-type 8 ");
  }
  const char* name = line.protocol == Protocol::kTcp ? "tcp" : "udp";
  text += fmt::format("-p {} ", name);
  const auto [first, last] = line.ports;
  if (first == 0 && last == 0xffff) return text;
  text += fmt::format("-m {} --dport {}", name, first);
  if (last != first) text += fmt::format(":{}", last);
  return text + " ";
}

// At which end of a connection the desktop is whose policy it is.
enum class Opens : std::uint8_t { kOut, kIn };

// So many packets a second of one desktop, whatever rule they come to, and not more: one desktop
// does not hide what is told of others. Who is quiet for a minute is forgotten (left to itself the
// kernel forgets after a second, and would let a full burst begin anew). The kernel keeps a table
// of a name as it was first made.
std::string log_rule(const char* what, const CompiledPolicy& policy, Opens opens) {
  return fmt::format(
      "-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 20 --hashlimit-mode {0}ip "
      "--hashlimit-name pnl-log-{0} --hashlimit-htable-expire 60000 "
      "-j NFLOG --nflog-prefix \"panal {1} {2} \" --nflog-group {3}",
      opens == Opens::kOut ? "src" : "dst", what, policy.name, kNflogGroup);
}

/// A chain that sends what `lines` allow to `then`. A service with exceptions has a chain of its
/// own, as they are only its own.
void add_services(RuleTable& table, const std::string& chain, const char* flag, bool v6,
                  const std::vector<Allow>& lines, const std::string& then) {
  std::vector<std::string> rules;
  unsigned number = 0;
  for (auto at = lines.begin(); at != lines.end();) {
    const auto end = std::find_if(at, lines.end(),
                                  [&](const Allow& line) { return line.service != at->service; });
    const std::span<const Allow> service(at, end);
    at = end;
    ++number;
    const auto words = [&](bool except) {
      std::vector<std::string> all;
      for (const auto& line : service) {
        if (line.peer.v6 != v6 || line.except != except) continue;
        all.push_back(fmt::format("{}-m comment --comment {} {}", matches(line, flag), line.service,
                                  except ? "-j RETURN" : "-g " + then));
      }
      return all;
    };
    auto except = words(true);
    const auto allowed = words(false);
    if (allowed.empty()) continue;
    if (except.empty()) {
      rules.insert(rules.end(), allowed.begin(), allowed.end());
      continue;
    }
    const std::string own = fmt::format("{}-{}", chain, number);
    except.insert(except.end(), allowed.begin(), allowed.end());
    table[own] = {kOwnChain, std::move(except)};
    rules.push_back("-j " + own);
  }
  table[chain] = {kOwnChain, std::move(rules)};
}

/// Until somebody answers, every packet is one of a new connection to conntrack; those after the
/// first count towards no limit.
const std::string kFirst = "-m conntrack ! --ctstatus CONFIRMED ";

/// A chain that accepts first packets within the limits of one desktop, which is known by its
/// address.
void add_opening(RuleTable& table, const std::string& chain, const PolicyWords& words,
                 const CompiledPolicy& policy, Opens opens) {
  std::vector<std::string> rules;
  const bool out = opens == Opens::kOut;
  if (const auto rate = policy.limits.new_connections_per_second; out && rate > 0) {
    const auto kernels = hashlimit_rate(rate);
    // The kernel keeps a table of a name as it was first made: the name says all that counts.
    rules.push_back(kFirst +
                    fmt::format("-m hashlimit --hashlimit-above {0}/sec --hashlimit-burst {0} "
                                "--hashlimit-mode srcip --hashlimit-name pnl{1}-{0} {2}",
                                kernels, policy.id, drop_because("over_rate")));
  }
  const auto wanted = policy.limits.connections;
  rules.push_back(kFirst + fmt::format("-m connlimit --connlimit-above {} --connlimit-mask {} "
                                       "--connlimit-{} {}",
                                       wanted == 0 ? kMostOpen : std::min(wanted, kMostOpen),
                                       words.v6 ? 128 : 32, out ? "saddr" : "daddr",
                                       drop_because("over_connections")));
  if (policy.log == NetLog::kAll) rules.push_back(log_rule("allowed", policy, opens));
  rules.emplace_back("-j ACCEPT");
  table[chain] = {kOwnChain, std::move(rules)};
}

bool has_lines(const std::vector<Allow>& lines, bool v6) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const Allow& line) { return line.peer.v6 == v6 && !line.except; });
}

}  // namespace

std::string sending_chain(std::uint32_t policy) { return fmt::format("PANAL-SEND-{}", policy); }
std::string opening_chain(std::uint32_t policy) { return fmt::format("PANAL-OPEN-{}", policy); }
std::string mates_chain(std::uint32_t policy) { return fmt::format("PANAL-MATE-{}", policy); }
std::string reached_chain(std::uint32_t policy) { return fmt::format("PANAL-BY-{}", policy); }

std::uint32_t hashlimit_rate(std::uint32_t per_second) {
  constexpr std::uint32_t kScale = 1'000'000;
  std::uint32_t rate = std::clamp<std::uint32_t>(per_second, 1, kScale);
  // What is printed is made of the interval, and must give the same interval again.
  while (kScale / (kScale / rate) != rate) rate = kScale / (kScale / rate);
  return rate;
}

void add_sending_chains(RuleTable& table, const PolicyWords& words, const CompiledPolicy& policy) {
  // Does nothing but count, and says to people whose chain it is.
  std::vector<std::string> rules = {fmt::format("-m comment --comment {}", policy.name)};
  if (!words.uplink.empty() && has_lines(policy.reach, words.v6)) {
    const std::string reach = fmt::format("PANAL-REACH-{}", policy.id);
    add_services(table, reach, "-d", words.v6, policy.reach, opening_chain(policy.id));
    rules.push_back(fmt::format("-o {} -j {}", words.uplink, reach));
  }
  if (policy.group != 0) rules.push_back(fmt::format("-o pnl+ -j {}", mates_chain(policy.id)));
  if (policy.log != NetLog::kNone) rules.push_back(log_rule("denied", policy, Opens::kOut));
  if (!words.uplink.empty())
    rules.push_back(fmt::format("-o {} {}", words.uplink, drop_because("denied")));
  table[sending_chain(policy.id)] = {kOwnChain, std::move(rules)};
  add_opening(table, opening_chain(policy.id), words, policy, Opens::kOut);
}

void add_reached_chains(RuleTable& table, const PolicyWords& words, const CompiledPolicy& policy) {
  const std::string chain = reached_chain(policy.id);
  std::vector<std::string> rules = {fmt::format("-m comment --comment {}", policy.name)};
  if (has_lines(policy.reached_by, words.v6)) {
    const std::string opened = fmt::format("PANAL-OPENED-{}", policy.id);
    const std::string allow = chain + "-ALLOW";
    add_services(table, allow, "-s", words.v6, policy.reached_by, opened);
    add_opening(table, opened, words, policy, Opens::kIn);
    rules.push_back("-j " + allow);
  }
  if (policy.log != NetLog::kNone) rules.push_back(log_rule("denied", policy, Opens::kIn));
  rules.push_back(drop_because("denied"));
  table[chain] = {kOwnChain, std::move(rules)};
}

}  // namespace panal::netconfine

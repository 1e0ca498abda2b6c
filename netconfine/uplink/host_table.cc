#include "netconfine/uplink/host_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "netconfine/uplink/uplink_plan.h"

namespace panal::netconfine {
namespace {

// A next hop counts as in use for so long after its last packet; the kernel drops a neighbour that
// did not answer sooner.
constexpr int kHopSeconds = 15;
// What one desktop may add: 32 at once, then 2 a second, so 62 of all at most.
constexpr int kHopsPerSecond = 2;
constexpr int kHopsAtOnce = 32;
// Desktops a table tells apart; that of the addresses of a /16.
constexpr int kDesktops = 65536;

// What a table remembers the host by; a test reads it back.
constexpr std::string_view kMark = "made by panal, uplink by ";
constexpr std::string_view kGuardMark = " which did not forward before";
// Tells our rules in others' chains.
constexpr const char* kRuleMark = "panal-uplink";

// The chain that lets a packet out if its next hop is one in use, or may become one. Where all goes
// to a router there is one next hop; a network on the host's link has as many as addresses, and
// each takes an entry of the neighbour table.
std::string next_hops(bool v6, std::uint32_t most) {
  const char* ip = v6 ? "ip6" : "ip";
  const char* type = v6 ? "ipv6_addr" : "ipv4_addr";
  const int n = v6 ? 6 : 4;
  return fmt::format(
      "  set hops{n} {{\n"
      "    type {type} . {type}\n    size {most}\n    flags dynamic,timeout\n    timeout {hop}s\n"
      "  }}\n"
      "  set pace{n} {{\n"
      "    type {type}\n    size {desktops}\n    flags dynamic,timeout\n    timeout 1m\n"
      "  }}\n"
      "  set load{n} {{\n"
      "    type {type}\n    size {desktops}\n    flags dynamic\n"
      "  }}\n"
      "  chain hop{n} {{\n"
      "    {ip} saddr . rt {ip} nexthop @hops{n} update @hops{n} {{ {ip} saddr . rt {ip} nexthop "
      "}} "
      "accept\n"
      "    update @pace{n} {{ {ip} saddr limit rate over {rate}/second burst {burst} packets }} "
      "counter "
      "drop\n"
      "    update @hops{n} {{ {ip} saddr . rt {ip} nexthop }} accept\n"
      "    counter drop\n"
      "  }}\n",
      fmt::arg("n", n), fmt::arg("type", type), fmt::arg("ip", ip), fmt::arg("most", most),
      fmt::arg("desktops", kDesktops), fmt::arg("hop", kHopSeconds),
      fmt::arg("rate", kHopsPerSecond), fmt::arg("burst", kHopsAtOnce));
}

}  // namespace

std::string no_host_table() {
  // Adding first makes the deletion succeed whether it was there or not.
  return fmt::format("table inet {0}\ndelete table inet {0}\n", kHostTable);
}

std::string host_table(const HostTableFacts& facts) {
  const bool v6 = !facts.desktops6.empty();
  std::string text = no_host_table();
  const auto line = [&](const std::string& words) { text += words + "\n"; };
  const std::string in = fmt::format("iifname \"{}\"", kHostUplinkName);
  const std::string out = fmt::format("oifname \"{}\"", kHostUplinkName);
  const std::string from_device = fmt::format("iifname \"{}\"", facts.device);
  const std::string to_device = fmt::format("oifname \"{}\"", facts.device);

  line(fmt::format("table inet {} {{", kHostTable));
  line(fmt::format("  comment \"{}\"", to_string(HostTableMark{facts.device, facts.guard})));
  text += next_hops(false, facts.next_hops);
  if (v6) text += next_hops(true, facts.next_hops);

  line("  chain prerouting {");
  line("    type filter hook prerouting priority raw; policy accept;");
  line(fmt::format("    {} ip saddr != {} counter drop", in, facts.desktops4));
  line(v6 ? fmt::format("    {} ip6 saddr != {} counter drop", in, facts.desktops6)
          : fmt::format("    {} meta nfproto ipv6 counter drop", in));
  line("  }");

  line("  chain input {");
  line("    type filter hook input priority filter; policy accept;");
  line(fmt::format("    {} counter drop", in));
  line("  }");
  line("  chain output {");
  line("    type filter hook output priority filter; policy accept;");
  // "Too big", "time exceeded": of a connection that is there.
  line(fmt::format("    {} ct state related accept", out));
  line(fmt::format("    {} counter drop", out));
  line("  }");

  line("  chain forward {");
  line("    type filter hook forward priority filter; policy accept;");
  line(fmt::format("    {} goto from_desktops", in));
  line(fmt::format("    {} goto to_desktops", out));
  if (facts.guard) line(fmt::format("    {} counter drop", from_device));
  line("  }");
  line("  chain from_desktops {");
  line(fmt::format("    oifname != \"{}\" counter drop", facts.device));
  line("    ct state invalid counter drop");
  line(fmt::format("    ct state new add @load4 {{ ip saddr ct count over {} }} counter drop",
                   facts.connections));
  if (v6) {
    line(fmt::format("    ct state new add @load6 {{ ip6 saddr ct count over {} }} counter drop",
                     facts.connections));
  }
  line("    meta nfproto ipv4 goto hop4");
  if (v6) line("    meta nfproto ipv6 goto hop6");
  line("    counter drop");
  line("  }");
  line("  chain to_desktops {");
  line(fmt::format("    {} ct state established,related accept", from_device));
  line("    counter drop");
  line("  }");

  line("  chain postrouting {");
  line("    type nat hook postrouting priority srcnat; policy accept;");
  line(fmt::format("    {} ip saddr {} masquerade", to_device, facts.desktops4));
  if (v6) line(fmt::format("    {} ip6 saddr {} masquerade", to_device, facts.desktops6));
  line("  }");
  line("}");
  return text;
}

TableShares table_shares(std::uint64_t connection_max, std::uint64_t neighbour_max) {
  constexpr std::uint64_t kDefaultConnections = 65536;
  constexpr std::uint64_t kDefaultNeighbours = 1024;
  const std::uint64_t connections = connection_max != 0 ? connection_max : kDefaultConnections;
  const std::uint64_t neighbours = neighbour_max != 0 ? neighbour_max : kDefaultNeighbours;
  TableShares shares;
  // One desktop: a part of 64, but enough for a browser with many tabs where the table is small.
  shares.connections =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(connections / 64, 256, 4096));
  // All desktops: half; the rest is the host's.
  shares.next_hops =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(neighbours / 2, 64, 4096));
  return shares;
}

ForwardFilter parse_forward_filter(const std::string& program, bool v6, const std::string& text) {
  ForwardFilter filter{program, v6, false, false};
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string verb, chain, value;
    words >> verb >> chain >> value;
    if (verb == "-P" && chain == "FORWARD" && value != "ACCEPT") filter.drops = true;
    if (verb == "-A" && chain == "FORWARD" && line.find(kRuleMark) == std::string::npos) {
      filter.drops = true;
    }
    if (verb == "-N" && chain == "DOCKER-USER") filter.docker_user = true;
  }
  return filter;
}

std::vector<Words> forward_rules(const ForwardFilter& filter, const std::string& device) {
  if (!filter.drops) return {};
  // What is in DOCKER-USER outlives a restart of Docker, which makes FORWARD anew.
  const std::string chain = filter.docker_user ? "DOCKER-USER" : "FORWARD";
  return {{chain, "-i", kHostUplinkName, "-o", device, "-m", "comment", "--comment", kRuleMark,
           "-j", "ACCEPT"},
          {chain, "-i", device, "-o", kHostUplinkName, "-m", "conntrack", "--ctstate",
           "RELATED,ESTABLISHED", "-m", "comment", "--comment", kRuleMark, "-j", "ACCEPT"}};
}

std::vector<Words> our_rules(const std::string& text) {
  std::vector<Words> rules;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    Words words;
    for (std::string word; in >> word;) words.push_back(word);
    if (words.size() < 3 || words[0] != "-A") continue;
    const auto mark = std::find(words.begin(), words.end(), "--comment");
    if (mark == words.end() || mark + 1 == words.end() || *(mark + 1) != kRuleMark) continue;
    rules.emplace_back(words.begin() + 1, words.end());
  }
  return rules;
}

std::string to_string(const HostTableMark& mark) {
  return fmt::format("{}{}{}", kMark, mark.device, mark.guard ? kGuardMark : "");
}

HostTableMark parse_host_table_mark(const std::string& listed) {
  HostTableMark mark;
  const auto at = listed.find(kMark);
  if (at == std::string::npos) return mark;
  const auto begin = at + kMark.size();
  const auto end = std::min(listed.find_first_of("\" \n", begin), listed.size());
  if (end == begin || end - begin > 15) return mark;
  mark.device = listed.substr(begin, end - begin);
  mark.guard = listed.compare(end, kGuardMark.size(), kGuardMark) == 0;
  return mark;
}

}  // namespace panal::netconfine

#include "bench/network/qvd_rules.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

namespace panal::bench {
namespace {

using netconfine::Addresses;

/// Desktops and nodes of the measured network, which QVD tells apart by ranges of addresses.
constexpr const char* kDesktops = "10.77.0.1-10.77.255.253";
constexpr const char* kNodes = "10.77.255.254-10.77.255.254";

std::string chain_of(const Addresses& one, const char* hook) {
  return fmt::format("QVD_{}_{}", netconfine::id_of_link(one.link), hook);
}

/// What a desktop's chain of INPUT or FORWARD has, each as arguments behind "-A CHAIN".
std::vector<QvdCommand> rules_of(const Addresses& one, bool input) {
  const std::string mac = netconfine::to_string(one.mac), address = netconfine::to_string(one.ipv4);
  std::vector<QvdCommand> rules = {{"-s", "!", mac, "-j", "DROP"}};
  QvdCommand dhcp = {"-p", "IPv4"};
  if (input) dhcp.insert(dhcp.end(), {"--ip-src", "0.0.0.0"});
  dhcp.insert(dhcp.end(), {"--ip-proto", "udp", "--ip-dport", "67", "-j", "DROP"});
  rules.push_back(std::move(dhcp));
  rules.push_back({"-p", "IPv4", "--ip-src", "!", address, "-j", "DROP"});
  return rules;
}

std::string line_of(const QvdCommand& words) {
  std::string line;
  for (const auto& word : words) line += (line.empty() ? "" : " ") + word;
  return line + "\n";
}

}  // namespace

std::string qvd_link(DesktopId id) { return fmt::format("qvd{}", id); }

std::string qvd_node_rules(const std::string& uplink) {
  const std::string from = fmt::format("-m iprange --src-range {}", kDesktops);
  const std::string to_nodes = fmt::format("{} --dst-range {}", from, kNodes);
  return fmt::format(
      "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
      "-A FORWARD {1} -p tcp --syn -j DROP\n"
      "-A INPUT {0} -p tcp --syn -j DROP\n"
      "-A FORWARD {1} -p tcp -j ACCEPT\n"
      "-A INPUT {0} -p tcp -j ACCEPT\n"
      "-A INPUT {0} -p udp -m multiport --dports 67,53 -j ACCEPT\n"
      "-A INPUT {0} -p tcp --dport 53 -j ACCEPT\n"
      "-A FORWARD {1} -j DROP\n"
      "-A INPUT {0} -j DROP\n"
      "COMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\n"
      "-A POSTROUTING {0} -o {2} -j MASQUERADE\nCOMMIT\n",
      from, to_nodes, uplink);
}

std::string qvd_desktop_rules(const std::vector<Addresses>& all) {
  std::string chains = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n", rules;
  for (const auto& one : all) {
    for (const char* hook : {"INPUT", "FORWARD"}) {
      const std::string chain = chain_of(one, hook);
      chains += fmt::format(":{} ACCEPT\n", chain);
      for (const auto& words : rules_of(one, std::string_view(hook) == "INPUT"))
        rules += fmt::format("-A {} {}", chain, line_of(words));
      rules += fmt::format("-A {} -i {} -j {}\n", hook, qvd_link(netconfine::id_of_link(one.link)),
                           chain);
    }
  }
  return chains + rules;
}

std::vector<QvdCommand> qvd_adding(const Addresses& one) {
  std::vector<QvdCommand> all;
  for (const char* hook : {"INPUT", "FORWARD"}) {
    const std::string chain = chain_of(one, hook);
    all.push_back({"-N", chain, "-P", "ACCEPT"});
    for (auto& words : rules_of(one, std::string_view(hook) == "INPUT")) {
      words.insert(words.begin(), {"-A", chain});
      all.push_back(std::move(words));
    }
    all.push_back({"-A", hook, "-i", qvd_link(netconfine::id_of_link(one.link)), "-j", chain});
  }
  return all;
}

std::vector<QvdCommand> qvd_removing(const Addresses& one) {
  std::vector<QvdCommand> all;
  for (const char* hook : {"INPUT", "FORWARD"}) {
    const std::string chain = chain_of(one, hook);
    all.push_back({"-L", hook, "--Ln"});
    all.push_back({"-D", hook});
    all.push_back({"-F", chain});
    all.push_back({"-X", chain});
  }
  all.push_back({"-L"});  // is it gone?
  return all;
}

unsigned qvd_jump_number(const std::string& listing, const std::string& chain) {
  const std::string jump = "-j " + chain;
  std::string_view text = listing;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto at = line.find(jump);
    if (at == std::string_view::npos) continue;
    const auto behind = at + jump.size();
    if (behind < line.size() && line[behind] != ' ') continue;
    unsigned number = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
    if (error == std::errc() && end != line.data() && (*end == '.' || *end == ' ')) return number;
  }
  return 0;
}

}  // namespace panal::bench

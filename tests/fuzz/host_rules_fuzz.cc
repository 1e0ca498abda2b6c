// What nft(8) and iptables(8) of the host say, and the uplink's settings.
#include <cstddef>
#include <cstdint>
#include <string>

#include "netconfine/policy/prefix.h"
#include "netconfine/uplink/host_table.h"
#include "netconfine/uplink/uplink_plan.h"

using namespace panal::netconfine;  // NOLINT(google-build-using-namespace): a program of its own

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  (void)parse_host_table_mark(text);
  (void)our_rules(text);
  (void)forward_rules(parse_forward_filter("iptables", false, text), "eth0");
  // One setting a line.
  std::string words[7];
  std::size_t at = 0;
  for (const char c : text) {
    if (c == '\n' && at + 1 < std::size(words)) {
      ++at;
    } else {
      words[at] += c;
    }
  }
  const UplinkSettings settings{words[0], words[1], words[2],  words[3],
                                words[4], words[5], {words[6]}};
  static const auto four = *parse_prefix("10.77.0.0/16");
  static const auto six = *parse_prefix("fd77:70::/64");
  const auto plan = parse_uplink(settings, four, six);
  if (plan && plan->kind != UplinkKind::kNone && plan->device.find('"') != std::string::npos) {
    __builtin_trap();  // it would end a string of the host's table
  }
  return 0;
}

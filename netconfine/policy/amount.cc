#include "netconfine/policy/amount.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

namespace panal::netconfine {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
using Units = std::array<Unit, 4>;

constexpr Units kRateUnits{
    {{"bit", 1}, {"kbit", 1'000}, {"Mbit", 1'000'000}, {"Gbit", 1'000'000'000}}};
constexpr Units kByteUnits{{{"B", 1},
                            {"KiB", std::uint64_t{1} << 10U},
                            {"MiB", std::uint64_t{1} << 20U},
                            {"GiB", std::uint64_t{1} << 30U}}};

Result<std::uint64_t> parse_amount(std::string_view text, const Units& units) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, number);
  if (code == std::errc{}) {
    std::string_view unit(stop, static_cast<std::size_t>(end - stop));
    while (unit.starts_with(' ')) unit.remove_prefix(1);
    for (const auto& [name, factor] : units) {
      if (unit != name) continue;
      if (number > std::numeric_limits<std::uint64_t>::max() / factor) break;
      return number * factor;
    }
  }
  return fail(EINVAL, fmt::format("must be a whole number and one of {}, {}, {}, {}", units[0].name,
                                  units[1].name, units[2].name, units[3].name));
}

std::string format_amount(std::uint64_t number, const Units& units) {
  std::size_t unit = units.size() - 1;
  while (number == 0 ? unit > 0 : number % units[unit].factor != 0) --unit;
  return fmt::format("{} {}", number / units[unit].factor, units[unit].name);
}

constexpr std::array<std::pair<std::string_view, Protocol>, 4> kProtocols{
    {{"any", Protocol::kAny},
     {"tcp", Protocol::kTcp},
     {"udp", Protocol::kUdp},
     {"ping", Protocol::kIcmp}}};

bool read_port(std::string_view text, std::uint16_t& out) {
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, out);
  return code == std::errc{} && stop == end;
}

}  // namespace

Result<std::uint64_t> parse_rate(std::string_view text) { return parse_amount(text, kRateUnits); }
std::string format_rate(std::uint64_t bits) { return format_amount(bits, kRateUnits); }
Result<std::uint64_t> parse_bytes(std::string_view text) { return parse_amount(text, kByteUnits); }
std::string format_bytes(std::uint64_t bytes) { return format_amount(bytes, kByteUnits); }

Result<Traffic> parse_traffic(std::string_view text) {
  const auto slash = text.find('/');
  const bool has_ports = slash != std::string_view::npos;
  const std::string_view protocol = has_ports ? text.substr(slash + 1) : text;
  Traffic traffic;
  const auto* found = kProtocols.begin();
  while (found != kProtocols.end() && found->first != protocol) ++found;
  if (found == kProtocols.end()) {
    std::uint16_t port = 0;
    if (!has_ports && read_port(text, port))
      return fail(EINVAL, fmt::format("lacks a protocol: write \"{0}/tcp\" or \"{0}/udp\"", port));
    return fail(EINVAL,
                "must be like \"443/tcp\", \"8000-8080/udp\", \"tcp\", \"ping\" or \"any\"");
  }
  traffic.protocol = found->second;
  if (!has_ports) return traffic;
  if (traffic.protocol != Protocol::kTcp && traffic.protocol != Protocol::kUdp)
    return fail(EINVAL, "only tcp and udp have ports");
  const std::string_view ports = text.substr(0, slash);
  const auto dash = ports.find('-');
  if (!read_port(ports.substr(0, dash), traffic.ports.first))
    return fail(EINVAL, "needs ports of 0 to 65535");
  traffic.ports.last = traffic.ports.first;
  if (dash != std::string_view::npos && !read_port(ports.substr(dash + 1), traffic.ports.last))
    return fail(EINVAL, "needs ports of 0 to 65535");
  if (traffic.ports.last < traffic.ports.first)
    return fail(EINVAL, "has its last port before its first");
  return traffic;
}

std::string to_string(const Traffic& traffic) {
  const std::string_view name = kProtocols[static_cast<std::size_t>(traffic.protocol)].first;
  if (traffic.ports == PortRange()) return std::string(name);
  if (traffic.ports.first == traffic.ports.last)
    return fmt::format("{}/{}", traffic.ports.first, name);
  return fmt::format("{}-{}/{}", traffic.ports.first, traffic.ports.last, name);
}

}  // namespace panal::netconfine

/// Network policies and questions about them, which operators write, and the record of what was in
/// force. Policies that are accepted say the same when they are printed and read again, compile or
/// are refused, and their rules never let anything to where nobody may go.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "netconfine/policy/amount.h"
#include "netconfine/policy/compiled.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/policy/text.h"
#include "runtime/netpolicy/query.h"
#include "runtime/node/net_in_force.h"

using namespace panal::netconfine;

namespace {

void must(bool good) {
  if (!good) std::abort();
}

void look_at(const Ruleset& rules, const std::vector<Prefix>& desktops) {
  const auto pool = AddressPool::parse("10.77.0.0/16", "fd77:70::/64");
  must(pool.has_value());
  auto closed = never_reached();
  closed.insert(closed.end(), desktops.begin(), desktops.end());
  for (const CompiledPolicy& policy : rules.policies) {
    const Sender desktop{*pool->of(7), policy.id};
    for (const Prefix& prefix : closed) {
      Flow flow;
      flow.v6 = prefix.v6;
      flow.from4 = desktop.addresses.ipv4;
      flow.from6 = desktop.addresses.ipv6;
      std::copy_n(prefix.bytes.begin(), 4, flow.to4.begin());
      flow.to6 = prefix.bytes;
      must(!explain(rules, &desktop, nullptr, flow).allowed);
    }
  }
}

void read_policies(const std::string& text) {
  const auto set = parse_policies(text, "fuzz.toml");
  if (!set) {
    must(set.error().context.find('\n') == std::string::npos);
    return;
  }
  const std::string printed = print_policies(*set);
  const auto again = parse_policies(printed, "printed.toml");
  must(again.has_value() && *again == *set && print_policies(*again) == printed);
  Surroundings around;
  around.uplink = "up0";
  around.bridges = true;
  around.desktops = {*parse_prefix("10.77.0.0/16"), *parse_prefix("fd77:70::/64")};
  for (const auto& [name, policy] : set->policies) around.uses.insert({name, "acme"});
  const auto rules = compile(*set, around);
  if (rules) look_at(*rules, around.desktops);
}

void read_question(const std::string& text) {
  namespace np = panal::netpolicy;
  if (const auto words = np::parse_end(text)) {
    must(!words->host.empty());
    np::End from, to;
    from.desktop = 7;
    if (words->address)
      to.address = parse_prefix(words->host).value();
    else
      to.desktop = 8;
    const auto query = np::make_query({"x", false, {}, {}}, from, *words, to, false);
    if (query) must(np::parse_query(np::to_json(*query)).has_value());
  }
  const auto request = nlohmann::json::parse(text, nullptr, false);
  if (!request.is_object()) return;
  if (const auto query = np::parse_query(request)) {
    const auto again = np::parse_query(np::to_json(*query));
    must(again.has_value() && np::to_json(*again) == np::to_json(*query));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  read_policies(text);
  read_question(text);
  (void)panal::node::parse_in_force(text);
  if (const auto prefix = parse_prefix(text)) {
    const auto again = parse_prefix(to_string(*prefix));
    must(again.has_value() && *again == *prefix);
  }
  if (const auto rate = parse_rate(text)) must(parse_rate(format_rate(*rate)) == *rate);
  if (const auto bytes = parse_bytes(text)) must(parse_bytes(format_bytes(*bytes)) == *bytes);
  if (const auto traffic = parse_traffic(text))
    must(parse_traffic(to_string(*traffic)).value_or(Traffic{Protocol::kIcmp, {1, 1}}) == *traffic);
  return 0;
}

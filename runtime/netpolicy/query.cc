#include "runtime/netpolicy/query.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "netconfine/policy/amount.h"
#include "netconfine/policy/prefix.h"

namespace panal::netpolicy {
namespace {

using netconfine::Prefix;
using netconfine::Protocol;
using netconfine::Traffic;

constexpr std::size_t kMostText = 300;

std::string shown(std::string_view text) { return printable(text, 100); }

bool is_whole_address(const Prefix& prefix) { return prefix.length == (prefix.v6 ? 128 : 32); }

/// An address alone: a '/' in the text was taken for a protocol before.
std::optional<Prefix> address_of(std::string_view text) {
  const auto prefix = netconfine::parse_prefix(text);
  if (!prefix) return std::nullopt;
  return *prefix;
}

Result<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, port);
  if (code != std::errc{} || stop != end)
    return fail(EINVAL, fmt::format("\"{}\" is no port; 0 to 65535 are", shown(text)));
  return port;
}

/// Splits "HOST:PORT" and "[HOST]:PORT"; an IPv6 address without brackets has no port.
Result<void> split_host(std::string_view text, EndWords& out) {
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos)
      return fail(EINVAL, fmt::format("\"{}\" lacks its closing ]", shown(text)));
    out.host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty()) {
      if (rest.front() != ':')
        return fail(EINVAL, fmt::format("\"{}\": only :PORT may follow ]", shown(text)));
      PANAL_ASSIGN(out.port, port_of(rest.substr(1)));
    }
    if (const auto address = address_of(out.host); !address || !address->v6)
      return fail(EINVAL, fmt::format("\"{}\" is no IPv6 address", shown(out.host)));
    return {};
  }
  out.host = text;
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos)
    return {};
  out.host = text.substr(0, colon);
  PANAL_ASSIGN(out.port, port_of(text.substr(colon + 1)));
  return {};
}

nlohmann::json end_json(const End& end) {
  if (end.desktop != 0) return {{"desktop", end.desktop}};
  return {{"address", end.address ? netconfine::to_string(*end.address) : ""}};
}

Result<End> parse_end_json(const nlohmann::json& request, const char* key) {
  End end;
  const auto found = request.find(key);
  if (found == request.end() || !found->is_object())
    return fail(EPROTO, fmt::format("{} is missing", key));
  if (const auto id = found->find("desktop"); id != found->end()) {
    if (!id->is_number_integer() || id->get<std::int64_t>() < 1)
      return fail(EPROTO, fmt::format("{}: no desktop's id", key));
    end.desktop = id->get<std::int64_t>();
    return end;
  }
  const auto text = found->find("address");
  if (text != found->end() && text->is_string()) end.address = address_of(text->get<std::string>());
  if (!end.address || !is_whole_address(*end.address))
    return fail(EPROTO, fmt::format("{}: no address", key));
  return end;
}

struct Located {
  std::optional<netconfine::Sender> sender;
  Prefix address;
};

Result<Located> locate(const Plan& plan, const netconfine::AddressPool& pool, const End& end,
                       bool v6) {
  if (end.desktop == 0) return Located{std::nullopt, end.address.value_or(Prefix())};
  const auto holder = plan.desktops.find(end.desktop);
  if (holder == plan.desktops.end())
    return fail(ENOENT, fmt::format("desktop {} is not on this node", end.desktop));
  PANAL_ASSIGN(auto addresses, pool.of(end.desktop));
  const Prefix address =
      v6 ? netconfine::prefix_of(addresses.ipv6) : netconfine::prefix_of(addresses.ipv4);
  return Located{netconfine::Sender{std::move(addresses), holder->second.id}, address};
}

void put(const Prefix& address, netconfine::Ipv4& four, netconfine::Ipv6& six) {
  if (address.v6)
    six = address.bytes;
  else
    std::copy_n(address.bytes.begin(), four.size(), four.begin());
}

}  // namespace

Result<EndWords> parse_end(std::string_view text) {
  if (text.empty() || text.size() > kMostText)
    return fail(EINVAL, "write a desktop's name or an address, with :PORT where it has one");
  EndWords out;
  if (const auto slash = text.rfind('/'); slash != std::string_view::npos) {
    const auto traffic = netconfine::parse_traffic(text.substr(slash + 1));
    if (!traffic || !(traffic->ports == netconfine::PortRange()))
      return fail(EINVAL,
                  fmt::format("\"{}\": only /tcp, /udp, /ping or /any may follow", shown(text)));
    out.protocol = traffic->protocol;
    text = text.substr(0, slash);
  }
  PANAL_TRY(split_host(text, out));
  if (out.host.empty()) return fail(EINVAL, "a desktop's name or an address is missing");
  out.address = address_of(out.host).has_value();
  return out;
}

Result<Query> make_query(const EndWords& from_words, const End& from, const EndWords& to_words,
                         const End& to, bool v6) {
  Query query{from, to, v6, {}};
  if (from_words.port || from_words.protocol)
    return fail(EINVAL, fmt::format("port and protocol go with the destination, not with {}",
                                    shown(from_words.host)));
  if (from.desktop == 0 && to.desktop == 0)
    return fail(EINVAL, "neither end is a desktop; Panal's rules are about desktops");
  for (const End* end : {&from, &to}) {
    if (!end->address) continue;
    if (v6 && !end->address->v6)
      return fail(EINVAL,
                  fmt::format("{} is no IPv6 address", netconfine::to_string(*end->address)));
    query.v6 = end->address->v6;
  }
  query.traffic.protocol =
      to_words.protocol.value_or(to_words.port ? Protocol::kTcp : Protocol::kIcmp);
  const bool has_ports =
      query.traffic.protocol == Protocol::kTcp || query.traffic.protocol == Protocol::kUdp;
  if (has_ports && !to_words.port)
    return fail(EINVAL, fmt::format("{} needs a port: {}:PORT",
                                    netconfine::to_string(query.traffic), shown(to_words.host)));
  if (!has_ports && to_words.port) return fail(EINVAL, "only tcp and udp have ports");
  if (to_words.port) query.traffic.ports = {*to_words.port, *to_words.port};
  return query;
}

nlohmann::json to_json(const Query& query) {
  return {{"from", end_json(query.from)},
          {"to", end_json(query.to)},
          {"v6", query.v6},
          {"traffic", netconfine::to_string(query.traffic)}};
}

Result<Query> parse_query(const nlohmann::json& request) {
  Query query;
  PANAL_ASSIGN(query.from, parse_end_json(request, "from"));
  PANAL_ASSIGN(query.to, parse_end_json(request, "to"));
  if (query.from.desktop == 0 && query.to.desktop == 0)
    return fail(EPROTO, "neither end is a desktop");
  const auto six = request.find("v6");
  query.v6 = six != request.end() && six->is_boolean() && six->get<bool>();
  for (const End* end : {&query.from, &query.to})
    if (end->address && end->address->v6 != query.v6)
      return fail(EPROTO, "the ends are of two families");
  const auto text = request.find("traffic");
  if (text == request.end() || !text->is_string()) return fail(EPROTO, "traffic is missing");
  const auto traffic = netconfine::parse_traffic(text->get<std::string>());
  const auto one_port = [](const Traffic& one) {
    const bool has_ports = one.protocol == Protocol::kTcp || one.protocol == Protocol::kUdp;
    return has_ports ? one.ports.first == one.ports.last : one.ports == netconfine::PortRange();
  };
  if (!traffic || !one_port(*traffic)) return fail(EPROTO, "traffic is like 443/tcp, or ping");
  query.traffic = *traffic;
  return query;
}

Result<Answer> answer(const Plan& plan, const netconfine::AddressPool& pool, const Query& query) {
  Answer out;
  PANAL_ASSIGN(const Located from, locate(plan, pool, query.from, query.v6));
  PANAL_ASSIGN(const Located to, locate(plan, pool, query.to, query.v6));
  out.flow.v6 = query.v6;
  out.flow.protocol = query.traffic.protocol;
  const bool has_port = out.flow.protocol == Protocol::kTcp || out.flow.protocol == Protocol::kUdp;
  out.flow.port = has_port ? query.traffic.ports.first : std::uint16_t{0};
  put(from.address, out.flow.from4, out.flow.from6);
  put(to.address, out.flow.to4, out.flow.to6);
  out.from = from.sender;
  out.to = to.sender;
  out.said = netconfine::explain(plan.rules, out.from ? &*out.from : nullptr,
                                 out.to ? &*out.to : nullptr, out.flow);
  return out;
}

nlohmann::json to_json(const Plan& plan, const Query& query, const Answer& answer) {
  const auto end = [&](const End& one, const netconfine::Ipv4& four, const netconfine::Ipv6& six) {
    nlohmann::json out = {
        {"address", query.v6 ? netconfine::to_string(six) : netconfine::to_string(four)}};
    const auto holder = plan.desktops.find(one.desktop);
    if (holder == plan.desktops.end()) return out;
    out["desktop"] = one.desktop;
    out["name"] = holder->second.name;
    out["tenant"] = holder->second.tenant;
    out["policy"] = holder->second.policy;
    out["given_by"] = holder->second.given_by;
    out["policy_missing"] = holder->second.missing;
    return out;
  };
  return {{"from", end(query.from, answer.flow.from4, answer.flow.from6)},
          {"to", end(query.to, answer.flow.to4, answer.flow.to6)},
          {"traffic", netconfine::to_string(query.traffic)},
          {"allowed", answer.said.allowed},
          {"rule", answer.said.rule}};
}

}  // namespace panal::netpolicy

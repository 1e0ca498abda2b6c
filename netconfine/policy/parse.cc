#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <set>

#include "engine/base/log.h"
#include "engine/base/nearest.h"
#include "netconfine/policy/amount.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/policy/text.h"

namespace panal::netconfine {
namespace {

constexpr std::size_t kMostText = 256 * 1024;
constexpr std::size_t kMostWord = 100;
constexpr std::uint64_t kMostRate = 1'000'000'000'000;
constexpr std::uint64_t kMostBurst = std::uint64_t{1} << 30U;
constexpr std::uint32_t kMostConnections = 10'000'000;

constexpr std::string_view kAnyWord = "any";
constexpr std::string_view kPrivateWord = "private";
constexpr std::string_view kInternetWord = "internet";

template <typename Map>
std::vector<std::string> names_of(const Map& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

void append(std::vector<Prefix>& to, const std::vector<Prefix>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// Takes a set out of the parsed table; the problem that stands first in the file stays in `error`.
class PolicyReader {
 public:
  PolicyReader(const toml::table& root, std::string file) : root_(root), file_(std::move(file)) {}

  PolicySet read() {
    for (const auto& [key, node] : root_) {
      const std::string_view word = key.str();
      if (word == "service" || word == "policy" || word == "group")
        named_tables(word, node);
      else if (word != "default")
        unknown(node, "key", word, "a file of network policies",
                {"default", "group", "policy", "service"});
    }
    // Services first: policies name them. Groups last: policies say which there are.
    each("service", [this](const std::string& name, const toml::table& table) {
      set_.services[name] = service(name, table);
    });
    each("policy", [this](const std::string& name, const toml::table& table) {
      set_.policies[name] = policy(name, table);
    });
    each("group", [this](const std::string& name, const toml::table& table) {
      set_.groups[name] = group(name, table);
    });
    if (const toml::node* node = root_.get("default")) {
      if (const auto name = text(*node, "default")) {
        if (*name != kNoPolicy && !set_.policies.contains(*name))
          unknown(*node, "policy", *name, "default", names_of(set_.policies));
        set_.fallback = *name;
      }
    }
    return std::move(set_);
  }

  std::string error;

 private:
  void named_tables(std::string_view kind, const toml::node& node) {
    if (!node.is_table())
      return wrong(node, fmt::format("{} must be sections: [{}.NAME]", kind, kind));
    for (const auto& [key, value] : *node.as_table()) {
      const std::string shown = printable(key.str(), kMostWord);
      if (!value.is_table())
        wrong(value, fmt::format("{0} {1} must be a section: [{0}.{1}]", kind, shown));
      else if (!is_policy_name(key.str()))
        wrong(value, fmt::format("{} {}: a name is 1 to 32 of a-z, 0-9, - and _, beginning with a "
                                 "letter or digit",
                                 kind, shown));
      else if (kind == "policy" && key.str() == kNoPolicy)
        wrong(value, "policy none is there already: it allows nothing");
    }
  }

  template <typename Each>
  void each(std::string_view kind, const Each& act) {
    const toml::node* node = root_.get(kind);
    if (node == nullptr || !node->is_table()) return;
    for (const auto& [key, value] : *node->as_table())
      if (value.is_table() && is_policy_name(key.str()))
        act(std::string(key.str()), *value.as_table());
  }

  Service service(const std::string& name, const toml::table& table) {
    Service out;
    out.name = name;
    const std::string where = fmt::format("[service.{}]", name);
    check_keys(table, where, {"to", "except", "ports"});
    if (!table.contains("to"))
      wrong(table, fmt::format("{} must say to = [...], the addresses that it is at", where));
    words(table, "to",
          [&](const toml::node& node, const std::string& word) { peer(node, word, out); });
    words(table, "except", [&](const toml::node& node, const std::string& word) {
      if (word == kPrivateWord) return append(out.except, private_addresses());
      if (const auto prefix = this->prefix(node, "except", word)) out.except.push_back(*prefix);
    });
    words(table, "ports", [&](const toml::node& node, const std::string& word) {
      const auto traffic = parse_traffic(word);
      if (!traffic)
        return wrong(node, fmt::format("ports: \"{}\" {}", printable(word, kMostWord),
                                       traffic.error().context));
      out.traffic.push_back(*traffic);
    });
    if (const toml::node* ports = table.get("ports"); ports != nullptr && out.traffic.empty())
      wrong(*ports, "ports is empty; leave it out for all traffic");
    out.peers = merged(std::move(out.peers));
    out.except = merged(std::move(out.except));
    for (const Prefix& one : out.except) {
      const bool part = std::any_of(out.peers.begin(), out.peers.end(),
                                    [&](const Prefix& peer) { return overlap(peer, one); });
      // The words stand for many prefixes of both families; who writes an address means it.
      if (!part && written_.contains(one))
        wrong(*table.get("except"),
              fmt::format("except: {} is no part of what {} is at", to_string(one), where));
    }
    std::erase_if(out.except, [&](const Prefix& one) {
      return std::none_of(out.peers.begin(), out.peers.end(),
                          [&](const Prefix& peer) { return overlap(peer, one); });
    });
    written_.clear();
    const bool none_left = std::all_of(out.peers.begin(), out.peers.end(), [&](const Prefix& peer) {
      return covering(out.except, peer) != nullptr;
    });
    if (!out.peers.empty() && none_left)
      wrong(*table.get("except"), fmt::format("except leaves nothing of what {} is at", where));
    if (const toml::node* to = table.get("to"); to != nullptr && out.peers.empty())
      wrong(*to, "to must name an address");
    return out;
  }

  void peer(const toml::node& node, const std::string& word, Service& out) {
    // What is not the internet is taken from all of a service, so that nothing can stand beside it.
    if (internet_ || (word == kInternetWord && !out.peers.empty()))
      return wrong(node, "\"internet\" stands alone in to; make another service for the rest");
    if (word == kAnyWord) return append(out.peers, all_addresses());
    if (word == kPrivateWord) return append(out.peers, private_addresses());
    if (word == kInternetWord) {
      internet_ = true;
      append(out.peers, all_addresses());
      return append(out.except, not_internet());
    }
    const auto prefix = this->prefix(node, "to", word);
    if (!prefix) return;
    const auto never = never_reached();
    if (covering(never, *prefix) != nullptr)
      return wrong(node, fmt::format("to: {} is never reached: loopback, link-local, multicast and "
                                     "reserved addresses lead nowhere",
                                     to_string(*prefix)));
    out.peers.push_back(*prefix);
  }

  std::optional<Prefix> prefix(const toml::node& node, std::string_view key,
                               const std::string& word) {
    const auto prefix = parse_prefix(word);
    if (prefix) {
      written_.insert(*prefix);
      return *prefix;
    }
    std::string hint;
    if (prefix.error().context == "is no address") {
      const std::string near =
          nearest(word, {std::string(kAnyWord), std::string(kPrivateWord), "internet"});
      hint = !near.empty() ? fmt::format("; the nearest known word is {}", near)
                           : "; write an address or prefix (names are not looked up), "
                             "\"internet\", \"private\" or \"any\"";
    }
    wrong(node, fmt::format("{}: \"{}\" {}{}", key, printable(word, kMostWord),
                            prefix.error().context, hint));
    return std::nullopt;
  }

  NetPolicy policy(const std::string& name, const toml::table& table) {
    NetPolicy out;
    out.name = name;
    check_keys(table, fmt::format("[policy.{}]", name),
               {"reach", "reached_by", "group", "log", "connections", "new_connections_per_second",
                "rate", "tenant_rate"});
    service_names(table, "reach", out.reach);
    service_names(table, "reached_by", out.reached_by);
    if (const toml::node* node = table.get("group")) {
      if (const auto group = text(*node, "group")) {
        if (!is_policy_name(*group))
          wrong(*node, "group must be a name of 1 to 32 of a-z, 0-9, - and _");
        out.group = *group;
        named_groups_.insert(*group);
      }
    }
    if (const toml::node* node = table.get("log")) {
      const auto word = text(*node, "log");
      bool known = false;
      for (const NetLog log : {NetLog::kNone, NetLog::kDenied, NetLog::kAll}) {
        if (!word || *word != to_string(log)) continue;
        out.log = log;
        known = true;
      }
      if (word && !known) wrong(*node, "log must be one of \"none\", \"denied\", \"all\"");
    }
    number(table, "connections", out.limits.connections);
    number(table, "new_connections_per_second", out.limits.new_connections_per_second);
    rates(table, name, "rate", out.limits);
    rates(table, name, "tenant_rate", out.tenant_limits);
    return out;
  }

  NetGroup group(const std::string& name, const toml::table& table) {
    NetGroup out;
    out.name = name;
    check_keys(table, fmt::format("[group.{}]", name), {"bridge"});
    if (const toml::node* node = table.get("bridge")) {
      const auto value = node->value_exact<bool>();
      if (!value) wrong(*node, "bridge must be true or false");
      out.bridge = value.value_or(false);
    }
    // What is said about a group that nobody is in was meant for another.
    if (!named_groups_.contains(name) && comes_first(table))
      unknown(table, "group", name, "the policies", {named_groups_.begin(), named_groups_.end()});
    return out;
  }

  void service_names(const toml::table& table, std::string_view key,
                     std::vector<std::string>& out) {
    words(table, key, [&](const toml::node& node, const std::string& word) {
      if (!set_.services.contains(word)) {
        return unknown(node, "service", word, key, names_of(set_.services));
      }
      if (std::find(out.begin(), out.end(), word) != out.end())
        return wrong(node, fmt::format("{} names service {} twice", key, word));
      out.push_back(word);
    });
  }

  void rates(const toml::table& policy, const std::string& name, std::string_view key,
             NetLimits& out) {
    const toml::node* node = policy.get(key);
    if (node == nullptr) return;
    const std::string where = fmt::format("[policy.{}.{}]", name, key);
    if (!node->is_table()) return wrong(*node, fmt::format("{} must be a section: {}", key, where));
    const toml::table& table = *node->as_table();
    check_keys(table, where, {"send", "receive", "burst"});
    amount(table, "send", kMostRate, &parse_rate, &format_rate, out.send_bits_per_second);
    amount(table, "receive", kMostRate, &parse_rate, &format_rate, out.receive_bits_per_second);
    amount(table, "burst", kMostBurst, &parse_bytes, &format_bytes, out.burst_bytes);
    if (out.send_bits_per_second == 0 && out.receive_bits_per_second == 0)
      wrong(table, fmt::format("{} must say send or receive, such as send = \"20 Mbit\"", where));
  }

  void amount(const toml::table& table, std::string_view key, std::uint64_t most,
              Result<std::uint64_t> (*parse)(std::string_view),
              std::string (*format)(std::uint64_t), std::uint64_t& out) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return;
    const auto word = text(*node, key);
    if (!word) return;
    const auto value = parse(*word);
    if (!value)
      return wrong(*node, fmt::format("{} = \"{}\" {}", key, printable(*word, kMostWord),
                                      value.error().context));
    if (*value == 0 || *value > most)
      return wrong(*node, fmt::format("{} = \"{}\" is out of range; more than nothing and at most "
                                      "{} are allowed",
                                      key, printable(*word, kMostWord), format(most)));
    out = *value;
  }

  void number(const toml::table& table, std::string_view key, std::uint32_t& out) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return;
    const auto value = node->value_exact<std::int64_t>();
    if (!value) return wrong(*node, fmt::format("{} must be a whole number", key));
    if (*value < 1 || *value > kMostConnections)
      return wrong(*node, fmt::format("{} = {} is out of range; 1 to {} are allowed", key, *value,
                                      kMostConnections));
    out = static_cast<std::uint32_t>(*value);
  }

  /// Each text of a list.
  template <typename Each>
  void words(const toml::table& table, std::string_view key, const Each& act) {
    internet_ = false;
    const toml::node* node = table.get(key);
    if (node == nullptr) return;
    const toml::array* list = node->as_array();
    if (list == nullptr)
      return wrong(*node, fmt::format("{} must be a list: {} = [\"...\"]", key, key));
    for (const toml::node& one : *list)
      if (const auto word = text(one, key)) act(one, *word);
  }

  std::optional<std::string> text(const toml::node& node, std::string_view key) {
    auto value = node.value_exact<std::string>();
    if (!value) wrong(node, fmt::format("{} must be text in quotes", key));
    return value;
  }

  void check_keys(const toml::table& table, const std::string& where,
                  const std::vector<std::string>& known) {
    for (const auto& [key, node] : table)
      if (std::find(known.begin(), known.end(), key.str()) == known.end())
        unknown(node, "key", key.str(), where, known);
  }

  void unknown(const toml::node& node, std::string_view kind, std::string_view word,
               std::string_view where, const std::vector<std::string>& known) {
    if (!comes_first(node)) return;  // looking for the nearest is work
    const std::string near = nearest(word, known);
    std::string hint = "; the nearest known one is " + near;
    if (near.empty())
      hint = known.empty() ? "" : fmt::format("; known: {}", fmt::join(known, ", "));
    wrong(node, fmt::format("unknown {} {} in {}{}", kind, printable(word, kMostWord), where,
                            printable(hint, 400)));
  }

  [[nodiscard]] bool comes_first(const toml::node& node) const {
    return error.empty() || node.source().begin.line < error_line_;
  }
  void wrong(const toml::node& node, const std::string& what) {
    if (!comes_first(node)) return;
    error_line_ = node.source().begin.line;
    error = fmt::format("{}:{}: {}", file_, error_line_, what);
  }

  const toml::table& root_;
  std::string file_;
  PolicySet set_;
  std::set<std::string> named_groups_;  ///< by policies
  bool internet_ = false;               ///< the list that is read has this word
  std::set<Prefix> written_;  ///< prefixes of the service that is read, but for those of words
  toml::source_index error_line_ = 0;
};

}  // namespace

bool is_policy_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 32 && plain(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return plain(c) || c == '-' || c == '_'; });
}

Result<PolicySet> parse_policies(const std::string& text, const std::string& file) {
  if (text.size() > kMostText)
    return fail(EPROTO, file + ":1: a file of network policies is at most 256 KiB");
  // The packaged library is built with exceptions; they end here.
  toml::table table;
  try {
    table = toml::parse(std::string_view(text));
  } catch (const toml::parse_error& problem) {
    return fail(EPROTO, fmt::format("{}:{}: {}", file, problem.source().begin.line,
                                    printable(problem.description(), 300)));
  }
  PolicyReader reader(table, file);
  PolicySet set = reader.read();
  if (!reader.error.empty()) return fail(EPROTO, reader.error);
  return set;
}

}  // namespace panal::netconfine

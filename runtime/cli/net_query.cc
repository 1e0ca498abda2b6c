#include "runtime/cli/net_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "netconfine/policy/prefix.h"
#include "runtime/cli/desktops.h"
#include "runtime/netpolicy/policy_file.h"
#include "runtime/netpolicy/query.h"

namespace panal::cli {
namespace {

constexpr std::chrono::seconds kQueryTimeout{15};

/// One end, looked up among the farm's desktops. An address that is a desktop's is that desktop.
Result<netpolicy::End> look_up_end(const Shell& shell, const std::vector<store::Desktop>& desktops,
                                   const netpolicy::EndWords& words, const std::string& tenant) {
  netpolicy::End end;
  if (!words.address) {
    PANAL_ASSIGN(const auto desktop, resolve_desktop(desktops, words.host, tenant));
    if (!desktop.node.empty() && desktop.node != shell.config.node_name)
      return fail(EBUSY,
                  fmt::format("desktop {} is on node {}; ask there", desktop.name, desktop.node));
    end.desktop = desktop.id;
    return end;
  }
  PANAL_ASSIGN(const auto address, netconfine::parse_prefix(words.host));
  PANAL_ASSIGN(const auto pool,
               netconfine::AddressPool::parse(shell.config.subnet4, shell.config.subnet6));
  for (const store::Desktop& desktop : desktops) {
    const auto own = pool.of(desktop.id);
    if (!own || (netconfine::prefix_of(own->ipv4) != address &&
                 netconfine::prefix_of(own->ipv6) != address))
      continue;
    end.desktop = desktop.id;
    return end;
  }
  end.address = address;
  return end;
}

Result<netpolicy::Query> query_of(const Shell& shell, store::Store& store,
                                  const NetQueryOptions& options) {
  PANAL_ASSIGN(const auto ends, split_ends(options.words));
  PANAL_ASSIGN(const auto from_words, netpolicy::parse_end(ends.first));
  PANAL_ASSIGN(const auto to_words, netpolicy::parse_end(ends.second));
  PANAL_ASSIGN(const auto desktops, store.desktops());
  PANAL_ASSIGN(const auto from, look_up_end(shell, desktops, from_words, options.tenant));
  PANAL_ASSIGN(const auto to, look_up_end(shell, desktops, to_words, options.tenant));
  const bool v6 = options.ipv6 || from_words.host.find(':') != std::string::npos ||
                  to_words.host.find(':') != std::string::npos;
  return netpolicy::make_query(from_words, from, to_words, to, v6);
}

/// By a file, for the whole farm: nothing runs that could be asked.
Result<nlohmann::json> explain_by_file(const Shell& shell, store::Store& store,
                                       const netpolicy::Query& query, const std::string& path) {
  PANAL_ASSIGN(const auto file, netpolicy::read_policy_file(path));
  PANAL_ASSIGN(const auto rows, store.net_policies(""));
  PANAL_ASSIGN(const auto plan, netpolicy::make_plan(file.set, rows, shell.config));
  PANAL_ASSIGN(const auto pool,
               netconfine::AddressPool::parse(shell.config.subnet4, shell.config.subnet6));
  PANAL_ASSIGN(const auto answer, netpolicy::answer(plan, pool, query));
  auto out = netpolicy::to_json(plan, query, answer);
  out["by"] = file.there ? path : path + " (not there)";
  return out;
}

std::string said_text(const nlohmann::json& value, const char* key) {
  const auto found = value.find(key);
  return found != value.end() && found->is_string() ? printable(found->get<std::string>(), 300)
                                                    : std::string();
}

bool said_flag(const nlohmann::json& value, const char* key) {
  const auto found = value.find(key);
  return found != value.end() && found->is_boolean() && found->get<bool>();
}

/// "alice-desk (10.77.0.7)", "10.0.0.5".
std::string end_words(const nlohmann::json& end) {
  const std::string name = said_text(end, "name");
  return name.empty() ? said_text(end, "address")
                      : fmt::format("{} ({})", name, said_text(end, "address"));
}

void say_policy_of(const Shell& shell, const nlohmann::json& end) {
  if (!end.is_object() || said_text(end, "name").empty()) return;
  const std::string by = said_text(end, "given_by");
  shell.out << fmt::format(
      "  {} has policy {} by {}{}\n", said_text(end, "name"), said_text(end, "policy"),
      by == "default" ? "the file's default" : "its " + by,
      said_flag(end, "policy_missing") ? ", which this node does not know: nothing is allowed"
                                       : "");
}

void say_verdict(const Shell& shell, const nlohmann::json& said) {
  const auto from = said.value("from", nlohmann::json::object());
  const auto to = said.value("to", nlohmann::json::object());
  shell.out << fmt::format("{} -> {} {}: {}\n", end_words(from), end_words(to),
                           said_text(said, "traffic"),
                           said_flag(said, "allowed") ? "allowed" : "denied");
  shell.out << fmt::format("  {}\n", said_text(said, "rule"));
  say_policy_of(shell, from);
  say_policy_of(shell, to);
  if (const std::string by = said_text(said, "by"); !by.empty())
    shell.out << fmt::format("  by {}; what is in force may be other\n", by);
}

/// panald does not run, or the desktop has no place on this node yet: the file tells what it says.
bool only_the_file_knows(const Error& error) {
  return error.code == ECONNREFUSED || error.code == ENOENT;
}

}  // namespace

Result<std::pair<std::string, std::string>> split_ends(const std::vector<std::string>& words) {
  if (words.size() == 1) {
    const std::string_view arrow = " -> ";
    const auto at = words[0].find(arrow);
    if (at != std::string::npos)
      return std::pair(words[0].substr(0, at), words[0].substr(at + arrow.size()));
  }
  if (!words.empty() && words.back() == "-")
    return fail(EINVAL,
                "the shell took > for a file to write to: leave the arrow out, panal net explain "
                "FROM TO");
  if (words.size() == 2) return std::pair(words[0], words[1]);
  if (words.size() == 3 && words[1] == "to") return std::pair(words[0], words[2]);
  return fail(EINVAL, "say FROM and TO, such as alice-desk 10.0.0.5:443");
}

std::vector<std::string> without_arrows(std::vector<std::string> words) {
  if (std::find(words.begin(), words.end(), "net") != words.end())
    std::replace(words.begin(), words.end(), std::string("->"), std::string("to"));
  return words;
}

ExitCode told_of_file(const Shell& shell, const Error& error) {
  return error.code == EPROTO ? shell.refuse(ExitCode::kUsage, error.context) : shell.told(error);
}

ExitCode net_explain(Shell& shell, const NetQueryOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto query, query_of(shell, *store, options));
  nlohmann::json said;
  bool asked = false;
  if (options.file.empty()) {
    auto request = netpolicy::to_json(query);
    request["op"] = "net_explain";
    auto answer = shell.backends.ask_node(shell.config, request, kQueryTimeout);
    if (!answer && !only_the_file_knows(answer.error())) return shell.told(answer.error());
    asked = answer.has_value();
    if (answer) said = std::move(*answer);
  }
  if (!asked) {
    const std::string& path = options.file.empty() ? shell.config.policies_file : options.file;
    auto answer = explain_by_file(shell, *store, query, path);
    if (!answer) return told_of_file(shell, answer.error());
    said = std::move(*answer);
  }
  if (options.json)
    shell.print(said);
  else
    say_verdict(shell, said);
  return ExitCode::kOk;
}

ExitCode net_test(Shell& shell, const NetQueryOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto query, query_of(shell, *store, options));
  auto request = netpolicy::to_json(query);
  request["op"] = "net_test";
  PANAL_CLI_ASSIGN(shell, const auto said,
                   shell.backends.ask_node(shell.config, request, kQueryTimeout));
  const bool proved = said_flag(said, "proved");
  const auto sent = said.value("sent", nlohmann::json::object());
  if (options.json) {
    shell.print(said);
  } else {
    say_verdict(shell, said);
    if (!said_flag(sent, "left"))
      shell.out << "  not proved: the packet did not come out of the desktop; is its link up?\n";
    else
      shell.out << fmt::format("  {}: a packet left the desktop and {}\n",
                               proved ? "proved" : "NOT AS THE RULES SAY",
                               said_flag(sent, "passed") ? "went out by " + said_text(sent, "by")
                                                         : std::string("went no further"));
  }
  if (proved) return ExitCode::kOk;
  return shell.refuse(ExitCode::kFailed,
                      said_flag(sent, "left")
                          ? "the packet did not do as the rules say; panal doctor and panald's log "
                            "may tell why"
                          : "nothing was proved");
}

}  // namespace panal::cli

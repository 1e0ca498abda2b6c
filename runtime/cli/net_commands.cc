#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "netconfine/policy/text.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/desktops.h"
#include "runtime/cli/names.h"
#include "runtime/cli/nearest.h"
#include "runtime/cli/net_query.h"
#include "runtime/cli/net_uplink.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/table.h"
#include "runtime/netpolicy/plan.h"
#include "runtime/netpolicy/policy_file.h"

namespace panal::cli {
namespace {

constexpr std::chrono::seconds kNetTimeout{30};

struct NetOptions {
  NetQueryOptions query;
  NetUplinkOptions uplink;
  std::string policy, file, desktop;
  std::vector<std::string> tenants, images, desktops;
  bool dry_run = false, json = false, force = false;
};

std::string net_text(const nlohmann::json& value, const char* key) {
  const auto found = value.find(key);
  return found != value.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string net_words(const nlohmann::json& list) {
  std::string out;
  if (!list.is_array()) return out;
  for (const nlohmann::json& one : list)
    if (one.is_string()) out += (out.empty() ? "" : ", ") + printable(one.get<std::string>(), 64);
  return out;
}

std::string net_number(const nlohmann::json& value, const char* key) {
  const auto found = value.find(key);
  return found != value.end() && found->is_number_integer() ? found->dump() : "0";
}

/// "tenant acme", and its id where it is a desktop.
struct Whom {
  store::NetTarget target;
  std::string words;
};

Result<std::vector<Whom>> net_targets(store::Store& store, const NetOptions& options) {
  std::vector<Whom> out;
  PANAL_ASSIGN(const auto tenants, store.tenants());
  for (const std::string& name : options.tenants) {
    std::vector<std::string> known;
    for (const auto& one : tenants) known.push_back(one.name);
    if (std::find(known.begin(), known.end(), name) == known.end())
      return fail(ENOENT, fmt::format("there is no tenant {}{}", printable(name, 80),
                                      did_you_mean(name, known)));
    out.push_back({{store::NetScope::kTenant, name, 0}, "tenant " + name});
  }
  PANAL_ASSIGN(const auto images, store.images());
  for (const std::string& name : options.images) {
    std::vector<std::string> known;
    for (const auto& one : images) known.push_back(one.name);
    if (std::find(known.begin(), known.end(), name) == known.end())
      return fail(ENOENT, fmt::format("there is no image {}{}", printable(name, 80),
                                      did_you_mean(name, known)));
    out.push_back({{store::NetScope::kImage, name, 0}, "image " + name});
  }
  if (!options.desktops.empty()) {
    PANAL_ASSIGN(const auto desktops, store.desktops());
    for (const std::string& word : options.desktops) {
      // "acme/alice-desk" where two tenants have one of that name.
      const auto slash = word.find('/');
      const std::string tenant = slash == std::string::npos ? "" : word.substr(0, slash);
      PANAL_ASSIGN(
          const auto desktop,
          resolve_desktop(desktops, slash == std::string::npos ? word : word.substr(slash + 1),
                          tenant));
      out.push_back({{store::NetScope::kDesktop, "", desktop.id},
                     fmt::format("desktop {}/{}", desktop.tenant, desktop.name)});
    }
  }
  if (out.empty()) return fail(EINVAL, "say whom: --tenant, --image or --desktop");
  return out;
}

/// Errors: ENOENT where this node's file has no such policy.
Result<void> check_policy_known(const config::Config& config, const std::string& policy) {
  if (!netconfine::is_policy_name(policy))
    return fail(EINVAL, fmt::format("\"{}\" is no name of a policy: 1 to 32 of a-z, 0-9, - and _",
                                    printable(policy, 80)));
  if (policy == netconfine::kNoPolicy) return {};
  PANAL_ASSIGN(const auto file, netpolicy::read_policy_file(config.policies_file));
  if (file.set.policies.contains(policy)) return {};
  std::vector<std::string> known{netconfine::kNoPolicy};
  for (const auto& [name, value] : file.set.policies) known.push_back(name);
  return fail(ENOENT,
              fmt::format("there is no policy {} in {}{}; --force where other nodes have one",
                          policy, file.path, did_you_mean(policy, known)));
}

ExitCode net_assign(Shell& shell, const NetOptions& options) {
  const bool taking = options.policy.empty();
  if (!taking && !options.force)
    if (const auto known = check_policy_known(shell.config, options.policy); !known)
      return told_of_file(shell, known.error());
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  // All are looked at before the first is changed.
  PANAL_CLI_ASSIGN(shell, const auto all, net_targets(*store, options));
  for (const Whom& one : all) {
    if (!options.dry_run)
      PANAL_CLI_TRY(shell, store->set_net_policy(one.target, options.policy, operator_name()));
    if (taking)
      shell.out << fmt::format("{} {} no policy of its own\n", one.words,
                               options.dry_run ? "would have" : "has");
    else
      shell.out << fmt::format("{} {} policy {}, desktops that run too\n", one.words,
                               options.dry_run ? "would get" : "has", options.policy);
  }
  return ExitCode::kOk;
}

ExitCode net_unassign(Shell& shell, NetOptions options) {
  options.policy.clear();
  return net_assign(shell, options);
}

ExitCode net_ls(Shell& shell, const NetOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto assignments, store->net_assignments());
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->net_policies(""));
  auto list = nlohmann::json::array();
  Table table({"POLICY", "GIVEN TO", ">DESKTOPS THAT HAVE IT SO"});
  for (const auto& one : assignments) {
    std::size_t count = 0;
    for (const auto& desktop : desktops) {
      if (desktop.given_by != store::to_string(one.target.scope)) continue;
      const bool meant =
          one.target.scope == store::NetScope::kTenant  ? desktop.tenant == one.target.name
          : one.target.scope == store::NetScope::kImage ? desktop.image == one.target.name
                                                        : desktop.id == one.target.desktop;
      if (meant) ++count;
    }
    const std::string scope(store::to_string(one.target.scope));
    list.push_back(
        {{"policy", one.policy}, {"scope", scope}, {"name", one.shown}, {"desktops", count}});
    table.add_row({one.policy, scope + " " + one.shown, std::to_string(count)});
  }
  std::size_t without = 0;
  for (const auto& desktop : desktops)
    if (desktop.given_by.empty()) ++without;
  if (options.json) {
    shell.print({{"assignments", list}, {"by_default", without}});
    return ExitCode::kOk;
  }
  table.add_row({"(default)", "all others", std::to_string(without)});
  table.print(shell.out);
  return ExitCode::kOk;
}

ExitCode net_check(Shell& shell, const NetOptions& options) {
  const std::string& path = options.file.empty() ? shell.config.policies_file : options.file;
  const auto file = netpolicy::read_policy_file(path);
  if (!file) return told_of_file(shell, file.error());
  if (!file->there)
    return shell.refuse(ExitCode::kNotFound, fmt::format("there is no file {}", path));
  const auto plan = netpolicy::make_plan(file->set, {}, shell.config);
  if (!plan)
    return shell.refuse(ExitCode::kUsage, fmt::format("{}: {}", path, plan.error().context));
  if (options.json) {
    shell.print(
        {{"file", path},
         {"services", file->set.services.size()},
         {"policies", file->set.policies.size()},
         {"default", file->set.fallback.empty() ? netconfine::kNoPolicy : file->set.fallback}});
    return ExitCode::kOk;
  }
  shell.out << fmt::format("{}: {} services, {} policies; the default is {}\n", path,
                           file->set.services.size(), file->set.policies.size(),
                           file->set.fallback.empty() ? netconfine::kNoPolicy : file->set.fallback);
  return ExitCode::kOk;
}

void say_missing_policies(const Shell& shell, const nlohmann::json& answer) {
  const auto missing = answer.find("missing");
  if (missing == answer.end() || !missing->is_array()) return;
  for (const nlohmann::json& one : *missing)
    shell.out << fmt::format(
        "desktop {} has policy {}, which this node does not know: nothing is "
        "allowed\n",
        printable(net_text(one, "name"), 64), printable(net_text(one, "policy"), 64));
}

ExitCode net_apply(Shell& shell, const NetOptions& options) {
  PANAL_CLI_ASSIGN(
      shell, const auto answer,
      shell.backends.ask_node(
          shell.config,
          {{"op", "net_apply"}, {"dry_run", options.dry_run}, {"actor", operator_name()}},
          kNetTimeout));
  if (options.json) {
    shell.print(answer);
    return ExitCode::kOk;
  }
  const auto changes = answer.value("changes", nlohmann::json::array());
  for (const nlohmann::json& change : changes)
    if (change.is_string()) shell.out << printable(change.get<std::string>(), 200) << "\n";
  say_missing_policies(shell, answer);
  const std::string file = printable(net_text(answer, "file"), 400);
  if (changes.empty())
    shell.out << fmt::format("{} is in force as it is\n", file);
  else
    shell.out << fmt::format("{} {}; {} desktops are concerned\n", file,
                             options.dry_run ? "would be put in force" : "is in force",
                             net_number(answer, "desktops"));
  return ExitCode::kOk;
}

ExitCode net_show_desktop(Shell& shell, const NetOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  PANAL_CLI_ASSIGN(shell, const auto desktop,
                   resolve_desktop(desktops, options.desktop, options.query.tenant));
  PANAL_CLI_ASSIGN(shell, const auto answer,
                   shell.backends.ask_node(
                       shell.config, {{"op", "net_show"}, {"desktop", desktop.id}}, kNetTimeout));
  if (options.json) {
    shell.print(answer);
    return ExitCode::kOk;
  }
  shell.out << fmt::format("{}: {}, {} by {}\n", desktop.name, net_text(answer, "address4"),
                           net_text(answer, "address6"), net_text(answer, "link"));
  const std::string by = net_text(answer, "given_by");
  shell.out << fmt::format("policy {} by {}\n", net_text(answer, "policy"),
                           by == "default" ? "the file's default" : "its " + by);
  if (answer.value("missing", false))
    shell.out << "this node does not know that policy: nothing is allowed\n";
  else if (net_text(answer, "text").empty())
    shell.out << "nothing is allowed\n";
  else
    shell.out << net_text(answer, "text");
  return ExitCode::kOk;
}

ExitCode net_show_policy(Shell& shell, const NetOptions& options) {
  PANAL_CLI_ASSIGN(
      shell, const auto answer,
      shell.backends.ask_node(shell.config, {{"op", "net_show"}, {"policy", options.policy}},
                              kNetTimeout));
  if (options.json)
    shell.print(answer);
  else
    shell.out << (net_text(answer, "text").empty() ? "nothing is allowed\n"
                                                   : net_text(answer, "text"));
  return ExitCode::kOk;
}

ExitCode net_show(Shell& shell, const NetOptions& options) {
  if (!options.desktop.empty()) return net_show_desktop(shell, options);
  if (!options.policy.empty()) return net_show_policy(shell, options);
  PANAL_CLI_ASSIGN(shell, const auto answer,
                   shell.backends.ask_node(shell.config, {{"op", "net_show"}}, kNetTimeout));
  if (options.json) {
    shell.print(answer);
    return ExitCode::kOk;
  }
  const std::string file = printable(net_text(answer, "file"), 400);
  if (!answer.value("there", false))
    shell.out << fmt::format("there is no {}: nothing is allowed\n", file);
  else if (const std::string mistake = net_text(answer, "mistake"); !mistake.empty())
    shell.out << fmt::format("{}\nwhat is shown is in force from before\n",
                             printable(mistake, 1000));
  Table table({"POLICY", ">DESKTOPS", "REACH", "REACHED BY", "GROUP"});
  table.add_row({netconfine::kNoPolicy, net_number(answer, "none"), "", "", ""});
  for (const nlohmann::json& one : answer.value("policies", nlohmann::json::array()))
    table.add_row({net_text(one, "name"), net_number(one, "desktops"),
                   net_words(one.value("reach", nlohmann::json::array())),
                   net_words(one.value("reached_by", nlohmann::json::array())),
                   net_text(one, "group")});
  table.print(shell.out);
  if (const std::string more = net_number(answer, "more"); more != "0")
    shell.out << fmt::format("and {} more\n", more);
  const std::string uplink = net_text(answer, "uplink");
  shell.out << fmt::format("default: {}; outside: {}\n", net_text(answer, "default"),
                           uplink.empty() ? "no uplink, so that no service is reached" : uplink);
  say_missing_policies(shell, answer);
  return ExitCode::kOk;
}

using NetHandler = ExitCode (*)(Shell&, const NetOptions&);

CLI::App& net_verb(CLI::App& family, Action& action, const std::shared_ptr<NetOptions>& options,
                   const char* name, const char* help, NetHandler handler) {
  auto* command = family.add_subcommand(name, help);
  command->callback([&action, options, handler] {
    action = [options, handler](Shell& shell) { return handler(shell, *options); };
  });
  return *command;
}

void add_net_targets(CLI::App& command, NetOptions& options) {
  // One word each, or they would take the policy's name too.
  command.add_option("--tenant", options.tenants, "all desktops of a tenant")
      ->allow_extra_args(false);
  command.add_option("--image", options.images, "all desktops of an image")
      ->allow_extra_args(false);
  command.add_option("--desktop", options.desktops, "one desktop: name, id, or TENANT/NAME")
      ->allow_extra_args(false);
  command.add_flag("--dry-run", options.dry_run, "say what would be done, change nothing");
}

void add_net_ends(CLI::App& command, NetOptions& options) {
  command
      .add_option(
          "ENDS", options.query.words,
          "FROM TO: a desktop or an address each; TO with :PORT, :PORT/udp, /any, or nothing "
          "for a ping")
      ->required();
  command.add_option("--tenant", options.query.tenant, "whose desktops the names are");
  command.add_flag("-6,--ipv6", options.query.ipv6, "between two desktops: IPv6");
  command.add_flag("--json", options.query.json, "as JSON");
}

}  // namespace

void add_net_commands(CLI::App& app, Action& action) {
  auto* family = app.add_subcommand("net", "What desktops may reach, and who reaches them.");
  const auto options = std::make_shared<NetOptions>();

  auto& list =
      net_verb(*family, action, options, "ls", "List who was given which policy.", &net_ls);
  list.add_flag("--json", options->json, "as JSON");

  auto& shown =
      net_verb(*family, action, options, "show",
               "Show the policies in force on this node, one of them, or a desktop's.", &net_show);
  shown.add_option("POLICY", options->policy, "this one, as the file would say it");
  shown.add_option("--desktop", options->desktop, "what this desktop has, and by what");
  shown.add_option("--tenant", options->query.tenant, "whose desktop");
  shown.add_flag("--json", options->json, "as JSON");

  auto& given =
      net_verb(*family, action, options, "assign",
               "Give a policy; the closest of desktop, image and tenant counts.", &net_assign);
  given.add_option("POLICY", options->policy, "its name; none: nothing is allowed")->required();
  add_net_targets(given, *options);
  given.add_flag("--force", options->force, "also a name that this node's file does not have");

  auto& taken =
      net_verb(*family, action, options, "unassign", "Take a policy away again.",
               [](Shell& shell, const NetOptions& chosen) { return net_unassign(shell, chosen); });
  add_net_targets(taken, *options);

  auto& checked = net_verb(*family, action, options, "check",
                           "Look for mistakes in a file of policies.", &net_check);
  checked.add_option("FILE", options->file, "instead of the one that is configured");
  checked.add_flag("--json", options->json, "as JSON");

  auto& applied = net_verb(*family, action, options, "apply",
                           "Put this node's file of policies in force, live.", &net_apply);
  applied.add_flag("--dry-run", options->dry_run, "say what would change");
  applied.add_flag("--json", options->json, "as JSON");

  auto& uplink = net_verb(
      *family, action, options, "uplink",
      "Show, as one would type it, what the way outside does to this host; changes nothing.",
      [](Shell& shell, const NetOptions& chosen) { return net_uplink(shell, chosen.uplink); });
  uplink.add_flag("--dry-run", options->uplink.dry_run,
                  "what panald would do if it started now, by panal.toml as it is now");
  uplink.add_flag("--json", options->uplink.json, "as JSON");

  auto& explained = net_verb(
      *family, action, options, "explain",
      "Say whether a connection is allowed, and by which rule.",
      [](Shell& shell, const NetOptions& chosen) { return net_explain(shell, chosen.query); });
  add_net_ends(explained, *options);
  explained.add_option("--file", options->query.file, "by this file instead of what is in force");

  auto& tested = net_verb(
      *family, action, options, "test",
      "The same, proved by a packet that is sent from inside the desktop.",
      [](Shell& shell, const NetOptions& chosen) { return net_test(shell, chosen.query); });
  add_net_ends(tested, *options);
}

}  // namespace panal::cli

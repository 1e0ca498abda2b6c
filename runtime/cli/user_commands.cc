#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/broker/auth/password.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/names.h"
#include "runtime/cli/password_input.h"
#include "runtime/cli/table.h"
#include "runtime/cli/users.h"

namespace panal::cli {
namespace {

constexpr std::uint32_t kFirstUid = 1000;
constexpr std::uint32_t kLastUid = 65533;

/// Options of `user add` and `user passwd`.
struct UserOptions {
  store::User user;
  std::vector<std::string> groups;
  std::uint32_t uid = 0;
  std::string password_file;
  bool generate = false, dry_run = false, json = false, all_tenants = false;
};

struct NewPassword {
  std::string hash;
  std::string shown;  ///< to be shown once; empty unless it was made here
};

Result<NewPassword> new_password(const Shell& shell, const UserOptions& options) {
  NewPassword out;
  std::string password;
  if (options.generate) {
    PANAL_ASSIGN(password, generate_password());
    out.shown = password;
  } else if (!options.password_file.empty()) {
    PANAL_ASSIGN(password, read_password_file(options.password_file));
  } else {
    PANAL_ASSIGN(password, ask_password(shell.err, options.user.login));
  }
  PANAL_ASSIGN(out.hash, auth::hash_password(password));
  return out;
}

Result<void> check_user(UserOptions& options) {
  PANAL_TRY(check_login(options.user.login));
  PANAL_TRY(check_tenant(options.user.tenant));
  PANAL_TRY(check_shell(options.user.shell));
  PANAL_TRY(check_lang(options.user.lang));
  PANAL_TRY(check_timezone(options.user.timezone));
  PANAL_TRY(check_keyboard(options.user.keyboard));
  for (const auto& text : options.groups) {
    PANAL_ASSIGN(auto group, parse_group(text));
    options.user.groups.push_back(std::move(group));
  }
  return {};
}

ExitCode user_add(Shell& shell, UserOptions options) {
  PANAL_CLI_TRY(shell, check_user(options));
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto tenants, store->tenants());
  store::User& user = options.user;
  if (std::none_of(tenants.begin(), tenants.end(),
                   [&user](const store::Tenant& one) { return one.name == user.tenant; }))
    return shell.refuse(ExitCode::kNotFound, no_such_tenant(user.tenant));
  PANAL_CLI_ASSIGN(shell, const auto users, store->users());
  PANAL_CLI_ASSIGN(shell, user.uid, choose_uid(users, user.tenant, options.uid));
  user.gid = user.uid;
  const auto same = std::find_if(users.begin(), users.end(), [&](const store::User& other) {
    return other.tenant == user.tenant && other.login == user.login;
  });
  if (same != users.end()) {
    return shell.refuse(ExitCode::kRefused,
                        fmt::format("user {} exists already; panal user passwd {} gives a new "
                                    "password",
                                    user.login, user.login));
  }
  if (options.dry_run) {
    shell.out << fmt::format("would add user {} (tenant {}, uid {}, gid {})\n", user.login,
                             user.tenant, user.uid, user.gid);
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto password, new_password(shell, options));
  user.password_hash = password.hash;
  PANAL_CLI_ASSIGN(shell, const auto added, store->add_user(user));
  shell.out << fmt::format("user {} added (tenant {}, uid {})\n", added.login, added.tenant,
                           added.uid);
  if (!password.shown.empty()) {
    shell.out << fmt::format("password, shown only now: {}\n", password.shown);
  }
  return ExitCode::kOk;
}

ExitCode user_passwd(Shell& shell, const UserOptions& options) {
  const auto& user = options.user;
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto found, store->find_user(user.tenant, user.login));
  if (!found) return shell.refuse(ExitCode::kNotFound, no_such_user(user.tenant, user.login));
  if (options.dry_run) {
    shell.out << fmt::format("would set a new password for user {}\n", user.login);
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto password, new_password(shell, options));
  PANAL_CLI_TRY(shell, store->set_password(user.tenant, user.login, password.hash));
  shell.out << fmt::format("user {} has a new password\n", user.login);
  if (!password.shown.empty()) {
    shell.out << fmt::format("password, shown only now: {}\n", password.shown);
  }
  return ExitCode::kOk;
}

ExitCode user_set(Shell& shell, const UserOptions& options) {
  const auto& user = options.user;
  PANAL_CLI_TRY(shell, check_trust(user.trust));
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto found, store->find_user(user.tenant, user.login));
  if (!found) return shell.refuse(ExitCode::kNotFound, no_such_user(user.tenant, user.login));
  if (options.dry_run) {
    shell.out << fmt::format("would set the trust level of user {} to {} (now {})\n", user.login,
                             user.trust, found->trust);
    return ExitCode::kOk;
  }
  PANAL_CLI_TRY(shell, store->set_trust(user.tenant, user.login, user.trust));
  shell.out << fmt::format("user {}: trust level {}; a desktop that runs keeps the one it has\n",
                           user.login, user.trust);
  return ExitCode::kOk;
}

ExitCode user_ls(Shell& shell, const UserOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto users, store->users());
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  const auto count = [&](const store::User& user) {
    return std::count_if(desktops.begin(), desktops.end(), [&](const store::Desktop& desktop) {
      return desktop.tenant == user.tenant && desktop.login == user.login;
    });
  };
  if (options.json) {
    auto list = nlohmann::json::array();
    for (const auto& user : users) {
      auto groups = nlohmann::json::array();
      for (const auto& [name, gid] : user.groups) groups.push_back({{"name", name}, {"gid", gid}});
      // The hash stays in the database.
      list.push_back({{"id", user.id},
                      {"tenant", user.tenant},
                      {"login", user.login},
                      {"uid", user.uid},
                      {"gid", user.gid},
                      {"groups", groups},
                      {"shell", user.shell},
                      {"lang", user.lang},
                      {"timezone", user.timezone},
                      {"keyboard", user.keyboard},
                      {"trust", user.trust},
                      {"blocked", user.blocked},
                      {"desktops", count(user)}});
    }
    shell.print(list);
    return ExitCode::kOk;
  }
  Table table(
      {"LOGIN", "TENANT", "TRUST", ">UID", ">DESKTOPS", "LANG", "TIMEZONE", "KEYBOARD", "NOTE"});
  for (const auto& user : users) {
    table.add_row({user.login, user.tenant, user.trust, std::to_string(user.uid),
                   std::to_string(count(user)), user.lang, user.timezone, user.keyboard,
                   user.blocked ? "blocked" : ""});
  }
  table.print(shell.out);
  return ExitCode::kOk;
}

ExitCode user_rm(Shell& shell, const UserOptions& options) {
  const auto& user = options.user;
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto found, store->find_user(user.tenant, user.login));
  if (!found) return shell.refuse(ExitCode::kNotFound, no_such_user(user.tenant, user.login));
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops_of(user.tenant, user.login));
  if (!desktops.empty()) {
    std::string names;
    for (const auto& desktop : desktops) names += (names.empty() ? "" : ", ") + desktop.name;
    return shell.refuse(
        ExitCode::kRefused,
        fmt::format("user {} still has {}: {}; remove with panal desktop rm first", user.login,
                    desktops.size() == 1 ? "a desktop" : "desktops", names));
  }
  if (options.dry_run) {
    shell.out << fmt::format("would remove user {}; homes stay\n", user.login);
    return ExitCode::kOk;
  }
  PANAL_CLI_TRY(shell, store->remove_user(user.tenant, user.login));
  shell.out << fmt::format("user {} removed; homes stay in {}/{}\n", user.login,
                           shell.config.homes_dir, user.tenant);
  return ExitCode::kOk;
}

void add_login(CLI::App& command, UserOptions& options) {
  command.add_option("LOGIN", options.user.login, "login name")->required();
  command.add_option("--tenant", options.user.tenant, "tenant of the user")->capture_default_str();
}

void add_password(CLI::App& command, UserOptions& options) {
  auto* file = command.add_option("--password-file", options.password_file,
                                  "take the first line of this file (-: standard input)");
  command.add_flag("--generate", options.generate, "make a password and show it once")
      ->excludes(file);
  command.add_flag("--dry-run", options.dry_run, "say what would be done, change nothing");
}

}  // namespace

Result<std::uint32_t> choose_uid(const std::vector<store::User>& users, const std::string& tenant,
                                 std::uint32_t wanted) {
  std::uint32_t highest = kFirstUid - 1;
  for (const auto& user : users) {
    if (user.tenant != tenant) continue;
    if (wanted != 0 && user.uid == wanted) {
      return fail(EEXIST, fmt::format("uid {} of tenant {} belongs to user {}", wanted, tenant,
                                      user.login));
    }
    highest = std::max(highest, user.uid);
  }
  if (wanted != 0) return wanted;
  if (highest >= kLastUid) {
    return fail(EINVAL, fmt::format("no uid after {} is left; give one with --uid", highest));
  }
  return highest + 1;
}

std::string no_such_user(const std::string& tenant, const std::string& login) {
  return fmt::format("there is no user {}{}; panal user ls shows all", printable(login, 80),
                     tenant == kDefaultTenant ? "" : " in tenant " + tenant);
}

void add_user_commands(CLI::App& app, Action& action) {
  auto* family = app.add_subcommand("user", "Who may log in.");
  const auto options = std::make_shared<UserOptions>();
  options->user.tenant = kDefaultTenant;
  options->user.shell = "/bin/bash";
  options->user.lang = "C.UTF-8";
  options->user.timezone = "Etc/UTC";
  options->user.keyboard = "pc105/us";

  auto* add = family->add_subcommand("add", "Add a user; asks for a password.");
  add_login(*add, *options);
  add->add_option("--uid", options->uid, "user and group id inside desktops (default: next free)")
      ->check(CLI::Range(kFirstUid, kLastUid));
  add->add_option("--group", options->groups, "further group NAME:GID; may repeat");
  add->add_option("--shell", options->user.shell, "login shell in the image")
      ->capture_default_str();
  add->add_option("--lang", options->user.lang, "locale")->capture_default_str();
  add->add_option("--timezone", options->user.timezone, "time zone")->capture_default_str();
  add->add_option("--keyboard", options->user.keyboard, "model/layout")->capture_default_str();
  add_password(*add, *options);
  add->callback([&action, options] {
    action = [options](Shell& shell) { return user_add(shell, *options); };
  });

  auto* passwd = family->add_subcommand("passwd", "Give a user a new password.");
  add_login(*passwd, *options);
  add_password(*passwd, *options);
  passwd->callback([&action, options] {
    action = [options](Shell& shell) { return user_passwd(shell, *options); };
  });

  auto* set = family->add_subcommand("set", "Change what is written down about a user.");
  add_login(*set, *options);
  set->add_option("--trust", options->user.trust,
                  "trust level; memory is merged only among desktops of one tenant and level")
      ->required();
  set->add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  set->callback([&action, options] {
    action = [options](Shell& shell) { return user_set(shell, *options); };
  });

  auto* ls = family->add_subcommand("ls", "List users.");
  ls->add_flag("--json", options->json, "as JSON");
  ls->callback([&action, options] {
    action = [options](Shell& shell) { return user_ls(shell, *options); };
  });

  auto* rm = family->add_subcommand("rm", "Remove a user who has no desktop; the home stays.");
  add_login(*rm, *options);
  rm->add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  rm->callback([&action, options] {
    action = [options](Shell& shell) { return user_rm(shell, *options); };
  });
}

}  // namespace panal::cli

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "runtime/broker/auth/password.h"
#include "runtime/cli/desktops.h"
#include "runtime/cli/images.h"
#include "runtime/cli/names.h"
#include "runtime/cli/node_state.h"
#include "runtime/cli/password_input.h"
#include "runtime/cli/up.h"
#include "runtime/cli/users.h"

namespace panal::cli {
namespace {

/// Whoever ran sudo, else a made-up person.
std::string first_login() {
  const char* sudo_user = std::getenv("SUDO_USER");
  if (sudo_user != nullptr && std::string(sudo_user) != "root" && check_login(sudo_user)) {
    return sudo_user;
  }
  return "demo";
}

ExitCode ensure_image(Shell& shell, store::Store& store, std::string& name) {
  const bool is_file = name.find('/') != std::string::npos || name.ends_with(".toml");
  if (!is_file) {
    PANAL_CLI_ASSIGN(shell, const auto images, store.images());
    const bool there = std::any_of(images.begin(), images.end(), [&](const store::Image& image) {
      return image.name == name && !image.default_version.empty();
    });
    if (there) {
      shell.out << fmt::format("panal: image {} is there\n", name);
      return ExitCode::kOk;
    }
  }
  shell.out << fmt::format("panal: image {}\n", name) << std::flush;
  return build_and_register(shell, name, false, &name, nullptr);
}

/// `password` stays empty when the user was there before.
ExitCode ensure_user(Shell& shell, store::Store& store, const std::string& login,
                     std::string& password) {
  PANAL_CLI_ASSIGN(shell, const auto found, store.find_user(kDefaultTenant, login));
  if (found) {
    shell.out << fmt::format("panal: user {} is there\n", login);
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto users, store.users());
  store::User user;
  user.tenant = kDefaultTenant;
  user.login = login;
  PANAL_CLI_ASSIGN(shell, user.uid, choose_uid(users, user.tenant, 0));
  user.gid = user.uid;
  user.shell = "/bin/bash";
  user.lang = "C.UTF-8";
  user.timezone = "Etc/UTC";
  user.keyboard = "pc105/us";
  PANAL_CLI_ASSIGN(shell, password, generate_password());
  PANAL_CLI_ASSIGN(shell, user.password_hash, auth::hash_password(password));
  PANAL_CLI_TRY(shell, store.add_user(user));
  shell.out << fmt::format("panal: user {} added\n", login);
  return ExitCode::kOk;
}

}  // namespace

ExitCode first_desktop(Shell& shell, const std::string& image) {
  const std::string login = first_login();
  const std::string name = [&login] {
    std::string host = login + "-desk";
    std::replace(host.begin(), host.end(), '_', '-');
    host.erase(0, host.find_first_not_of('-'));
    return host;
  }();
  PANAL_CLI_ASSIGN(shell, auto store, shell.backends.store(shell.config));
  std::string image_name = image;
  if (const auto code = ensure_image(shell, *store, image_name); code != ExitCode::kOk) return code;
  std::string password;
  if (const auto code = ensure_user(shell, *store, login, password); code != ExitCode::kOk) {
    return code;
  }
  // From here a failure must not lose the only sight of the password.
  const auto tell = [&] {
    const std::string server =
        fmt::format("{}:{}", broker_address(shell.config), shell.config.port);
    shell.out << fmt::format("\n  address   {}\n  user      {}\n", server, login);
    if (!password.empty()) {
      shell.out << fmt::format("  password  {}   (shown only now)\n", password);
    } else {
      shell.out << fmt::format("  password  as before; panal user passwd {} gives a new one\n",
                               login);
    }
    shell.out << fmt::format("  connect   {}/panal-client --server {} --user {} connect {}\n\n",
                             config::program_dir(), server, login, name);
  };
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  auto found = resolve_desktop(desktops, name, kDefaultTenant);
  if (!found) {
    store::Desktop wanted;
    wanted.tenant = kDefaultTenant;
    wanted.login = login;
    wanted.name = name;
    wanted.image = image_name;
    wanted.home = login;
    found = store->add_desktop(wanted);
    if (found) shell.out << fmt::format("panal: desktop {} created\n", name);
  } else {
    shell.out << fmt::format("panal: desktop {} is there\n", name);
  }
  ExitCode code = ExitCode::kOk;
  if (!found) {
    code = shell.told(found.error());
  } else if (found->desired == store::Desired::kRunning &&
             found->observed != store::Observed::kFailed) {
    // Wanted already: panald is at it, a second request would only hide that.
    if (found->observed != store::Observed::kRunning) {
      code = wait_for_desktops(shell, *store, {*found}, store::Desired::kRunning,
                               std::chrono::seconds(shell.config.start_timeout_seconds + 30));
    }
  } else {
    code = drive_desktops(shell, {*found}, store::Desired::kRunning, true,
                          std::chrono::seconds(shell.config.start_timeout_seconds + 30));
  }
  tell();
  return code;
}

}  // namespace panal::cli

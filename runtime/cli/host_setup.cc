#include "runtime/cli/host_setup.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <vector>

#include "engine/base/subid.h"
#include "engine/kernel/namespaces.h"
#include "runtime/space/space_plan.h"
#include "runtime/store/private_cluster.h"
#include "storage/quota/mount_table.h"
#include "storage/quota/pool.h"

namespace panal::cli {
namespace {

struct Directory {
  std::string path;
  mode_t mode;
};

/// Passable where another account must get through, closed where the content is root's only.
std::vector<Directory> directories(const config::Config& c) {
  std::vector<Directory> all = {{c.state_dir, 0711},
                                {c.state_dir + "/log", 0750},
                                {c.state_dir + "/cache", 0755},
                                {c.desktops_root(), 0711},
                                {c.images_dir, 0700},
                                {c.run_dir, 0755},
                                {c.run_dir + "/desktops", 0711}};
  // Where homes are on another machine nobody here waits for it; its operator has made them room.
  const auto table = storage::read_mount_table();
  if (!table || !space::homes_are_remote(c, *table)) all.push_back({c.homes_dir, 0711});
  return all;
}

Result<void> make_directory(const Directory& wanted) {
  struct stat status{};
  if (stat(wanted.path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return {};
    return fail(ENOTDIR, "make directory " + wanted.path);
  }
  const auto slash = wanted.path.rfind('/');
  if (slash != 0 && slash != std::string::npos) {
    PANAL_TRY(make_directory({wanted.path.substr(0, slash), 0755}));
  }
  if (mkdir(wanted.path.c_str(), wanted.mode) != 0 && errno != EEXIST) {
    return fail_errno("make directory", wanted.path);
  }
  // The umask is the operator's, the mode is not.
  if (chmod(wanted.path.c_str(), wanted.mode) != 0) return fail_errno("chmod", wanted.path);
  return {};
}

bool has_account(const std::string& name) { return getpwnam(name.c_str()) != nullptr; }

}  // namespace

Result<void> prepare_host(const config::Config& config,
                          const std::function<void(const std::string&)>& say) {
  say("directories and accounts");
  for (const auto& directory : directories(config)) PANAL_TRY(make_directory(directory));
  if (config.uppers_pool_bytes != 0) {
    say("pool of desktops' layers and logs");
    PANAL_TRY(storage::ensure_pool(space::pool_spec(config)));
  }
  PANAL_TRY(store::ensure_system_user(config.broker_user, "Panal's broker"));
  if (config.ids.count == 0) PANAL_TRY(ensure_subid_lines());
  store::PrivateCluster cluster(config);
  if (cluster.needed()) {
    say("private database");
    PANAL_TRY(cluster.ensure());
  }
  say("namespaces");
  return kernel::ensure_pinned_namespaces(config.run_dir);
}

std::string describe_host_plan(const config::Config& config) {
  std::string out;
  for (const auto& directory : directories(config)) {
    if (access(directory.path.c_str(), F_OK) == 0) continue;
    out += fmt::format("would make directory {} ({:04o})\n", directory.path, directory.mode);
  }
  if (config.uppers_pool_bytes != 0) {
    const auto spec = space::pool_spec(config);
    const auto state = storage::pool_state(spec);
    if (state && *state != storage::PoolState::kMounted)
      out += fmt::format("would {} {} at {}\n",
                         *state == storage::PoolState::kAbsent ? "make and mount" : "mount",
                         spec.file, spec.mount_point);
  }
  for (const auto& name : {config.broker_user, config.database_user}) {
    if (!has_account(name)) out += fmt::format("would make system account {}\n", name);
  }
  if (config.ids.count == 0) {
    out += "would give root a range in /etc/subuid and /etc/subgid unless it has one\n";
  }
  if (config.database_url.empty() &&
      access((config.state_dir + "/postgres/PG_VERSION").c_str(), F_OK) != 0) {
    out += fmt::format("would make a private database in {}/postgres\n", config.state_dir);
  }
  if (!kernel::namespaces_are_pinned(config.run_dir)) {
    out += fmt::format("would make mount and network namespaces below {}/ns\n", config.run_dir);
  }
  return out;
}

}  // namespace panal::cli

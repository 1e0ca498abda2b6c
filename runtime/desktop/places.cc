#include "runtime/desktop/places.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

#include "engine/base/tree.h"

namespace panal::desktop {
namespace {

Result<void> make_dir(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno != EEXIST) return fail_errno("mkdir", path);
    return {};
  }
  // The umask may have taken bits.
  if (::chmod(path.c_str(), mode) != 0) return fail_errno("chmod", path);
  return {};
}

Result<void> make_parents(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(error.value(), "mkdir " + path);
  return {};
}

}  // namespace

Places places_of(const config::Config& config, DesktopId id) {
  const std::string run = config.desktop_run_dir(id);
  const std::string state = config.desktop_state_dir(id);
  return Places{run,   run + "/root",    run + "/home", run + "/host", run + "/saved",
                state, state + "/upper", state + "/log"};
}

Result<void> make_places(const config::Config& config, const Places& places) {
  PANAL_TRY(make_parents(config.run_dir));
  PANAL_TRY(make_parents(config.state_dir));
  PANAL_TRY(make_dir(config.run_dir + "/desktops", 0711));
  PANAL_TRY(make_dir(places.run, 0711));
  PANAL_TRY(make_dir(places.root, 0711));
  PANAL_TRY(make_dir(places.home, 0711));
  PANAL_TRY(make_dir(places.host, 0711));
  PANAL_TRY(make_parents(config.desktops_root()));
  PANAL_TRY(make_dir(config.desktops_root(), 0711));
  PANAL_TRY(make_dir(places.state, 0711));
  return make_dir(places.log, 0700);
}

Result<void> remove_run_dir(const Places& places) {
  const auto dir = Dir::open(places.run);
  if (!dir) {
    if (dir.error().is_gone()) return {};
    return tl::make_unexpected(dir.error());
  }
  PANAL_ASSIGN(const std::vector<std::string> names, dir->list());
  for (const std::string& name : names) {
    if (::unlinkat(dir->fd(), name.c_str(), 0) == 0) continue;
    if (errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) return fail_errno("unlink", places.run + "/" + name);
    if (::unlinkat(dir->fd(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      return fail_errno("rmdir", places.run + "/" + name);
  }
  if (::rmdir(places.run.c_str()) != 0 && errno != ENOENT) return fail_errno("rmdir", places.run);
  return {};
}

std::optional<DesktopId> parse_kernel_name(std::string_view name) {
  if (name.size() < 2 || name.front() != 'd' || name[1] < '1' || name[1] > '9') return std::nullopt;
  DesktopId id = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + 1, end, id);
  if (error != std::errc{} || at != end) return std::nullopt;
  return id;
}

Result<std::vector<DesktopId>> ids_with_run_dir(const config::Config& config) {
  std::vector<DesktopId> ids;
  const auto dir = Dir::open(config.run_dir + "/desktops");
  if (!dir) {
    if (dir.error().is_gone()) return ids;
    return tl::make_unexpected(dir.error());
  }
  PANAL_ASSIGN(const std::vector<std::string> names, dir->list());
  for (const std::string& name : names)
    if (const auto id = parse_kernel_name(name)) ids.push_back(*id);
  return ids;
}

}  // namespace panal::desktop

#include "storage/home/home_store.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "engine/base/tree.h"
#include "engine/base/user_namespace.h"

namespace panal::storage {
namespace {

constexpr const char* kLockSuffix = ".lock";

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.size() <= 128 &&
         name.find('/') == std::string::npos && !name.ends_with(kLockSuffix) &&
         std::none_of(name.begin(), name.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

Result<void> check_names(const std::string& tenant, const std::string& home) {
  if (!is_plain_name(tenant))
    return fail(EINVAL, "home: \"" + tenant + "\" is no name for a tenant's directory");
  if (!is_plain_name(home)) return fail(EINVAL, "home: \"" + home + "\" is no name for a home");
  return {};
}

Result<void> make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail_errno("make directory", path);
}

/// Lock files stand beside the homes, hidden, and hold the desktop's kernel name.
std::string lock_path(const std::string& tenant_dir, const std::string& home) {
  return tenant_dir + "/." + home + kLockSuffix;
}

Result<std::string> lock_owner(const std::string& tenant_dir, const std::string& home) {
  PANAL_ASSIGN(const Dir dir, Dir::open(tenant_dir));
  return dir.read("." + home + kLockSuffix, 256);
}

/// A lock file appears with its content or not at all: written aside, then linked.
Result<void> take_lock(const std::string& tenant_dir, const std::string& home,
                       const std::string& desktop) {
  std::string aside = tenant_dir + "/.lock.XXXXXX";
  const UniqueFd fd(::mkostemp(aside.data(), O_CLOEXEC));
  if (!fd) return fail_errno("create", aside);
  const Cleanup remove([&aside] { (void)::unlink(aside.c_str()); });
  if (::write(fd.get(), desktop.data(), desktop.size()) != static_cast<ssize_t>(desktop.size()))
    return fail_errno("write", aside);
  if (::fsync(fd.get()) != 0) return fail_errno("fsync", aside);
  if (::link(aside.c_str(), lock_path(tenant_dir, home).c_str()) == 0) return {};
  if (errno != EEXIST) return fail_errno("lock home", home);
  PANAL_ASSIGN(const std::string owner, lock_owner(tenant_dir, home));
  if (owner == desktop) return {};  // after a restart of panald
  return fail(EBUSY, "home " + home + " is open in " + owner);
}

Result<void> drop_lock(const std::string& tenant_dir, const std::string& home,
                       const std::string& desktop) {
  const auto owner = lock_owner(tenant_dir, home);
  if (!owner && owner.error().code == ENOENT) return {};
  if (!owner) return tl::make_unexpected(owner.error());
  if (*owner != desktop) return {};
  if (::unlink(lock_path(tenant_dir, home).c_str()) != 0 && errno != ENOENT)
    return fail_errno("unlock home", home);
  return {};
}

/// The home's directory, made with its owner before it has its name: nobody sees it half made.
Result<void> make_home(const std::string& tenant_dir, const std::string& path, std::uint32_t uid,
                       std::uint32_t gid) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return fail(ENOTDIR, "home " + path);
  }
  std::string aside = tenant_dir + "/.new.XXXXXX";
  if (::mkdtemp(aside.data()) == nullptr) return fail_errno("make directory", aside);
  Cleanup remove([&aside] { (void)::rmdir(aside.c_str()); });
  if (::chown(aside.c_str(), uid, gid) != 0) return fail_errno("chown", aside);
  if (::chmod(aside.c_str(), 0700) != 0) return fail_errno("chmod", aside);
  if (::rename(aside.c_str(), path.c_str()) != 0) return fail_errno("make home", path);
  remove.release();
  return {};
}

}  // namespace

Result<void> HomeStore::attach(const HomeSpec& spec) {
  PANAL_TRY(check_names(spec.tenant, spec.home));
  const std::string tenant_dir = homes_dir_ + "/" + spec.tenant;
  const std::string path = tenant_dir + "/" + spec.home;
  PANAL_TRY(make_directory(homes_dir_, 0700));
  PANAL_TRY(make_directory(tenant_dir, 0700));
  PANAL_TRY(take_lock(tenant_dir, spec.home, spec.desktop));
  Cleanup unlock([&] { (void)drop_lock(tenant_dir, spec.home, spec.desktop); });
  PANAL_ASSIGN(const bool mounted, mount::is_mount_point(spec.mount_point));
  if (mounted) {
    unlock.release();  // the mount's owner is this desktop: its lock stays
    return fail(EBUSY, "home " + spec.home + ": " + spec.mount_point + " is mounted already");
  }
  PANAL_TRY(make_home(tenant_dir, path, spec.uid, spec.gid));
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));
  auto bound = mount::bind_idmapped(path, spec.mount_point, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                                    names.fd());
  if (!bound) return prefixed("home " + spec.home, bound.error());
  unlock.release();
  return {};
}

Result<void> HomeStore::detach(const HomeSpec& spec) {
  PANAL_TRY(check_names(spec.tenant, spec.home));
  PANAL_TRY(mount::detach(spec.mount_point));
  return drop_lock(homes_dir_ + "/" + spec.tenant, spec.home, spec.desktop);
}

Result<std::vector<std::string>> HomeStore::homes_of(const std::string& tenant) const {
  const auto dir = Dir::open(homes_dir_ + "/" + tenant);
  if (!dir && dir.error().code == ENOENT) return std::vector<std::string>();
  if (!dir) return tl::make_unexpected(dir.error());
  PANAL_ASSIGN(auto names, dir->list());
  // What is hidden are locks, and halves of homes and locks.
  std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> HomeStore::recover(const std::set<std::string>& live) {
  auto homes = Dir::open(homes_dir_);
  if (!homes) {
    if (homes.error().code == ENOENT) return {};
    return tl::make_unexpected(homes.error());
  }
  PANAL_ASSIGN(const auto tenants, homes->list());
  for (const auto& tenant : tenants) {
    if (!is_plain_name(tenant)) continue;
    PANAL_ASSIGN(const Dir dir, homes->open_dir(tenant));
    PANAL_ASSIGN(const auto names, dir.list());
    for (const auto& name : names) {
      if (name.starts_with(".lock.") && !name.ends_with(kLockSuffix)) {
        (void)::unlinkat(dir.fd(), name.c_str(), 0);  // half of a take_lock()
        continue;
      }
      if (name.starts_with(".new.")) {
        (void)::unlinkat(dir.fd(), name.c_str(), AT_REMOVEDIR);
        continue;
      }
      if (!name.starts_with(".") || !name.ends_with(kLockSuffix)) continue;
      PANAL_ASSIGN(const std::string owner, dir.read(name, 256));
      if (live.contains(owner)) continue;
      if (::unlinkat(dir.fd(), name.c_str(), 0) != 0 && errno != ENOENT)
        return fail_errno("unlock", homes_dir_ + "/" + tenant + "/" + name);
    }
  }
  return {};
}

Result<void> HomeStore::remove(const std::string& tenant, const std::string& home) {
  PANAL_TRY(check_names(tenant, home));
  const std::string tenant_dir = homes_dir_ + "/" + tenant;
  struct stat info{};
  if (::lstat((tenant_dir + "/" + home).c_str(), &info) != 0)
    return fail_errno("delete home", tenant + "/" + home);
  // The lock is taken in the deletion's own name, so that no desktop opens it meanwhile.
  const std::string self = "deletion";
  PANAL_TRY(take_lock(tenant_dir, home, self));
  const Cleanup unlock([&] { (void)drop_lock(tenant_dir, home, self); });
  return remove_tree(tenant_dir + "/" + home);
}

}  // namespace panal::storage

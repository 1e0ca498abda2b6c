#include "storage/home/home_store.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "engine/base/tree.h"
#include "engine/base/user_namespace.h"
#include "storage/quota/kinds.h"

namespace panal::storage {
namespace {

// Hidden names of a home H begin with .H, and no H begins with a dot: what begins with two is ours.
constexpr std::string_view kHalf = "..new.";       ///< a home that is being made
constexpr std::string_view kHalfFile = "...new.";  ///< and its file, where it has one
constexpr std::string_view kSnapshots = "..snap.";

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.size() <= 128 &&
         name.find('/') == std::string::npos && !name.ends_with(".lock") &&
         std::none_of(name.begin(), name.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool is_snapshot_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_' || c == ':';
         });
}

Result<void> make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail_errno("make directory", path);
}

/// What this process does to a home, as a lock's holder.
HomeOwner own_work(const std::string& what, const std::string& node) {
  return {what + "-" + std::to_string(::getpid()), node};
}

/// "backup-4711": what is done by an operator's command. Desktops are "d7".
bool is_command(const std::string& holder) { return holder.find('-') != std::string::npos; }

/// Whether that command still runs.
bool is_running_command(const std::string& holder) {
  const std::size_t dash = holder.rfind('-');
  if (dash == std::string::npos) return false;
  pid_t pid = 0;
  const char* end = holder.data() + holder.size();
  const auto parsed = std::from_chars(holder.data() + dash + 1, end, pid);
  if (parsed.ec != std::errc{} || parsed.ptr != end || pid <= 0) return false;
  return ::kill(pid, 0) == 0 || errno == EPERM;
}

/// Half of a home that was being made: with all that any kind of quota leaves of one.
Result<void> remove_half(const std::string& tenant_dir, const std::string& home) {
  const std::string half = tenant_dir + "/" + std::string(kHalf) + home;
  if (const auto kind = quota_kind_of(half)) {
    PANAL_TRY(make_quota(*kind)->remove(half));
  } else if (kind.error().code != ENOENT) {
    return tl::make_unexpected(kind.error());
  }
  for (const std::string& file : {loop_file_of(half), loop_file_of(half) + ".new"})
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return fail_errno("delete", file);
  return {};
}

/// The root directory of what Quota::open() gave, open for reading and for fchmod(2).
Result<UniqueFd> root_of(const UniqueFd& tree, const std::string& path) {
  UniqueFd root(::openat(tree.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno("open", path);
  return root;
}

/// A name of a half in a tenant's directory -> the home it was to be.
std::string home_of_half(std::string_view name) {
  if (name.starts_with(kHalf)) return std::string(name.substr(kHalf.size()));
  if (!name.starts_with(kHalfFile)) return {};
  name.remove_prefix(kHalfFile.size());
  for (const std::string_view end : {".img.new", ".img"})
    if (name.ends_with(end)) return std::string(name.substr(0, name.size() - end.size()));
  return {};
}

}  // namespace

Result<void> check_home_names(const std::string& tenant, const std::string& home) {
  if (!is_plain_name(tenant))
    return fail(EINVAL, "home: \"" + tenant + "\" is no name for a tenant's directory");
  if (!is_plain_name(home)) return fail(EINVAL, "home: \"" + home + "\" is no name for a home");
  return {};
}

struct HomeStore::Place {
  std::string home, tenant_dir, path, half, snapshots;
  HomeLock lock;

  [[nodiscard]] Result<std::unique_ptr<Quota>> quota() const {
    PANAL_ASSIGN(const QuotaKind kind, quota_kind_of(path));
    return make_quota(kind);
  }
  /// Takes the lock for a while.
  [[nodiscard]] Result<Cleanup> hold(const HomeOwner& owner) const {
    // A command that was killed has left its lock; a desktop's is panald's to judge.
    const auto now = lock.owner();
    if (now && now->node == owner.node && is_command(now->holder) &&
        !is_running_command(now->holder))
      PANAL_TRY(lock.drop(*now));
    PANAL_TRY(lock.take(owner));
    return Cleanup([kept = lock, owner] { (void)kept.drop(owner); });
  }
  [[nodiscard]] Result<std::string> snapshot(const std::string& name) const {
    if (!is_snapshot_name(name))
      return fail(EINVAL, "\"" + name +
                              "\" is no name for a snapshot: letters, digits, . _ : -, "
                              "at most 64, not beginning with . or -");
    return snapshots + "/" + name;
  }
};

Result<HomeStore::Place> HomeStore::place(const std::string& tenant,
                                          const std::string& home) const {
  PANAL_TRY(check_home_names(tenant, home));
  const std::string dir = homes_dir_ + "/" + tenant;
  return Place{home,
               dir,
               dir + "/" + home,
               dir + "/" + std::string(kHalf) + home,
               dir + "/" + std::string(kSnapshots) + home,
               HomeLock(dir, home)};
}

Result<void> HomeStore::make_home(const Place& at, std::uint32_t uid, std::uint32_t gid) const {
  struct stat info{};
  if (::lstat(at.path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return fail(ENOTDIR, "home " + at.path);
  }
  // A crash between the two steps of a restore: the file is the home, the directory only its place.
  if (has_loop_file(at.path)) return make_private_directory(at.path);
  return build(at, rules_.quota, rules_.limit, [&](int tree) -> Result<void> {
    if (::fchown(tree, uid, gid) != 0) return fail_errno("chown", at.path);
    if (::fchmod(tree, 0700) != 0) return fail_errno("chmod", at.path);
    return {};
  });
}

Result<void> HomeStore::build(const Place& at, QuotaKind kind, const SpaceLimit& limit,
                              const std::function<Result<void>(int tree)>& fill) const {
  PANAL_TRY(remove_half(at.tenant_dir, at.home));
  Cleanup undo([&at] { (void)remove_half(at.tenant_dir, at.home); });
  const auto quota = make_quota(kind);
  PANAL_TRY(quota->provide(at.half, limit));
  {
    PANAL_ASSIGN(const UniqueFd tree, quota->open(at.half));
    PANAL_ASSIGN(const UniqueFd root, root_of(tree, at.half));
    PANAL_TRY(fill(root.get()));
    // It takes another's place only when it is on disk itself.
    if (::syncfs(root.get()) != 0) return fail_errno("sync", at.half);
  }
  return quota->replace(at.half, at.path);
}

Result<void> HomeStore::attach(const HomeSpec& spec) {
  PANAL_ASSIGN(const Place at, place(spec.tenant, spec.home));
  PANAL_TRY(make_directory(homes_dir_, 0700));
  PANAL_TRY(make_directory(at.tenant_dir, 0700));
  const HomeOwner owner{spec.desktop, rules_.node};
  PANAL_TRY(at.lock.take(owner, spec.leased, spec.evicted));
  Cleanup unlock([&] { (void)at.lock.drop(owner); });
  PANAL_ASSIGN(const bool mounted, mount::is_mount_point(spec.mount_point));
  if (mounted) {
    unlock.release();  // the mount's owner is this desktop: its lock stays
    return fail(EBUSY, "home " + spec.home + ": " + spec.mount_point + " is mounted already");
  }
  PANAL_TRY(make_home(at, spec.uid, spec.gid));
  PANAL_ASSIGN(const auto quota, at.quota());
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));
  auto shown = [&]() -> Result<void> {
    PANAL_ASSIGN(const UniqueFd tree, quota->open(at.path));
    auto mapped =
        mount::set_attributes(tree.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, names.fd());
    if (!mapped && mapped.error().code == EINVAL)
      return fail(EOPNOTSUPP, "the file system of " + at.path +
                                  " cannot show files under other ids (idmapped mounts): set "
                                  "quota = \"loop\" and a limit in [homes] for new homes there");
    PANAL_TRY(mapped);
    return mount::attach(tree.get(), spec.mount_point);
  }();
  if (!shown) return prefixed("home " + spec.home, shown.error());
  unlock.release();
  return {};
}

Result<void> HomeStore::detach(const HomeSpec& spec) {
  PANAL_ASSIGN(const Place at, place(spec.tenant, spec.home));
  PANAL_TRY(mount::detach(spec.mount_point));
  return at.lock.drop({spec.desktop, rules_.node});
}

Result<std::vector<std::string>> HomeStore::homes_of(const std::string& tenant) const {
  const auto dir = Dir::open(homes_dir_ + "/" + tenant);
  if (!dir && dir.error().code == ENOENT) return std::vector<std::string>();
  if (!dir) return tl::make_unexpected(dir.error());
  PANAL_ASSIGN(auto names, dir->list());
  // What is hidden are locks, files and snapshots of homes, and halves of homes and locks.
  std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<std::string>> HomeStore::tenants() const {
  const auto dir = Dir::open(homes_dir_);
  if (!dir && dir.error().code == ENOENT) return std::vector<std::string>();
  if (!dir) return tl::make_unexpected(dir.error());
  PANAL_ASSIGN(auto names, dir->list());
  std::erase_if(names, [](const std::string& name) { return !is_plain_name(name); });
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> HomeStore::recover_tenant(const std::string& tenant,
                                       const std::set<std::string>& live) {
  const std::string path = homes_dir_ + "/" + tenant;
  PANAL_ASSIGN(const Dir dir, Dir::open(path));
  PANAL_ASSIGN(const auto names, dir.list());
  std::set<std::string> halves;
  const std::string half_lock = HomeLock::half_prefix(rules_.node);
  for (const auto& name : names) {
    if (name.starts_with(half_lock)) {
      (void)::unlinkat(dir.fd(), name.c_str(), 0);  // half of a HomeLock::take()
      continue;
    }
    if (const std::string home = home_of_half(name); !home.empty()) {
      halves.insert(home);
      continue;
    }
    const std::string home = locked_home(name);
    if (home.empty()) continue;
    const HomeLock lock(path, home);
    const auto owner = lock.owner();
    // One that names nobody keeps its home closed, and says so to who wants it.
    const bool unknown = !owner && (owner.error().code == ENOENT || owner.error().code == EPROTO);
    if (unknown) continue;
    if (!owner) return tl::make_unexpected(owner.error());
    // Another node's are its own to judge.
    const bool ours = owner->node == rules_.node || owner->node.empty();
    if (!ours || live.contains(owner->holder) || is_running_command(owner->holder)) continue;
    PANAL_TRY(lock.drop(*owner));
  }
  const HomeOwner self = own_work("recovery", rules_.node);
  for (const std::string& home : halves) {
    const HomeLock lock(path, home);
    if (const auto taken = lock.take(self); !taken) {
      if (taken.error().code == EBUSY) continue;  // it is being made
      return taken;
    }
    auto removed = remove_half(path, home);
    PANAL_TRY(lock.drop(self));
    PANAL_TRY(removed);
  }
  return {};
}

Result<void> HomeStore::recover(const std::set<std::string>& live) {
  PANAL_ASSIGN(const auto names, tenants());
  for (const auto& tenant : names) PANAL_TRY(recover_tenant(tenant, live));
  return {};
}

Result<void> HomeStore::remove(const std::string& tenant, const std::string& home) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  struct stat info{};
  if (::lstat(at.path.c_str(), &info) != 0) return fail_errno("delete home", tenant + "/" + home);
  // The lock is taken in the deletion's own name, so that no desktop opens it meanwhile.
  PANAL_ASSIGN(const Cleanup unlock, at.hold(own_work("deletion", rules_.node)));
  PANAL_ASSIGN(const auto kept, snapshots_of(at));
  for (const std::string& name : kept) PANAL_TRY(remove_snapshot(tenant, home, name));
  if (::rmdir(at.snapshots.c_str()) != 0 && errno != ENOENT)
    return fail_errno("delete", at.snapshots);
  PANAL_ASSIGN(const auto quota, at.quota());
  return quota->remove(at.path);
}

Result<std::vector<std::string>> HomeStore::snapshots_of(const Place& at) {
  const auto dir = Dir::open(at.snapshots);
  if (!dir && dir.error().code == ENOENT) return std::vector<std::string>();
  if (!dir) return tl::make_unexpected(dir.error());
  PANAL_ASSIGN(auto names, dir->list());
  std::erase_if(names, [](const std::string& name) { return !is_snapshot_name(name); });
  std::sort(names.begin(), names.end());
  return names;
}

Result<HomeInfo> HomeStore::info(const std::string& tenant, const std::string& home,
                                 bool measure) const {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  HomeInfo info;
  info.tenant = tenant;
  info.home = home;
  PANAL_ASSIGN(info.quota, quota_kind_of(at.path));
  if (auto owner = at.lock.owner())
    info.owner = std::move(*owner);
  else if (owner.error().code != ENOENT)
    return tl::make_unexpected(owner.error());
  if (info.quota == QuotaKind::kNone && !measure) {
    info.why_unseen = "not measured";
  } else if (auto use = make_quota(info.quota)->use(at.path)) {
    info.use = *use;
  } else {
    info.why_unseen = use.error().message();
  }
  PANAL_ASSIGN(info.snapshots, snapshots_of(at));
  return info;
}

Result<void> HomeStore::set_limit(const std::string& tenant, const std::string& home,
                                  const SpaceLimit& limit, const HomeOwner& owner) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  PANAL_ASSIGN(const auto quota, at.quota());
  if (quota->kind() == QuotaKind::kNone)
    return fail(EOPNOTSUPP, "home " + home +
                                " was made without a quota; set one in [homes], then "
                                "`panal home backup` and `panal home restore` give it one");
  if (!quota->is_apart()) return quota->provide(at.path, limit);
  PANAL_ASSIGN(const Cleanup unlock, at.hold(owner));
  return quota->provide(at.path, limit);
}

Result<void> HomeStore::snapshot(const std::string& tenant, const std::string& home,
                                 const std::string& name, const HomeOwner& owner) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  PANAL_ASSIGN(const std::string to, at.snapshot(name));
  PANAL_ASSIGN(const QuotaKind kind, quota_kind_of(at.path));
  if (kind != QuotaKind::kQgroup && kind != QuotaKind::kLoop)
    return fail(EOPNOTSUPP, "home " + home +
                                " is a plain directory, of which no snapshot can be "
                                "made; use `panal home backup`, or keep homes on btrfs");
  PANAL_TRY(make_directory(at.snapshots, 0700));
  if (::access(to.c_str(), F_OK) == 0)
    return fail(EEXIST, "home " + home + " has a snapshot " + name + " already");
  if (kind == QuotaKind::kQgroup) return snapshot_subvolume(at.path, to);
  PANAL_ASSIGN(const Cleanup unlock, at.hold(owner));
  return clone_file(loop_file_of(at.path), to);
}

Result<void> HomeStore::clone_file(const std::string& from, const std::string& to) {
  const std::string file = loop_file_of(to);
  const std::string aside = file + ".new";
  (void)::unlink(aside.c_str());  // half of an earlier one
  const Cleanup remove([&aside] { (void)::unlink(aside.c_str()); });
  const UniqueFd source(::open(from.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!source) return fail_errno("open", from);
  const UniqueFd copy(::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!copy) return fail_errno("create", aside);
  if (::ioctl(copy.get(), FICLONE, source.get()) != 0) {
    if (errno == EOPNOTSUPP || errno == EXDEV || errno == EINVAL || errno == ENOTTY)
      return fail(EOPNOTSUPP, "the file system of " + from +
                                  " cannot clone files (xfs and btrfs "
                                  "can); use `panal home backup`");
    return fail_errno("clone", from);
  }
  if (::fsync(copy.get()) != 0) return fail_errno("fsync", aside);
  if (::rename(aside.c_str(), file.c_str()) != 0) return fail_errno("rename", aside);
  return make_private_directory(to);
}

Result<void> HomeStore::remove_snapshot(const std::string& tenant, const std::string& home,
                                        const std::string& name) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  PANAL_ASSIGN(const std::string path, at.snapshot(name));
  const auto kind = quota_kind_of(path);
  if (!kind && kind.error().code == ENOENT)
    return fail(ENOENT, "home " + home + " has no snapshot " + name);
  if (!kind) return tl::make_unexpected(kind.error());
  return make_quota(*kind)->remove(path);
}

Result<HomeOwner> HomeStore::unlock(const std::string& tenant, const std::string& home) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  auto owner = at.lock.owner();
  if (!owner && owner.error().code != EPROTO) return owner;
  if (!owner) {  // names nobody
    if (::unlink(at.lock.file().c_str()) != 0) return fail_errno("unlock", at.lock.file());
    return HomeOwner{"nobody", {}};
  }
  PANAL_TRY(at.lock.drop(*owner));
  return owner;
}

Result<void> HomeStore::with_tree(const std::string& tenant, const std::string& home,
                                  const std::string& snapshot, const HomeOwner& owner,
                                  const std::function<Result<void>(int tree)>& look) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  std::string path = at.path;
  Cleanup unlock;
  if (snapshot.empty()) {
    PANAL_ASSIGN(unlock, at.hold(owner));
  } else {
    PANAL_ASSIGN(path, at.snapshot(snapshot));
  }
  const auto kind = quota_kind_of(path);
  if (!kind && kind.error().code == ENOENT)
    return fail(ENOENT, snapshot.empty() ? "there is no home " + home + " of tenant " + tenant
                                         : "home " + home + " has no snapshot " + snapshot);
  if (!kind) return tl::make_unexpected(kind.error());
  PANAL_ASSIGN(const UniqueFd tree, make_quota(*kind)->open(path));
  PANAL_ASSIGN(const UniqueFd root, root_of(tree, path));
  return look(root.get());
}

Result<void> HomeStore::put(const std::string& tenant, const std::string& home, bool over,
                            const HomeOwner& owner,
                            const std::function<Result<void>(int tree)>& fill) {
  PANAL_ASSIGN(const Place at, place(tenant, home));
  PANAL_TRY(make_directory(homes_dir_, 0700));
  PANAL_TRY(make_directory(at.tenant_dir, 0700));
  PANAL_ASSIGN(const Cleanup unlock, at.hold(owner));
  QuotaKind kind = rules_.quota;
  SpaceLimit limit = rules_.limit;
  const auto old = quota_kind_of(at.path);
  if (!old && old.error().code != ENOENT) return tl::make_unexpected(old.error());
  if (old && !over)
    return fail(EEXIST, "home " + home +
                            " is there already; --replace puts the backup in its "
                            "place, another name puts it beside it");
  if (old && *old != QuotaKind::kNone) {
    // What it was held to it is held to again.
    kind = *old;
    PANAL_ASSIGN(const SpaceUse use, make_quota(kind)->use(at.path));
    limit = use.limit;
  } else if (old) {
    // A directory without a quota can only be exchanged with one that is a directory too.
    if (kind == QuotaKind::kLoop) {
      kind = QuotaKind::kNone;
      limit = {};
    }
  }
  return build(at, kind, limit, fill);
}

}  // namespace panal::storage

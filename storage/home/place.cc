#include "storage/home/place.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "engine/base/tree.h"
#include "storage/quota/kinds.h"
#include "storage/quota/loop_mount.h"

namespace panal::storage {
namespace {

// Hidden names of a home H begin with .H, and no H begins with a dot: what begins with two is ours.
constexpr std::string_view kHalf = "..new.";       ///< a home that is being made or deleted
constexpr std::string_view kHalfFile = "...new.";  ///< and its file, where it has one
constexpr std::string_view kSnapshots = "..snap.";
constexpr std::string_view kFileEnd = ".img";          ///< as loop_file_of() has it
constexpr std::string_view kHalfFileEnd = ".img.new";  ///< while it is made

/// "backup-4711": what is done by an operator's command. Desktops are "d7".
bool is_command(const std::string& holder) { return holder.find('-') != std::string::npos; }

}  // namespace

bool is_plain_home_name(const std::string& name) {
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

Result<void> make_home_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return sync_parent(path);
  if (errno == EEXIST) return {};
  return fail_errno("make directory", path);
}

std::string half_name(const std::string& home) { return std::string(kHalf) + home; }

std::string snapshots_name(const std::string& home) { return std::string(kSnapshots) + home; }

HomeOwner own_work(const std::string& what, const std::string& node) {
  return {what + "-" + std::to_string(::getpid()), node};
}

bool is_running_command(const std::string& holder) {
  const std::size_t dash = holder.rfind('-');
  if (dash == std::string::npos) return false;
  pid_t pid = 0;
  const char* end = holder.data() + holder.size();
  const auto parsed = std::from_chars(holder.data() + dash + 1, end, pid);
  if (parsed.ec != std::errc{} || parsed.ptr != end || pid <= 0) return false;
  return ::kill(pid, 0) == 0 || errno == EPERM;
}

bool is_half_deleted(const std::string& tenant_dir, const std::string& home) {
  if (!has_loop_file(tenant_dir + "/" + half_name(home))) return false;
  struct stat info{};
  // A file that cannot be looked at now is not one that is gone.
  return ::lstat(loop_file_of(tenant_dir + "/" + home).c_str(), &info) != 0 && errno == ENOENT;
}

Result<void> set_aside(const std::string& tenant_dir, const std::string& home) {
  const std::string path = tenant_dir + "/" + home;
  const std::string half = tenant_dir + "/" + half_name(home);
  if (!has_loop_file(path)) {
    if (::rename(path.c_str(), half.c_str()) != 0) return fail_errno("rename", path);
    return {};
  }
  const std::string file = loop_file_of(path);
  if (::rename(file.c_str(), loop_file_of(half).c_str()) != 0) return fail_errno("rename", file);
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return fail_errno("delete", path);
  return {};
}

Result<void> remove_half(const std::string& tenant_dir, const std::string& home) {
  const std::string path = tenant_dir + "/" + home;
  // Before the file, which is all that tells what the directory is; what is not empty is no home's.
  if (is_half_deleted(tenant_dir, home) && ::rmdir(path.c_str()) != 0 && errno != ENOENT &&
      errno != ENOTEMPTY)
    return fail_errno("delete", path);
  const std::string half = tenant_dir + "/" + half_name(home);
  if (const auto kind = quota_kind_of(half)) {
    PANAL_TRY(make_quota(*kind)->remove(half));
  } else if (kind.error().code != ENOENT) {
    return tl::make_unexpected(kind.error());
  }
  for (const std::string& file : {loop_file_of(half), loop_file_of(half) + ".new"})
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return fail_errno("delete", file);
  return {};
}

Result<void> remove_in_place(const std::string& path, QuotaKind kind) {
  if (kind == QuotaKind::kLoop && ::rmdir(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno("delete", path);
  return make_quota(kind)->remove(path);
}

Result<void> expect_closed(const std::string& path) {
  if (!has_loop_file(path)) return {};
  auto closed = loop_file::expect_unmounted(loop_file_of(path));
  if (!closed && closed.error().code == EBUSY)
    return fail(EBUSY, path + " is still mounted: what used it has not ended yet; try again");
  return closed;
}

std::string home_of_snapshots(std::string_view name) {
  if (!name.starts_with(kSnapshots)) return {};
  return std::string(name.substr(kSnapshots.size()));
}

Result<std::vector<std::string>> snapshot_halves(const std::string& snapshots) {
  std::vector<std::string> halves;
  const auto dir = Dir::open(snapshots);
  if (!dir && dir.error().code == ENOENT) return halves;
  if (!dir) return tl::make_unexpected(dir.error());
  PANAL_ASSIGN(const auto names, dir->list());
  for (const std::string& name : names) {
    if (name.front() != '.') continue;
    // By the list alone: a directory that cannot be looked at now is not one that is gone.
    const auto of_snapshot = [&name](const std::string& one) {
      return name == "." + one + std::string(kFileEnd);
    };
    const bool whole = std::any_of(names.begin(), names.end(), of_snapshot);
    if (!whole && (name.ends_with(kFileEnd) || name.ends_with(kHalfFileEnd)))
      halves.push_back(name);
  }
  return halves;
}

Result<void> remove_snapshot_halves(const std::string& snapshots) {
  PANAL_ASSIGN(const auto halves, snapshot_halves(snapshots));
  for (const std::string& name : halves) {
    const std::string path = snapshots + "/" + name;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("delete", path);
  }
  return {};
}

Result<UniqueFd> root_of(const UniqueFd& tree, const std::string& path) {
  UniqueFd root(::openat(tree.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno("open", path);
  return root;
}

std::string home_of_half(std::string_view name) {
  if (name.starts_with(kHalf)) return std::string(name.substr(kHalf.size()));
  if (!name.starts_with(kHalfFile)) return {};
  name.remove_prefix(kHalfFile.size());
  for (const std::string_view end : {kHalfFileEnd, kFileEnd})
    if (name.ends_with(end)) return std::string(name.substr(0, name.size() - end.size()));
  return {};
}

std::string home_of_file(std::string_view name) {
  if (!name.starts_with('.') || !name.ends_with(kFileEnd) || name.size() <= 1 + kFileEnd.size())
    return {};
  std::string home(name.substr(1, name.size() - 1 - kFileEnd.size()));
  return is_plain_home_name(home) ? home : std::string();
}

Result<QuotaKind> HomeStore::Place::quota_kind() const {
  auto found = quota_kind_of(path);
  if (!found && found.error().code == ENOENT && has_loop_file(path)) return QuotaKind::kLoop;
  return found;
}

Result<std::unique_ptr<Quota>> HomeStore::Place::quota() const {
  PANAL_ASSIGN(const QuotaKind found, quota_kind());
  return make_quota(found);
}

Result<Cleanup> HomeStore::Place::hold(const HomeOwner& owner) const {
  // A command that was killed has left its lock; a desktop's is panald's to judge.
  const auto now = lock.owner();
  if (now && now->node == owner.node && is_command(now->holder) && !is_running_command(now->holder))
    PANAL_TRY(lock.drop(*now));
  PANAL_TRY(lock.take(owner));
  Cleanup unlock([kept = lock, owner] { (void)kept.drop(owner); });
  if (is_half_deleted(tenant_dir, home)) PANAL_TRY(remove_half(tenant_dir, home));
  return unlock;
}

Result<std::string> HomeStore::Place::snapshot(const std::string& name) const {
  if (!is_snapshot_name(name))
    return fail(EINVAL, "\"" + name +
                            "\" is no name for a snapshot: letters, digits, . _ : -, at most 64, "
                            "not beginning with . or -");
  return snapshots + "/" + name;
}

Result<void> check_home_names(const std::string& tenant, const std::string& home) {
  if (!is_plain_home_name(tenant))
    return fail(EINVAL, "home: \"" + tenant + "\" is no name for a tenant's directory");
  if (!is_plain_home_name(home))
    return fail(EINVAL, "home: \"" + home + "\" is no name for a home");
  return {};
}

Result<HomeStore::Place> HomeStore::place(const std::string& tenant,
                                          const std::string& home) const {
  PANAL_TRY(check_home_names(tenant, home));
  const std::string dir = homes_dir_ + "/" + tenant;
  return Place{home,
               dir,
               dir + "/" + home,
               dir + "/" + half_name(home),
               dir + "/" + snapshots_name(home),
               HomeLock(dir, home)};
}

}  // namespace panal::storage

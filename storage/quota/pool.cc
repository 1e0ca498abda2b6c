#include "storage/quota/pool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/mount.h"
#include "engine/base/tree.h"
#include "storage/quota/loop_mount.h"
#include "storage/quota/mount_table.h"

namespace panal::storage {
namespace {

bool is_there(const std::string& file) {
  struct stat info{};
  return ::lstat(file.c_str(), &info) == 0;
}

/// With project quotas in force if it was made with them and the kernel knows them; else without.
Result<UniqueFd> open_pool(const PoolSpec& spec) {
  auto with_quotas = loop_file::open(spec.file, {{"prjquota", ""}});
  if (with_quotas || with_quotas.error().code == EBUSY) return with_quotas;
  return loop_file::open(spec.file);
}

}  // namespace

Result<PoolState> pool_state(const PoolSpec& spec) {
  PANAL_ASSIGN(const auto table, read_mount_table());
  if (is_mounted_at(table, spec.mount_point)) return PoolState::kMounted;
  return is_there(spec.file) ? PoolState::kUnmounted : PoolState::kAbsent;
}

Result<void> ensure_pool(const PoolSpec& spec) {
  PANAL_ASSIGN(const PoolState state, pool_state(spec));
  if (state == PoolState::kMounted) return {};
  PANAL_ASSIGN(const Dir below, Dir::open(spec.mount_point));
  PANAL_ASSIGN(const auto names, below.list());
  if (!names.empty())
    return fail(ENOTEMPTY, "the pool of desktops' layers would cover " + spec.mount_point +
                               ", which holds " + names.front() +
                               ": stop and remove the desktops of this node, or move it away");
  if (state == PoolState::kAbsent) {
    // Not every mke2fs or kernel has project quotas; a limit of all together needs none.
    auto made = loop_file::make(spec.file, spec.limit, "quota,project");
    if (made) {
      if (const auto usable = open_pool(spec); !usable) {
        (void)::unlink(spec.file.c_str());
        made = tl::make_unexpected(usable.error());
      }
    }
    if (!made) PANAL_TRY(loop_file::make(spec.file, spec.limit));
  } else {
    struct stat info{};
    if (::lstat(spec.file.c_str(), &info) != 0) return fail_errno("look at", spec.file);
    if (spec.limit.bytes > static_cast<std::uint64_t>(info.st_size))
      PANAL_TRY(loop_file::grow(spec.file, spec.limit.bytes));
  }
  PANAL_ASSIGN(const UniqueFd tree, open_pool(spec));
  const UniqueFd root(::openat(tree.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno("open", spec.file);
  // Containers' root users walk through it to their own (runtime/desktop/places.h).
  if (::fchmod(root.get(), 0711) != 0) return fail_errno("chmod", spec.file);
  return mount::attach(tree.get(), spec.mount_point);
}

Result<void> close_pool(const PoolSpec& spec) {
  PANAL_ASSIGN(const PoolState state, pool_state(spec));
  if (state != PoolState::kMounted) return {};
  return mount::detach(spec.mount_point);
}

}  // namespace panal::storage

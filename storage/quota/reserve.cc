#include "storage/quota/reserve.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "storage/quota/kinds.h"

namespace panal::storage {
namespace {

/// Whole or not at all; a full disk is no error.
Result<void> make_reserve(const std::string& file, std::uint64_t bytes) {
  const std::string aside = file + ".new";
  Cleanup remove([&aside] { (void)::unlink(aside.c_str()); });
  const UniqueFd fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) {
    if (errno == ENOSPC || errno == EDQUOT) return {};
    return fail_errno("create", aside);
  }
  if (::fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes)) != 0) {
    if (errno == ENOSPC || errno == EDQUOT) return {};
    return fail_errno("reserve room in", aside);
  }
  if (::rename(aside.c_str(), file.c_str()) != 0) return fail_errno("rename", aside);
  remove.release();
  return {};
}

}  // namespace

ReserveStep decide_reserve(std::uint64_t free_bytes, std::uint64_t reserve_bytes, bool present) {
  const std::uint64_t edge = reserve_bytes / 8;
  if (present) return free_bytes < edge ? ReserveStep::kFree : ReserveStep::kKeep;
  return free_bytes / 2 >= reserve_bytes + edge / 2 ? ReserveStep::kMake : ReserveStep::kKeep;
}

Result<Reserve::State> Reserve::look() {
  const std::string directory = split_path(file_).parent;
  struct statfs disk{};
  if (::statfs(directory.c_str(), &disk) != 0) return fail_errno("look at", directory);
  State state;
  // What the database's user can have; a file system keeps some for its own use and for root.
  state.free_bytes =
      static_cast<std::uint64_t>(disk.f_bavail) * static_cast<std::uint64_t>(disk.f_bsize);
  struct stat info{};
  state.present = ::lstat(file_.c_str(), &info) == 0;
  const bool in_memory = disk.f_type == static_cast<decltype(disk.f_type)>(TMPFS_MAGIC);
  const std::uint64_t wanted = in_memory ? 0 : bytes_;
  // Another size was configured: made anew when there is room.
  const bool other_size = state.present && static_cast<std::uint64_t>(info.st_size) != wanted;
  ReserveStep step = ReserveStep::kKeep;
  if (wanted != 0 && !other_size) step = decide_reserve(state.free_bytes, wanted, state.present);
  if (step == ReserveStep::kFree || other_size) {
    if (::unlink(file_.c_str()) != 0 && errno != ENOENT) return fail_errno("free", file_);
    needed_ = step == ReserveStep::kFree;
    state.present = false;
  } else if (step == ReserveStep::kMake) {
    const auto made = make_reserve(file_, wanted);
    if (!made && made.error().code == EOPNOTSUPP)
      bytes_ = 0;  // this file system keeps no room; it is not asked again
    else
      PANAL_TRY(made);
    state.present = ::lstat(file_.c_str(), &info) == 0;
    if (state.present) needed_ = false;
  }
  state.full = needed_;
  return state;
}

}  // namespace panal::storage

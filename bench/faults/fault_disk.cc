#include "bench/faults/fault_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "storage/quota/loop_mount.h"

namespace panal::bench {
namespace {

constexpr const char* kFiller = "/.filler";
constexpr const char* kNames = "/.names";
constexpr int kCopyTries = 100;

/// Counters of a disk that grow with every write: the third and following of its stat.
/// https://docs.kernel.org/block/stat.html
Result<std::string> writes_of(const std::string& mount_point) {
  struct stat info{};
  if (::stat(mount_point.c_str(), &info) != 0) return fail_errno("stat", mount_point);
  const std::string path =
      fmt::format("/sys/dev/block/{}:{}/stat", major(info.st_dev), minor(info.st_dev));
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line)) return fail(ENODEV, "read " + path);
  std::istringstream words(line);
  std::string word;
  std::string writes;
  for (int i = 0; i < 9 && words >> word; ++i)
    if (i >= 4) writes += word + " ";  // write I/Os, merges, sectors, ticks; in flight
  return writes;
}

Result<void> copy_sparse(const std::string& from, const std::string& to) {
  const UniqueFd in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in) return fail_errno("open", from);
  const UniqueFd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!out) return fail_errno("create", to);
  struct stat info{};
  if (::fstat(in.get(), &info) != 0) return fail_errno("stat", from);
  if (::ftruncate(out.get(), info.st_size) != 0) return fail_errno("size", to);
  for (off_t at = 0; at < info.st_size;) {
    const off_t data = ::lseek(in.get(), at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return {};  // a hole to the end
    const off_t hole = ::lseek(in.get(), data, SEEK_HOLE);
    if (data < 0 || hole < 0) return fail_errno("look for data in", from);
    off_t read_at = data;
    off_t write_at = data;
    while (read_at < hole) {
      const ssize_t copied = ::copy_file_range(in.get(), &read_at, out.get(), &write_at,
                                               static_cast<std::size_t>(hole - read_at), 0);
      if (copied <= 0) return fail_errno("copy", from);
    }
    at = hole;
  }
  return {};
}

Result<void> sync_new_file(const std::string& path) {
  {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!fd || ::fsync(fd.get()) != 0) return fail_errno("fsync", path);
  }
  if (::unlink(path.c_str()) != 0) return fail_errno("delete", path);
  return {};
}

}  // namespace

Result<FaultDisk> FaultDisk::make(const std::string& dir, std::uint64_t bytes,
                                  std::uint64_t inodes) {
  FaultDisk disk(dir);
  if (::mkdir(disk.path().c_str(), 0755) != 0) return fail_errno("make directory", disk.path());
  PANAL_TRY(storage::loop_file::make(disk.file(0), {bytes, inodes}));
  PANAL_TRY(disk.mount_it());
  if (::chmod(disk.path().c_str(), 0755) != 0) return fail_errno("chmod", disk.path());
  return disk;
}

FaultDisk::~FaultDisk() {
  if (!dir_.empty()) (void)mount::detach(path());
}

std::string FaultDisk::file(unsigned number) const {
  return fmt::format("{}/disk.{}", dir_, number);
}

Result<void> FaultDisk::mount_it() const {
  // ext4 guesses which renames need their bytes on disk first; other file systems do not.
  PANAL_ASSIGN(const UniqueFd root,
               storage::loop_file::open(file(number_), {{"noauto_da_alloc", ""}}));
  return mount::attach(root.get(), path());
}

Result<void> FaultDisk::take_bytes() const {
  const std::string path_of_filler = path() + kFiller;
  (void)::mkdir(path_of_filler.c_str(), 0700);
  const std::string name = path_of_filler + "/bytes";
  const UniqueFd fd(::open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("create", name);
  // What others have written and not yet been given blocks for is theirs.
  if (::syncfs(fd.get()) != 0) return fail_errno("syncfs", name);
  off_t at = 0;
  for (off_t step = off_t{1} << 26; step >= 1024;) {
    if (::fallocate(fd.get(), 0, at, step) == 0)
      at += step;
    else if (errno == ENOSPC)
      step /= 2;
    else
      return fail_errno("fill", name);
  }
  return {};
}

Result<void> FaultDisk::take_inodes() const {
  const std::string dir = path() + kFiller;
  if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("make directory", dir);
  for (unsigned i = 0;; ++i) {
    const std::string name = fmt::format("{}/{}", dir, i);
    const UniqueFd fd(::open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (fd) continue;
    if (errno == ENOSPC) return {};
    return fail_errno("create", name);
  }
}

Result<void> FaultDisk::give_back() const { return remove_tree(path() + kFiller); }

Result<void> FaultDisk::keep_as_after_power_loss(bool sync_names) const {
  if (sync_names) PANAL_TRY(sync_new_file(path() + kNames));
  // The journal may be written meanwhile by the kernel's own thread: then the copy would be of no
  // moment at all.
  for (int turn = 0; turn < kCopyTries; ++turn) {
    PANAL_ASSIGN(const std::string before, writes_of(path()));
    PANAL_TRY(copy_sparse(file(number_), file(number_ + 1)));
    PANAL_ASSIGN(const std::string after, writes_of(path()));
    if (before == after) return {};
  }
  return fail(EBUSY, "copy " + file(number_) + ": it is being written all the time");
}

Result<void> FaultDisk::lose_power() {
  PANAL_TRY(mount::detach(path()));
  (void)::unlink(file(number_).c_str());
  ++number_;
  PANAL_TRY(mount_it());
  if (::unlink((path() + kNames).c_str()) != 0 && errno != ENOENT)
    return fail_errno("delete", path() + kNames);
  return {};
}

}  // namespace panal::bench

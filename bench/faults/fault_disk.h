#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"

namespace panal::bench {

/// A disk that can be full, and that can lose power: ext4 in a file. Needs loop devices and root.
///
/// What a power failure leaves is what had been given to the device by then: the file is copied
/// while whoever writes is stopped, and the copy is mounted in its place, journal and all.
class FaultDisk {
 public:
  /// Makes files in `dir` and mounts at `dir`/disk. Errors: those of storage::loop_file.
  [[nodiscard]] static Result<FaultDisk> make(const std::string& dir, std::uint64_t bytes,
                                              std::uint64_t inodes);
  FaultDisk(FaultDisk&& other) noexcept : dir_(std::move(other.dir_)), number_(other.number_) {
    other.dir_.clear();
  }
  FaultDisk& operator=(FaultDisk&& other) = delete;
  ~FaultDisk();

  /// The mount point.
  [[nodiscard]] std::string path() const { return dir_ + "/disk"; }

  /// Takes all bytes that are left, or all inodes; give_back() takes that back.
  [[nodiscard]] Result<void> take_bytes() const;
  [[nodiscard]] Result<void> take_inodes() const;
  [[nodiscard]] Result<void> give_back() const;

  /// What the disk would hold after a power failure right now. `sync_names`: the file system has
  /// written its journal a moment ago, as it does every few seconds: names and sizes of files are
  /// there, and bytes that nobody has synced are not.
  [[nodiscard]] Result<void> keep_as_after_power_loss(bool sync_names) const;
  /// Mounts that in the place of the disk. Nothing may be mounted below path() any more.
  [[nodiscard]] Result<void> lose_power();

 private:
  explicit FaultDisk(std::string dir) : dir_(std::move(dir)) {}
  [[nodiscard]] std::string file(unsigned number) const;
  [[nodiscard]] Result<void> mount_it() const;

  std::string dir_;
  unsigned number_ = 0;  ///< of the file that is mounted
};

}  // namespace panal::bench

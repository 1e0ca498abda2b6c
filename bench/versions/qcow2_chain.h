#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

/// A virtual machine's disk with an image's tree, and what each update of it adds to a chain of
/// qcow2 files, one for each version, as virtual desktops on KVM are kept.
///
/// The disk is one ext4 that lives on: each update is written into it where it is mounted, as dpkg
/// does it in a guest, so that blocks which nothing touched stay where they are. (An ext4 made anew
/// of each version would have its files elsewhere, and a chain of such disks would hold nearly all
/// of each.) After an update the disk is unmounted, and `qemu-img rebase` makes the link: a qcow2
/// with the clusters of 64 KiB in which the disk differs from the one before. A link is folded into
/// a copy of the former disk once its size is known, which is what the next one is made against, so
/// that not all of them need room at once.
class Qcow2Chain {
 public:
  /// The programs that are missing, in words; "": none.
  [[nodiscard]] static std::string why_not();

  /// The disk of the tree `root`, in the new directory `directory`; half as large again as
  /// `tree_bytes`, and sparse. Errors: what mke2fs and qemu-img say; ENOSPC.
  [[nodiscard]] static Result<Qcow2Chain> make(const std::string& directory,
                                               const std::string& root, std::uint64_t tree_bytes);

  /// Bytes on disk of the first version, as a qcow2 without a backing file.
  [[nodiscard]] std::uint64_t base_bytes() const { return base_bytes_; }

  /// Writes these files of the tree `root` anew into the disk. Bytes on disk of the link. Errors:
  /// those of mounting and writing, what qemu-img says; ENODEV where this kernel has no loop
  /// devices.
  [[nodiscard]] Result<std::uint64_t> add(const std::string& root,
                                          const std::vector<std::string>& files);

  /// That all links, one upon the other, give the disk as it is. Errors: EIO when not.
  [[nodiscard]] Result<void> check() const;

 private:
  explicit Qcow2Chain(std::string directory) : directory_(std::move(directory)) {}
  [[nodiscard]] Result<void> write(const std::string& root,
                                   const std::vector<std::string>& files) const;
  [[nodiscard]] std::string disk() const { return directory_ + "/disk.raw"; }
  [[nodiscard]] std::string former() const { return directory_ + "/former.raw"; }

  std::string directory_;
  std::uint64_t base_bytes_ = 0;
};

}  // namespace panal::bench

#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"

namespace panal::storage {

/// What to do about the reserve, by how full the disk is.
enum class ReserveStep { kKeep, kFree, kMake };
/// `free_bytes`: what the file system has left for who is not root (the database); `present`: the
/// reserve is there. It is freed when less than an eighth of it is left, and made again once twice
/// its size and that eighth are free: a disk at the edge does not make it come and go.
[[nodiscard]] ReserveStep decide_reserve(std::uint64_t free_bytes, std::uint64_t reserve_bytes,
                                         bool present);

/// A file that takes room on a file system until it is full, and is then freed: the database can
/// write, desktops can be stopped and the operator can log in while what filled it is looked for.
/// For one thread.
class Reserve {
 public:
  /// 0 bytes: no reserve; one that is there goes.
  Reserve(std::string file, std::uint64_t bytes) : file_(std::move(file)), bytes_(bytes) {}

  struct State {
    std::uint64_t free_bytes = 0;
    bool present = false;
    bool full = false;  ///< the reserve was needed, and is not there again yet
  };
  /// Looks at the disk and does what decide_reserve() says. On a tmpfs there is never a reserve (it
  /// would take memory), nor where the file system cannot set room aside. Errors: EIO, EACCES;
  /// ENOSPC is none.
  [[nodiscard]] Result<State> look();

 private:
  std::string file_;
  std::uint64_t bytes_;
  bool needed_ = false;
};

}  // namespace panal::storage

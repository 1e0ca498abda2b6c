#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/cleanup.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/compose/backend.h"

namespace panal::storage {

/// A directory of an attached mount, for overlayfs to find by a path that is short (option values
/// end at 255 bytes) and holds none of its separators.
class OpenLayer {
 public:
  [[nodiscard]] static Result<OpenLayer> open(const std::string& path);
  /// Below `directory`, not following a link. Errors: those of openat(2).
  [[nodiscard]] static Result<OpenLayer> open_at(int directory, const std::string& name);
  [[nodiscard]] std::string path() const;

 private:
  explicit OpenLayer(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// The trees of a spec that are never written, idmapped and read-only, attached at its mount point
/// one on the other: overlayfs finds layers by path only (descriptors from Linux 6.13 on). They go
/// again with this object: the overlay has private clones of them.
class Lowers {
 public:
  /// Errors: EINVAL for more than 8 layers; those of the mount calls.
  [[nodiscard]] static Result<Lowers> attach(const RootSpec& spec, int user_namespace);
  /// The value of lowerdir=, topmost first.
  [[nodiscard]] std::string option() const;

 private:
  Lowers() = default;
  Cleanup detach_;  // after the descriptors are closed
  std::vector<OpenLayer> open_;
};

struct OverlayMount {
  std::string lowerdir;
  std::string upperdir;
  std::string workdir;
  std::uint32_t root_id = 0;  ///< the host id that is the desktop's root
  bool metacopy = false;      ///< changed metadata is kept apart from data
  bool unsynced = false;      ///< mount option volatile: nothing is ever synced (Linux 5.10)
};

/// A detached, writable overlay. Errors: EROFS when the kernel gave a read-only one, ENOSPC when it
/// did so because the upper's disk is full; the kernel's own words.
[[nodiscard]] Result<UniqueFd> create_overlay(const OverlayMount& overlay);

}  // namespace panal::storage

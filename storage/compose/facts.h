#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::storage {

/// What decides how roots can be made on a node.
struct ComposeFacts {
  std::set<std::string> filesystems;  ///< that the kernel knows now (proc/filesystems)
  std::string kernel;                 ///< its release, "6.18.4-amd64"
  std::string upper_fs;         ///< type of the file system that desktops' layers are on, "ext4"
  bool tried = false;           ///< by root, who alone can try the two that follow
  bool idmapped_upper = false;  ///< an idmapped mount of it can be made
  bool reflink = false;         ///< its files can share blocks
  bool fuse_device = false;
  bool fuse_overlayfs = false;  ///< the programs are installed
  bool unionfs_fuse = false;
  bool mkfs_btrfs = false;
  bool device_mapper = false;  ///< proc/devices says so
  bool lvm = false;            ///< its programs are installed
  bool btrfs_pool = false;     ///< the configured directory is on btrfs, or may be made in a file
  bool lvm_pool = false;       ///< a thin pool is configured
};

/// The file systems in the text of proc/filesystems: "nodev\toverlay". Lines of another form are
/// passed over.
[[nodiscard]] std::set<std::string> parse_filesystems(std::string_view text);

/// Where to look, besides the kernel's trees.
struct ProbePlaces {
  std::string layers_dir;   ///< desktops' layers are below it; made by nobody here
  std::string btrfs_pool;   ///< may be absent
  bool btrfs_file = false;  ///< a file is to be made for it
  std::string lvm_pool;     ///< "group/pool", or empty
};

/// Looks. Root is needed to try idmapped mounts and reflinks (files that go again); without, what
/// was not tried is false. A module that is not loaded yet does not show in filesystems: overlay,
/// btrfs and fuse are asked for by name (fsopen(2) loads them). Errors: the trees cannot be read.
[[nodiscard]] Result<ComposeFacts> probe_compose(const Tree& tree, const ProbePlaces& places);

}  // namespace panal::storage

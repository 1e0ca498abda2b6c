#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

/// A disk behind zram, to which it writes what lies long or does not compress.
/// Kernel: Documentation/admin-guide/blockdev/zram.rst, with CONFIG_ZRAM_WRITEBACK.
namespace panal::kernel {

/// What a device has on its disk; bytes.
struct ZramBacking {
  std::uint64_t stored = 0;   ///< now
  std::uint64_t read = 0;     ///< since it was set up
  std::uint64_t written = 0;  ///< since it was set up

  [[nodiscard]] bool operator==(const ZramBacking&) const = default;
};

/// Parses bd_stat, three counts of 4 KiB. Errors: EPROTO.
[[nodiscard]] Result<ZramBacking> parse_zram_bd_stat(std::string_view text);

/// Whether the kernel can, as a zram device shows: it needs not be in use. False without one.
[[nodiscard]] bool zram_writes_back(const Tree& tree);

/// The place to write back to, as the kernel will name it: `path` without links. A block device
/// that is no zram or loop device, or a file of root's that nobody else may read, as desktops'
/// memory is in it; 1 MiB at least.
/// Errors: ENOENT; EINVAL and EPERM with what is wrong, in words.
[[nodiscard]] Result<std::string> find_writeback_place(const std::string& path);

/// Puts a place behind a device that has no size yet (a file by a loop device, which goes with it);
/// all that is there is lost. Nothing is written until write_back_zram() says so.
/// Errors: ENOENT where the kernel cannot; EBUSY when the place, or the device, is in use.
[[nodiscard]] Result<void> set_zram_backing(const Dir& device, const std::string& place);

/// The place behind a device, as it was given to set_zram_backing(); empty: none.
[[nodiscard]] Result<std::string> read_zram_backing(const Tree& tree, const Dir& device);

/// From now on all that is in it counts as idle until it is read.
/// Errors: EINVAL before the device has a size.
[[nodiscard]] Result<void> mark_zram_idle(const Dir& device);

enum class ZramWriteback : std::uint8_t {
  kIdle,  ///< what was not read since mark_zram_idle()
  kHuge,  ///< what does not compress
};

/// Writes up to `most_bytes` of it to the disk, and gives its memory back. Blocks; a portion of
/// some 64 MiB is some tenths of a second. Returns what was written.
/// Errors: ENODEV without a place; ENOSPC when that is full.
[[nodiscard]] Result<std::uint64_t> write_back_zram(const Dir& device, ZramWriteback what,
                                                    std::uint64_t most_bytes);

}  // namespace panal::kernel

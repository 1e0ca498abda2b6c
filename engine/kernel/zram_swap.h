#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

struct ZramSwapSettings {
  std::uint64_t disk_bytes = 0;          ///< what may be swapped to it, before compression
  std::uint64_t memory_limit_bytes = 0;  ///< what it may take from the host; 0: no limit
  std::string algorithm;                 ///< of the device's comp_algorithm; empty: the kernel's
  int priority = 100;                    ///< 0..32767; before any disk's
  /// Of find_writeback_place(); what is written there is up to who calls write_back_zram().
  std::string writeback = {};  ///< empty: none
};

/// Compressed swap in memory. Devices are the machine's, not a namespace's; their memory is in no
/// group's charge. Whoever starts one remembers its number, to stop it after a crash as well.
///
/// A device that nobody uses: one that exists uninitialised, else a new one. Two callers may get
/// the same: start_zram_swap() then fails for one of them. Errors: ENODEV on a kernel without zram.
[[nodiscard]] Result<unsigned> find_free_zram(const Tree& tree);

/// What start_zram_swap() does before it swaps to the device: algorithm, place to write back to,
/// size, limits, in the order the kernel wants. On an error the device is reset.
/// Errors: EBUSY when it is set up already; EINVAL for an algorithm the kernel lacks or no size;
/// those of set_zram_backing().
[[nodiscard]] Result<void> set_up_zram(const Tree& tree, unsigned device,
                                       const ZramSwapSettings& settings);

/// Sets the device up and swaps to it. On an error it is reset.
/// Errors: those of set_up_zram(), make_swap() and swap_on().
[[nodiscard]] Result<void> start_zram_swap(const Tree& tree, unsigned device,
                                           const ZramSwapSettings& settings);

/// Takes everything back into memory and frees the device. Not being on, or set up, is no error.
/// Waits up to 3 s where udev looks at the device just then.
/// Errors: ENOMEM when what is swapped out does not fit: nothing has changed then; EINTR.
[[nodiscard]] Result<void> stop_zram_swap(const Tree& tree, unsigned device);

/// Removes a device that find_free_zram() made. Errors: EBUSY while it is in use, after 3 s;
/// ENODEV; ENOENT where there is no such thing.
[[nodiscard]] Result<void> remove_zram(const Tree& tree, unsigned device);

/// Gives memory of a device that became fragmented back. Errors: ENODEV.
[[nodiscard]] Result<void> compact_zram(const Tree& tree, unsigned device);

}  // namespace panal::kernel

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/memory.h"

namespace panal::kernel {

/// Parses the table of swap devices; the first line is its heading. Errors: EPROTO.
[[nodiscard]] Result<std::vector<SwapDevice>> parse_swaps(std::string_view text);
/// Empty on a kernel without swap.
[[nodiscard]] Result<std::vector<SwapDevice>> read_swaps(const Tree& tree);

/// Writes the signature that swap_on() wants, as mkswap does, over a device or file of `bytes`
/// bytes; nothing behind its first page is touched.
/// Errors: EINVAL below ten pages; those of open(2) and pwrite(2).
[[nodiscard]] Result<void> make_swap(const std::string& path, std::uint64_t bytes);

/// Starts swapping to a device or file, machine-wide. `priority`: -1 lets the kernel choose, else
/// 0..32767, higher is filled first.
/// Errors: EBUSY when it is on already; EINVAL without a signature.
[[nodiscard]] Result<void> swap_on(const std::string& path, int priority);

/// Takes everything back into memory; blocks for as long as that takes and ends early, with EINTR,
/// on a signal. Errors: ENOMEM when it does not fit (the device stays on); EINVAL when it is not
/// on.
[[nodiscard]] Result<void> swap_off(const std::string& path);

}  // namespace panal::kernel

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/limits.h"
#include "runtime/desktop/guest.h"

namespace panal::desktop {

/// The host, as far as what a desktop is told depends on it.
struct HostView {
  std::uint64_t memory_bytes = 0;
  std::uint32_t cpus = 0;    ///< online
  std::string_view cpuinfo;  ///< /proc/cpuinfo; looked at only where CPUs are masked
};

/// A file that stands over one of the kernel's inside a desktop.
struct GuestFile {
  std::string name;    ///< in the desktop's run directory
  std::string target;  ///< inside, without the slash before it
  std::string text;
};

/// Whether programs are told of less memory than the host has.
[[nodiscard]] bool masks_memory(const GuestSettings& guest, const Limits& limits,
                                std::uint64_t host_memory_bytes);

/// All the files that `guest` asks for. None for a resource of which the desktop may have as much
/// as the host has.
[[nodiscard]] std::vector<GuestFile> guest_files(const GuestSettings& guest, const Limits& limits,
                                                 const HostView& host);

/// /proc/meminfo of a machine with so much memory: every field that Linux 6.1 to 6.18 has, so that
/// no program misses one. It does not change: half of the memory is free and seven tenths are
/// available, always. No swap: what of a desktop is swapped out is the host's business.
/// Kernel: Documentation/filesystems/proc.rst.
[[nodiscard]] std::string meminfo_text(std::uint64_t memory_bytes);

/// The first `cpus` processors of a /proc/cpuinfo; all of it where there are no more.
[[nodiscard]] std::string cpuinfo_text(std::string_view host, std::uint32_t cpus);

/// The kernel's list of CPUs 0 to `cpus` - 1: "0" or "0-3", with a line end. `cpus` is 1 at least.
[[nodiscard]] std::string cpu_list(std::uint32_t cpus);

}  // namespace panal::desktop

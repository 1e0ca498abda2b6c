// Kernel files of the host and of groups: no text may crash a parser; those of processes are in
// process_text_fuzz.cc. The first byte says which file it is
// (tests/fuzz/seeds).
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/kernel/apparmor.h"
#include "engine/kernel/cgroup_layout.h"
#include "engine/kernel/cgroup_stat.h"
#include "engine/kernel/cpu_times.h"
#include "engine/kernel/disk_stat.h"
#include "engine/kernel/flat_keyed.h"
#include "engine/kernel/io_stat.h"
#include "engine/kernel/kernel_objects.h"
#include "engine/kernel/loadavg.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/mountinfo.h"
#include "engine/kernel/net_dev.h"
#include "engine/kernel/psi.h"
#include "engine/kernel/small_text.h"
#include "engine/kernel/swaps.h"
#include "engine/kernel/sysctl.h"
#include "engine/kernel/vmstat.h"
#include "engine/kernel/zram.h"
#include "engine/kernel/zram_writeback.h"
#include "tests/fuzz/texts.h"

namespace {

using namespace panal::kernel;
using panal::fuzz::halves;
using panal::fuzz::require;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'm': {
      const auto entries = parse_mountinfo(text);
      if (!entries) break;
      for (const MountEntry& entry : *entries) require(!entry.mount_point.empty());
      break;
    }
    case 'c': {
      const auto [mountinfo, cgroups] = halves(text);
      const auto layout = parse_cgroup_layout(mountinfo, cgroups);
      if (layout) require(!layout->mounts.empty());
      break;
    }
    case 'p': {
      const auto pressure = parse_psi(text);
      if (pressure) require(pressure->some.avg10_percent >= 0);
      break;
    }
    case 'i': (void)parse_meminfo(text); break;
    case 'z': (void)parse_zram_mm_stat(text); break;
    case 'Z': (void)parse_zram_bd_stat(text); break;
    case 'k': (void)find_flat_keyed(text, "anon"); break;
    case 'v': (void)parse_vmstat(text); break;
    case '1': {
      panal::MemoryStatistics memory;
      (void)parse_memory_stat(text, 1, memory);
      (void)parse_memory_events(text, 1, memory);
      break;
    }
    case '2': {
      panal::MemoryStatistics memory;
      (void)parse_memory_stat(text, 2, memory);
      (void)parse_memory_events(text, 2, memory);
      break;
    }
    case 'u': {
      panal::GroupCpu cpu;
      (void)parse_cpu_stat(text, cpu);
      break;
    }
    case 't': (void)parse_cpu_times(text, 100); break;
    case 'o': (void)parse_io_stat(text); break;
    case 'b': {
      const auto [bytes, operations] = halves(text);
      (void)parse_blkio(bytes, operations);
      break;
    }
    case 'w': {
      const auto swaps = parse_swaps(text);
      if (!swaps) break;
      for (const panal::SwapDevice& device : *swaps)
        require(device.priority >= -32768 && device.priority <= 32768 && !device.path.empty());
      break;
    }
    case 'l': (void)parse_task_counts(text); break;
    case 'g': {
      const auto pids = parse_group_pids(text);
      if (!pids) break;
      for (const pid_t pid : *pids) require(pid >= 0);
      break;
    }
    case 'C': {
      const auto chosen = chosen_of(text);
      if (chosen) require(!chosen->empty() && text.find(*chosen) != text.npos);
      break;
    }
    case 'a': (void)lists_profile(text, "panal-desktop"); break;
    case 'N': {
      const auto links = parse_net_dev(text);
      if (!links) break;
      for (const LinkCounters& link : *links) require(!link.name.empty());
      break;
    }
    case 'D': (void)parse_disk_stat(text); break;
    case 'F': {
      const auto files = parse_file_nr(text);
      if (files) require(files->reserve == 0);
      break;
    }
    case 'K': (void)parse_key_users(text, 0); break;
    case 'y': {
      const auto path = sysctl_path(std::string(text));
      if (path) require(path->rfind("sys/", 0) == 0 && path->find("/../") == path->npos);
      break;
    }
    default: return -1;
  }
  return 0;
}

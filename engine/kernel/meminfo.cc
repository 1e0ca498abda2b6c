#include "engine/kernel/meminfo.h"

#include <string>
#include <utility>

#include "engine/kernel/text.h"

namespace panal::kernel {

Result<HostMemory> parse_meminfo(std::string_view text) {
  HostMemory info;
  unsigned seen = 0;
  const std::pair<std::string_view, std::uint64_t HostMemory::*> known[] = {
      {"MemTotal", &HostMemory::total},
      {"MemFree", &HostMemory::free},
      {"MemAvailable", &HostMemory::available},  // the first three are required
      {"Buffers", &HostMemory::buffers},
      {"Cached", &HostMemory::cached},
      {"SwapCached", &HostMemory::swap_cached},
      {"AnonPages", &HostMemory::anon},
      {"Active(anon)", &HostMemory::anon_lists},
      {"Inactive(anon)", &HostMemory::anon_lists},
      {"Shmem", &HostMemory::shmem},
      {"Unevictable", &HostMemory::unevictable},
      {"Dirty", &HostMemory::dirty},
      {"Writeback", &HostMemory::writeback},
      {"SReclaimable", &HostMemory::slab_reclaimable},
      {"SUnreclaim", &HostMemory::slab_unreclaimable},
      {"KernelStack", &HostMemory::kernel_stack},
      {"PageTables", &HostMemory::page_tables},
      {"SecPageTables", &HostMemory::page_tables},  // those of the IOMMU and KVM: added
      {"Percpu", &HostMemory::percpu},
      {"Hugetlb", &HostMemory::hugetlb},
      {"SwapTotal", &HostMemory::swap_total},
      {"SwapFree", &HostMemory::swap_free},
      {"Zswap", &HostMemory::zswap_pool},
      {"Zswapped", &HostMemory::zswap_original},
  };
  for (const std::string_view line : lines_of(text)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    for (std::size_t i = 0; i < std::size(known); ++i) {
      if (line.substr(0, colon) != known[i].first) continue;
      const auto words = words_of(line.substr(colon + 1));
      const auto value = words.empty() ? std::nullopt : parse_number(words[0]);
      if (!value || *value > UINT64_MAX / 1024 / 2 || words.size() != 2 || words[1] != "kB")
        return fail(EPROTO, "meminfo: bad value of " + std::string(known[i].first));
      info.*known[i].second += *value * 1024;
      if (i < 3) seen |= 1U << i;
    }
  }
  if (seen != 7U) return fail(EPROTO, "meminfo: MemTotal, MemFree or MemAvailable is absent");
  return info;
}

Result<HostMemory> read_meminfo(const Tree& tree) {
  PANAL_ASSIGN(const std::string text, tree.proc.read("meminfo"));
  return parse_meminfo(text);
}

}  // namespace panal::kernel

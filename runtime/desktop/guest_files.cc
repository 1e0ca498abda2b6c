#include "runtime/desktop/guest_files.h"

#include <fmt/format.h>

namespace panal::desktop {
namespace {

/// A field of /proc/meminfo as a share of all memory.
struct MemoryField {
  const char* name;
  unsigned percent;
};

/// They agree with each other: free, cached, anonymous and the kernel's make the total, and what is
/// available is what is free and what the page cache would give back.
constexpr MemoryField kFields[] = {
    {"MemTotal", 100},    {"MemFree", 50},        {"MemAvailable", 70},  {"Buffers", 0},
    {"Cached", 22},       {"SwapCached", 0},      {"Active", 10},        {"Inactive", 36},
    {"Active(anon)", 0},  {"Inactive(anon)", 26}, {"Active(file)", 10},  {"Inactive(file)", 10},
    {"Unevictable", 0},   {"Mlocked", 0},         {"SwapTotal", 0},      {"SwapFree", 0},
    {"Zswap", 0},         {"Zswapped", 0},        {"Dirty", 0},          {"Writeback", 0},
    {"AnonPages", 24},    {"Mapped", 10},         {"Shmem", 2},          {"KReclaimable", 2},
    {"Slab", 3},          {"SReclaimable", 2},    {"SUnreclaim", 1},     {"KernelStack", 0},
    {"PageTables", 1},    {"SecPageTables", 0},   {"NFS_Unstable", 0},   {"Bounce", 0},
    {"WritebackTmp", 0},  {"CommitLimit", 50},    {"Committed_AS", 40},  {"VmallocTotal", 0},
    {"VmallocUsed", 0},   {"VmallocChunk", 0},    {"Percpu", 0},         {"HardwareCorrupted", 0},
    {"AnonHugePages", 0}, {"ShmemHugePages", 0},  {"ShmemPmdMapped", 0}, {"FileHugePages", 0},
    {"FilePmdMapped", 0}, {"CmaTotal", 0},        {"CmaFree", 0},        {"Unaccepted", 0},
    {"Balloon", 0},
};
/// Counts of pages and not kB.
constexpr const char* kHugePageCounts[] = {"HugePages_Total", "HugePages_Free", "HugePages_Rsvd",
                                           "HugePages_Surp"};
constexpr std::uint64_t kVmallocKib = 34359738367;  // of x86-64; what programs do with it: nothing

std::string meminfo_line(std::string_view name, std::uint64_t kib) {
  return fmt::format("{:<16}{:>8} kB\n", fmt::format("{}:", name), kib);
}

}  // namespace

std::string meminfo_text(std::uint64_t memory_bytes) {
  const std::uint64_t total_kib = memory_bytes / 1024;
  std::string out;
  for (const MemoryField& field : kFields) {
    // By hundredths first: nobody's limit overflows.
    const std::uint64_t kib = field.percent == 100 ? total_kib : total_kib / 100 * field.percent;
    const bool addresses = std::string_view(field.name) == "VmallocTotal";
    out += meminfo_line(field.name, addresses ? kVmallocKib : kib);
  }
  for (const char* name : kHugePageCounts)
    out += fmt::format("{:<16}{:>8}\n", fmt::format("{}:", name), 0);
  out += meminfo_line("Hugepagesize", 2048) + meminfo_line("Hugetlb", 0);
  return out + meminfo_line("DirectMap4k", total_kib) + meminfo_line("DirectMap2M", 0) +
         meminfo_line("DirectMap1G", 0);
}

std::string cpuinfo_text(std::string_view host, std::uint32_t cpus) {
  // A block a processor, with an empty line behind it.
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < cpus; ++i) {
    const std::size_t end = host.find("\n\n", at);
    if (end == std::string_view::npos) return std::string(host);
    at = end + 2;
  }
  return std::string(host.substr(0, at));
}

std::string cpu_list(std::uint32_t cpus) {
  return cpus <= 1 ? std::string("0\n") : fmt::format("0-{}\n", cpus - 1);
}

bool masks_memory(const GuestSettings& guest, const Limits& limits,
                  std::uint64_t host_memory_bytes) {
  return guest.mask_memory && limits.memory_bytes && *limits.memory_bytes != kUnlimited &&
         *limits.memory_bytes < host_memory_bytes;
}

std::vector<GuestFile> guest_files(const GuestSettings& guest, const Limits& limits,
                                   const HostView& host) {
  std::vector<GuestFile> out;
  if (masks_memory(guest, limits, host.memory_bytes))
    out.push_back({"meminfo", "proc/meminfo", meminfo_text(*limits.memory_bytes)});
  if (guest.cpus == 0 || guest.cpus >= host.cpus) return out;
  out.push_back({"cpuinfo", "proc/cpuinfo", cpuinfo_text(host.cpuinfo, guest.cpus)});
  // "possible" stays: who has a place for each CPU and asks which one it runs on needs them all.
  out.push_back({"cpu_online", "sys/devices/system/cpu/online", cpu_list(guest.cpus)});
  return out;
}

}  // namespace panal::desktop

#include "engine/kernel/cgroup_stat.h"

#include <utility>

#include "engine/kernel/flat_keyed.h"
#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

using M = MemoryStatistics;

constexpr FlatField<M> kStatV1[] = {
    {"total_rss", &M::anon_bytes},
    {"total_cache", &M::file_bytes},
    {"total_shmem", &M::shmem_bytes},
    {"total_swap", &M::swap_bytes},
    {"total_swapcached", &M::swap_cached_bytes},
    {"total_inactive_anon", &M::anon_lists_bytes},
    {"total_active_anon", &M::anon_lists_bytes},
    {"total_unevictable", &M::unevictable_bytes},
    {"total_workingset_refault_anon", &M::refault_anon_pages},
    {"total_workingset_refault_file", &M::refault_file_pages},
    {"total_pgmajfault", &M::major_faults},
};
constexpr FlatField<M> kStatV2[] = {
    {"anon", &M::anon_bytes},
    {"file", &M::file_bytes},
    {"shmem", &M::shmem_bytes},
    {"swapcached", &M::swap_cached_bytes},
    {"inactive_anon", &M::anon_lists_bytes},
    {"active_anon", &M::anon_lists_bytes},
    {"kernel", &M::kernel_bytes},
    {"unevictable", &M::unevictable_bytes},
    {"workingset_refault_anon", &M::refault_anon_pages},
    {"workingset_refault_file", &M::refault_file_pages},
    {"pgmajfault", &M::major_faults},
};
// What `kernel` is the sum of; before 5.18 only these parts are there.
constexpr FlatField<M> kKernelPartsV2[] = {
    {"kernel_stack", &M::kernel_bytes},   {"pagetables", &M::kernel_bytes},
    {"sec_pagetables", &M::kernel_bytes}, {"percpu", &M::kernel_bytes},
    {"slab", &M::kernel_bytes},
};
constexpr FlatField<M> kEventsV1[] = {{"oom_kill", &M::oom_kills}};
constexpr FlatField<M> kEventsV2[] = {
    {"oom", &M::ooms},
    {"oom_kill", &M::oom_kills},
    {"max", &M::limit_hits},
    {"high", &M::high_hits},
};
constexpr FlatField<GroupCpu> kCpuStat[] = {
    {"nr_throttled", &GroupCpu::throttled_periods},
    {"throttled_time", &GroupCpu::throttled_ns},  // v1
};

std::uint64_t left_of(std::uint64_t limit, std::uint64_t used) {
  return limit > used ? limit - used : 0;
}

}  // namespace

Result<void> parse_memory_stat(std::string_view text, int version, MemoryStatistics& into) {
  if (version == 1) return add_flat_keyed<M>(text, kStatV1, into);
  const std::uint64_t before = into.kernel_bytes;
  PANAL_TRY(add_flat_keyed<M>(text, kStatV2, into));
  if (into.kernel_bytes == before) return add_flat_keyed<M>(text, kKernelPartsV2, into);
  return {};
}

Result<void> parse_memory_events(std::string_view text, int version, MemoryStatistics& into) {
  if (version == 1) return add_flat_keyed<M>(text, kEventsV1, into);
  return add_flat_keyed<M>(text, kEventsV2, into);
}

Result<void> parse_cpu_stat(std::string_view text, GroupCpu& into) {
  PANAL_TRY(add_flat_keyed<GroupCpu>(text, kCpuStat, into));
  // v2 counts in microseconds.
  PANAL_ASSIGN(const auto usage_us, find_flat_keyed(text, "usage_usec"));
  PANAL_ASSIGN(const auto throttled_us, find_flat_keyed(text, "throttled_usec"));
  into.usage_ns += usage_us.value_or(0) * 1000;
  into.throttled_ns += throttled_us.value_or(0) * 1000;
  return {};
}

Result<std::uint64_t> read_number(const Dir& dir, const std::string& file) {
  PANAL_ASSIGN(const std::string text, dir.read(file));
  const auto words = words_of(text);
  if (words.size() == 1 && words[0] == "max") return UINT64_MAX;
  const auto value = words.size() == 1 ? parse_number(words[0]) : std::nullopt;
  if (!value) return fail(EPROTO, "read " + dir.path() + "/" + file + ": not one number");
  return *value;
}

Result<MemoryStatistics> read_memory(const Dir& group, int version) {
  const bool v2 = version == 2;
  const auto named = [&](const char* file, Result<void> done) -> Result<void> {
    if (!done) return prefixed(group.path() + "/" + file, std::move(done.error()));
    return done;
  };
  MemoryStatistics memory;
  PANAL_ASSIGN(memory.usage_bytes, read_memory_usage(group, version));
  PANAL_ASSIGN(const std::string stat, group.read("memory.stat"));
  PANAL_TRY(named("memory.stat", parse_memory_stat(stat, version, memory)));
  const char* events_file = v2 ? "memory.events" : "memory.oom_control";
  PANAL_ASSIGN(const std::string events, group.read(events_file));
  PANAL_TRY(named(events_file, parse_memory_events(events, version, memory)));
  PANAL_ASSIGN(memory.limit_bytes, read_number(group, v2 ? "memory.max" : "memory.limit_in_bytes"));
  if (v2) {
    // Absent on a kernel without swap.
    if (auto swap = read_number(group, "memory.swap.current")) memory.swap_bytes = *swap;
    if (auto most = read_number(group, "memory.swap.max"); most && *most != UINT64_MAX)
      memory.swap_left_bytes = left_of(*most, memory.swap_bytes);
    if (auto high = read_number(group, "memory.high")) memory.high_bytes = *high;
    return memory;
  }
  // v1 writes "none" as the greatest number of whole pages.
  constexpr std::uint64_t kNone = std::uint64_t{1} << 62;
  if (memory.limit_bytes >= kNone) memory.limit_bytes = UINT64_MAX;
  // Absent where swap is not accounted for.
  if (auto both = read_number(group, "memory.memsw.limit_in_bytes"); both && *both < kNone)
    if (auto used = read_number(group, "memory.memsw.usage_in_bytes"))
      memory.swap_left_bytes =
          left_of(left_of(*both, *used), left_of(memory.limit_bytes, memory.usage_bytes));
  if (auto hits = read_number(group, "memory.failcnt")) memory.limit_hits = *hits;
  if (auto kernel = read_number(group, "memory.kmem.usage_in_bytes")) memory.kernel_bytes = *kernel;
  return memory;
}

Result<std::uint64_t> read_memory_usage(const Dir& group, int version) {
  return read_number(group, version == 2 ? "memory.current" : "memory.usage_in_bytes");
}

Result<GroupCpu> read_group_cpu(const Dir& cpuacct, const Dir* cpu, int version) {
  GroupCpu out;
  if (version == 1) {
    PANAL_ASSIGN(out.usage_ns, read_number(cpuacct, "cpuacct.usage"));
  }
  const Dir* with_stat = version == 1 ? cpu : &cpuacct;
  if (with_stat == nullptr) return out;
  PANAL_ASSIGN(const std::string stat, with_stat->read("cpu.stat"));
  auto done = parse_cpu_stat(stat, out);
  if (!done) return prefixed(with_stat->path() + "/cpu.stat", std::move(done.error()));
  return out;
}

}  // namespace panal::kernel

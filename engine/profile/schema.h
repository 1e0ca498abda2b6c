#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "engine/profile/profile.h"

namespace panal::profile {

/// A word of the file and what it stands for.
template <typename Value, std::size_t kCount>
using Words = std::array<std::pair<std::string_view, Value>, kCount>;

inline constexpr Words<Enlist, 3> kEnlistWords{
    {{"off", Enlist::kOff}, {"consent", Enlist::kConsent}, {"all", Enlist::kAll}}};
inline constexpr Words<KsmRun, 3> kKsmRunWords{
    {{"stop", KsmRun::kStopped}, {"scan", KsmRun::kRunning}, {"unmerge", KsmRun::kUnmerging}}};
inline constexpr Words<ScratchPlace, 3> kLogWords{{{"disk", ScratchPlace::kDisk},
                                                   {"memory", ScratchPlace::kMemory},
                                                   {"off", ScratchPlace::kOff}}};
inline constexpr Words<ScratchPlace, 2> kVarTmpWords{
    {{"disk", ScratchPlace::kDisk}, {"memory", ScratchPlace::kMemory}}};
inline constexpr Words<bool, 2> kCacheWords{{{"home", false}, {"memory", true}}};
inline constexpr std::array<std::string_view, 3> kThpEnabled{"always", "madvise", "never"};
inline constexpr std::array<std::string_view, 5> kThpDefrag{"always", "defer", "defer+madvise",
                                                            "madvise", "never"};
inline constexpr std::array<std::string_view, 6> kThpShmem{"always", "within_size", "advise",
                                                           "never",  "deny",        "force"};

inline constexpr std::array<std::string_view, 7> kZswapCompressors{
    "lzo", "lzo-rle", "lz4", "lz4hc", "zstd", "deflate", "842"};
inline constexpr std::array<std::string_view, 3> kZswapPools{"zbud", "z3fold", "zsmalloc"};

template <typename Visitor, typename AnyClass>
void visit_class(Visitor& v, std::string_view section, AnyClass& c, bool has_before,
                 bool is_last = false) {
  constexpr std::uint32_t kMonth = 31 * 24 * 3600;
  constexpr std::uint32_t kGigabyte = 1'000'000'000;
  v.section(section);
  if (has_before) v.number("after_seconds", c.after_seconds, 0U, kMonth);
  v.number("memory_soft_percent", c.memory_soft_percent, 0U, 100U);
  v.number("memory_hard_percent", c.memory_hard_percent, 1U, 100U);
  v.flag("swap", c.swap);
  v.flag("spared", c.spared);
  v.number("cpu_weight", c.cpu_weight, 1U, 10'000U);
  v.number("cpu_quota_percent", c.cpu_quota_percent, 0U, 100'000U);
  v.number("io_weight", c.io_weight, 1U, 10'000U);
  v.number("io_read_mib_per_second", c.io_read_mib_per_second, 0U, 1'000'000U);
  v.number("io_write_mib_per_second", c.io_write_mib_per_second, 0U, 1'000'000U);
  v.number("pids_percent", c.pids_percent, 1U, 100U);
  // Taking memory from somebody who is at work is what this program promises not to do.
  if (has_before) v.number("shave_after_seconds", c.shave_after_seconds, 0U, kMonth);
  if (!has_before) v.number("active_bytes_per_second", c.active_bytes_per_second, 0U, kGigabyte);
  if (!is_last) return;
  // Counters are compared over half a minute or more.
  v.number("quiet_after_seconds", c.quiet_after_seconds, 0U, kMonth);
  v.number("quiet_cpu_permille", c.quiet_cpu_permille, 1U, 1'000U);
  v.number("quiet_bytes_per_second", c.quiet_bytes_per_second, 1U, kGigabyte);
}

/// Every key of a profile, once: parsing, printing and the search for unknown keys are visitors.
///
/// The visitor has section(name), text, number(key, value, least, most), flag, word(key, value,
/// words), one_of(key, text, allowed) for both plain and optional values, and sysctls(rules).
template <typename Visitor, typename AnyProfile>
void visit_keys(Visitor& v, AnyProfile& p) {
  v.section("");
  v.text("name", p.name);
  v.text("description", p.description);
  v.number("desktops", p.desktops, 1U, 100'000U);
  v.sysctls(p.sysctls);
  v.section("huge_pages");
  v.one_of("enabled", p.huge_pages.enabled, kThpEnabled);
  v.one_of("defrag", p.huge_pages.defrag, kThpDefrag);
  v.one_of("shmem", p.huge_pages.shmem, kThpShmem);
  v.section("ksm");
  v.word("run", p.ksm.run, kKsmRunWords);
  v.flag("use_zero_pages", p.ksm.use_zero_pages);
  v.flag("smart_scan", p.ksm.smart_scan);
  v.number("pages_to_scan", p.ksm.pages_to_scan, 1U, 10'000'000U);
  v.number("sleep_ms", p.ksm.sleep_ms, 0U, 3'600'000U);
  v.word("enlist", p.ksm.enlist, kEnlistWords);
  v.flag("governor", p.ksm.governor);
  v.number("max_cpu_percent", p.ksm.max_cpu_percent, 1U, 100U);
  v.flag("optional", p.ksm.optional);
  v.section("desktop");
  v.flag("address_randomisation", p.address_randomisation);
  v.section("zram");
  v.flag("enabled", p.zram.enabled);
  v.number("size_percent", p.zram.size_percent, 1U, 400U);
  v.number("mem_limit_percent", p.zram.mem_limit_percent, 1U, 80U);
  v.text("algorithm", p.zram.algorithm);
  v.number("priority", p.zram.priority, 0U, 32'767U);
  v.flag("optional", p.zram.optional);
  v.text("writeback", p.zram.writeback);
  v.number("writeback_after_seconds", p.zram.writeback_after_seconds, 60U, 31U * 24 * 3600);
  v.number("writeback_mib_per_day", p.zram.writeback_mib_per_day, 0U, 100'000'000U);
  v.section("zswap");
  v.flag("enabled", p.zswap.enabled);
  v.one_of("compressor", p.zswap.compressor, kZswapCompressors);
  v.one_of("zpool", p.zswap.zpool, kZswapPools);
  v.number("max_pool_percent", p.zswap.max_pool_percent, 1U, 80U);
  v.number("accept_threshold_percent", p.zswap.accept_threshold_percent, 1U, 100U);
  v.flag("shrinker_enabled", p.zswap.shrinker_enabled);
  v.number("swap_percent", p.zswap.swap_percent, 0U, 400U);
  v.flag("optional", p.zswap.optional);
  visit_class(v, "class.active", p.classes.active, false);
  visit_class(v, "class.idle", p.classes.idle, true);
  visit_class(v, "class.disconnected", p.classes.disconnected, true);
  visit_class(v, "class.frozen", p.classes.frozen, true, true);
  v.section("shave");
  v.number("eagerness_percent", p.shave.eagerness_percent, 0U, 100U);
  v.flag("merge_first", p.shave.merge_first);
  v.section("gate");
  v.number("memory_some_percent", p.gate.memory_some_percent, 1U, 100U);
  v.number("memory_full_percent", p.gate.memory_full_percent, 1U, 100U);
  v.number("io_some_percent", p.gate.io_some_percent, 1U, 100U);
  v.number("io_full_percent", p.gate.io_full_percent, 1U, 100U);
  v.number("cpu_some_percent", p.gate.cpu_some_percent, 1U, 100U);
  v.number("runnable_per_core", p.gate.runnable_per_core, 1U, 1000U);
  v.number("parallel_starts", p.gate.parallel_starts, 1U, 64U);
  v.section("guest");
  v.flag("mask_memory", p.guest.mask_memory);
  v.number("cpus", p.guest.cpus, 0U, 1024U);
  v.flag("lean_heap", p.guest.lean_heap);
  v.flag("shared_pictures", p.guest.shared_pictures);
  v.word("logs", p.guest.logs, kLogWords);
  v.word("var_tmp", p.guest.var_tmp, kVarTmpWords);
  v.word("cache", p.guest.cache_in_memory, kCacheWords);
  v.number("cache_percent", p.guest.cache_percent, 1U, 50U);
  v.number("scratch_percent", p.guest.scratch_percent, 1U, 50U);
  v.section("reserve");
  v.number("memory_percent", p.reserve.memory_percent, 1U, 90U);
  v.number("memory_least_mib", p.reserve.memory_least_mib, 256U, 1'048'576U);
}

}  // namespace panal::profile

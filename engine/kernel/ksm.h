#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/ksm.h"

namespace panal::kernel {

/// The counters, without ksmd's CPU time (class Ksmd). What an older kernel does not count is 0;
/// the profit, which began with 6.4, is reckoned from the page counts there.
/// Errors: ENOENT on a kernel without KSM; EPROTO.
[[nodiscard]] Result<KsmCounters> read_ksm_counters(const Tree& tree);

/// A knob that an older kernel lacks reads as it behaves there. Errors: as above.
[[nodiscard]] Result<KsmSettings> read_ksm_settings(const Tree& tree);

/// Writes the knobs that differ from what is set, in an order the kernel takes, `run` last when
/// it is to run and first when not. The settings are the machine's: keep what read_ksm_settings()
/// gave before and write it back. On an error the knobs written so far stay written.
/// With an advisor the kernel sets `pages_to_scan` itself: it is not written then.
/// Errors: EBUSY for `max_page_sharing` while anything is merged; ENOTSUP for a knob that this
/// kernel lacks and that is not to be as it behaves without; EINVAL.
[[nodiscard]] Result<void> write_ksm_settings(const Tree& tree, const KsmSettings& wanted);

/// Parses a process's ksm_stat; `merging_pages` is the text of ksm_merging_pages, for kernels whose
/// ksm_stat has no such line, else empty. Errors: EPROTO.
[[nodiscard]] Result<KsmProcess> parse_ksm_stat(std::string_view text,
                                                std::string_view merging_pages);
/// Errors: ENOENT on a kernel without (before 6.1) or when the process is gone; EPROTO.
[[nodiscard]] Result<KsmProcess> read_ksm_process(const Tree& tree, pid_t pid);

/// Adds up processes.
void add(KsmProcess& sum, const KsmProcess& one);

/// The kernel thread that merges.
class Ksmd {
 public:
  /// Looks through all processes: do it once. Errors: ENOENT where it cannot be seen, as in a pid
  /// namespace of one's own.
  [[nodiscard]] static Result<Ksmd> find(const Tree& tree);
  /// Its directory in /proc, from wherever that can be had.
  explicit Ksmd(Dir process) : process_(std::move(process)) {}

  /// CPU time since boot. Errors: EPROTO; ENOENT without CONFIG_SCHED_INFO.
  [[nodiscard]] Result<std::uint64_t> cpu_ns() const;

 private:
  Dir process_;
};

/// Parses the text of a process's `stat`: whether it is a kernel thread of that name.
[[nodiscard]] bool is_kernel_thread(std::string_view stat, std::string_view name);
/// Parses schedstat: time on a CPU, in ns. Errors: EPROTO.
[[nodiscard]] Result<std::uint64_t> parse_schedstat(std::string_view text);

}  // namespace panal::kernel

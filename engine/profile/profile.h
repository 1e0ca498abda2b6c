#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ksm.h"

namespace panal::profile {

/// Whose memory may be merged with a neighbour's (docs/threat-model.md says what that reveals).
enum class Enlist {
  kOff,
  kConsent,  ///< of a tenant that agreed
  kAll,
};

/// One kernel setting below proc/sys (catalog.h).
struct SysctlRule {
  std::string name;
  bool at_least = true;  ///< a higher value of the machine's is left alone; false: exactly
  std::uint64_t value = 0;
  std::uint64_t per_desktop = 0;  ///< added for each desktop planned for; only with at_least
  bool optional = false;  ///< where the machine refuses it, the rest is applied all the same
  std::string why;        ///< empty: the catalogue's

  [[nodiscard]] bool operator==(const SysctlRule&) const = default;
};

/// Transparent huge pages; an absent word is left as it is.
struct HugePages {
  std::optional<std::string> enabled;  ///< always, madvise, never
  std::optional<std::string> defrag;   ///< always, defer, defer+madvise, madvise, never
  std::optional<std::string> shmem;    ///< always, within_size, advise, never, deny, force

  [[nodiscard]] bool operator==(const HugePages&) const = default;
};

struct Ksm {
  std::optional<KsmRun> run;
  std::optional<bool> use_zero_pages;
  std::optional<bool> smart_scan;              ///< Linux 6.7
  std::optional<std::uint32_t> pages_to_scan;  ///< where the governor begins
  std::optional<std::uint32_t> sleep_ms;       ///< where the governor begins
  Enlist enlist = Enlist::kOff;
  /// Whether panald sets the pace. false: the enlisted are merged at the pace of the settings
  /// above, or of whoever else sets it (the kernel's advisor, ksmtuned), and panald writes none of
  /// them.
  bool governor = true;
  std::uint32_t max_cpu_percent = 25;  ///< of one core, what the governor may let ksmd use
  bool optional = false;               ///< a kernel without KSM is good enough

  [[nodiscard]] bool operator==(const Ksm&) const = default;
};

/// Compressed memory as swap space.
struct Zram {
  bool enabled = false;
  std::uint32_t size_percent = 100;      ///< of RAM: what fits in before compression
  std::uint32_t mem_limit_percent = 30;  ///< of RAM: what it may take, in no cgroup's charge
  std::string algorithm = "lzo-rle";
  std::uint32_t priority = 100;  ///< among swap devices
  bool optional = false;
  /// A disk, or a file of root's, to which what lies long or does not compress is written, where
  /// the kernel can (CONFIG_ZRAM_WRITEBACK); what is on it is lost. Empty: none.
  std::string writeback;
  std::uint32_t writeback_after_seconds = 3600;  ///< not read for so long; by panald
  std::uint32_t writeback_mib_per_day = 0;       ///< at most, by panald; 0: no limit

  [[nodiscard]] bool operator==(const Zram&) const = default;
};

/// Compressed memory before a swap device on a disk; what is absent is left as it is.
///
/// With `swap_percent` the device is a file of Panal's, and zswap is an alternative to zram: where
/// the profile enables both, zram is what a machine gets that cannot have the other.
struct Zswap {
  std::optional<bool> enabled;
  std::optional<std::string> compressor;
  std::optional<std::string> zpool;
  std::optional<std::uint32_t> max_pool_percent;          ///< of RAM
  std::optional<std::uint32_t> accept_threshold_percent;  ///< of the pool
  std::optional<bool> shrinker_enabled;                   ///< Linux 6.8
  std::uint32_t swap_percent = 0;  ///< of RAM: the swap file; 0: none, swap is the operator's
  bool optional = true;            ///< what the kernel lacks is left out

  [[nodiscard]] bool operator==(const Zswap&) const = default;
};

/// What a desktop gets while its session is of one class.
struct ClassTuning {
  std::uint32_t after_seconds = 0;          ///< how long the class before it lasts; frozen 0: never
  std::uint32_t memory_soft_percent = 0;    ///< of the desktop's memory limit; 0: none
  std::uint32_t memory_hard_percent = 100;  ///< of the desktop's memory limit
  bool swap = true;                         ///< whether its memory may go to swap
  bool spared = false;                      ///< the kernel takes from all others first
  std::uint32_t cpu_weight = 100;           ///< cgroup v2's scale, 1..10000
  std::uint32_t cpu_quota_percent = 0;      ///< of one core; 0: none
  std::uint32_t io_weight = 100;            ///< cgroup v2's scale, 1..10000
  std::uint32_t io_read_mib_per_second = 0;   ///< from the disk desktops are on; 0: no limit
  std::uint32_t io_write_mib_per_second = 0;  ///< likewise; v1: only what passes the page cache by
  std::uint32_t pids_percent = 100;           ///< of the desktop's limit of processes
  std::uint32_t shave_after_seconds = 0;  ///< within the class; 0: its memory is never taken back
  /// Of frozen: who is disconnected is stopped sooner than after_seconds where nothing of it works
  /// for so long; 0: never. What counts as nothing: so much of one core, and so much read, written,
  /// sent and received.
  std::uint32_t quiet_after_seconds = 0;
  std::uint32_t quiet_cpu_permille = 10;
  std::uint32_t quiet_bytes_per_second = 1024;
  /// Of active: so much going to the client all the time keeps it active without input (somebody
  /// watches a film); 0: only input does.
  std::uint32_t active_bytes_per_second = 16'384;

  [[nodiscard]] bool operator==(const ClassTuning&) const = default;
};

/// Sessions as the optimiser sees them: somebody works, looks away, is gone, is gone for long.
struct Classes {
  ClassTuning active, idle, disconnected, frozen;

  [[nodiscard]] bool operator==(const Classes&) const = default;
};

/// How memory of desktops that nobody looks at is taken back (engine/policy/shaver).
struct Shave {
  std::uint32_t eagerness_percent = 0;  ///< 0: as memory gets short; 100: always
  bool merge_first = false;  ///< wait for two passes of KSM: paged out pages do not merge

  [[nodiscard]] bool operator==(const Shave&) const = default;
};

/// Above which of the host's pressures fewer desktops start at a time (engine/policy/start_gate):
/// percent of the time since its last look in which tasks waited (PSI); 100: that one never counts.
struct Gate {
  std::uint32_t memory_some_percent = 5;
  std::uint32_t memory_full_percent = 1;
  std::uint32_t io_some_percent = 100;
  std::uint32_t io_full_percent = 20;
  std::uint32_t cpu_some_percent = 100;
  std::uint32_t runnable_per_core = 8;  ///< tasks that want a CPU
  std::uint32_t parallel_starts = 4;    ///< before the host has shown that it bears more

  [[nodiscard]] bool operator==(const Gate&) const = default;
};

/// Where files of a desktop are that nobody misses when it stops.
enum class ScratchPlace {
  kDisk,    ///< in its root, as the image has it
  kMemory,  ///< in a tmpfs of its own, charged to its memory
  kOff,     ///< nowhere: empty and read-only
};

/// What desktops that start from now on are like inside.
struct Guest {
  /// Programs are told the desktop's memory limit and not the host's memory, so that they size
  /// themselves by it.
  bool mask_memory = false;
  std::uint32_t cpus = 0;  ///< what they are told of CPUs, at most; 0: the host's
  /// The session's programs share one heap among their threads and keep little of what they free:
  /// less memory, and some more CPU time in malloc().
  bool lean_heap = false;
  /// Programs hand pictures to the desktop's X server in shared memory (MIT-SHM), which is resident
  /// for as long as they run: pages that two processes have cannot be paged out one by one.
  /// Without, pictures go through their connection.
  bool shared_pictures = true;
  // The first two only of desktops whose root is volatile.
  ScratchPlace logs = ScratchPlace::kDisk;     ///< /var/log
  ScratchPlace var_tmp = ScratchPlace::kDisk;  ///< /var/tmp; never kOff
  bool cache_in_memory = false;                ///< what programs keep below ~/.cache
  std::uint32_t cache_percent = 10;    ///< of the desktop's memory limit, at most, if in memory
  std::uint32_t scratch_percent = 25;  ///< likewise; /tmp, /dev/shm, /var/tmp each

  [[nodiscard]] bool operator==(const Guest&) const = default;
};

/// Memory that desktops never get: the larger of both.
struct Reserve {
  std::uint32_t memory_percent = 10;
  std::uint32_t memory_least_mib = 1024;

  [[nodiscard]] bool operator==(const Reserve&) const = default;
};

/// How a machine and its desktops are tuned: TOML, see the *.toml beside this file and
/// docs/tuning.md.
struct Profile {
  std::string name;  ///< [a-z0-9-]
  std::string description;
  std::uint32_t desktops =
      400;  ///< what per_desktop counts, unless the operator says another number
  std::vector<SysctlRule> sysctls;  ///< in the catalogue's order
  HugePages huge_pages;
  Ksm ksm;
  bool address_randomisation = true;  ///< of desktops' programs; false: ADDR_NO_RANDOMIZE
  Zram zram;
  Zswap zswap;
  Classes classes;
  Shave shave;
  Gate gate;
  Guest guest;
  Reserve reserve;

  [[nodiscard]] bool operator==(const Profile&) const = default;
};

/// Finds the profile that another one is based on, by its name.
using FindProfile = std::function<Result<Profile>(const std::string& name)>;

/// A profile with `based_on` says only what differs from that one.
/// Errors: EPROTO "file:line: what is wrong" with the nearest known key or the range allowed.
[[nodiscard]] Result<Profile> parse_profile(const std::string& text, const std::string& file,
                                            const FindProfile& find_base = {});

/// TOML that parse_profile() reads back as the same profile.
[[nodiscard]] std::string print_profile(const Profile& profile);
/// The same as JSON: sections are objects, "sysctl" has one object a setting.
[[nodiscard]] std::string print_profile_json(const Profile& profile);
/// What desktops are like inside, a phrase each; none where the profile changes nothing there.
[[nodiscard]] std::vector<std::string> describe_guest(const Guest& guest);

}  // namespace panal::profile

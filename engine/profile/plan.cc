#include "engine/profile/plan.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "engine/kernel/swaps.h"
#include "engine/kernel/sysctl.h"
#include "engine/kernel/zram_writeback.h"
#include "engine/profile/catalog.h"
#include "engine/profile/swap_file_step.h"
#include "engine/profile/units.h"
#include "engine/profile/zram_step.h"

namespace panal::profile {
namespace {

constexpr const char* kKsm = "kernel/mm/ksm/";
constexpr const char* kZswap = "module/zswap/parameters/";
constexpr const char* kHugePages = "kernel/mm/transparent_hugepage/";

constexpr std::uint64_t kSwapUnit = 64 * kMib;
/// Of RAM: below that zram, which takes a third of what it holds, is the better place.
constexpr std::uint64_t kLeastSwapPercent = 25;
/// On the disk, for database, images and roots; panal doctor warns below it.
constexpr std::uint64_t kDiskKept = std::uint64_t{10} << 30U;
constexpr int kSwapFilePriority = 100;

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

class Planner {
 public:
  Planner(const Profile& profile, const HostFacts& host, const Machine& machine,
          const std::optional<Saved>& saved, Plan& plan)
      : profile_(profile), host_(host), machine_(machine), saved_(saved), plan_(plan) {}

  Result<void> sysctls() {
    for (const SysctlRule& rule : profile_.sysctls) {
      const Sysctl* known = find_sysctl(rule.name);
      if (known == nullptr) return fail(EINVAL, rule.name + ": no such setting");
      Setting setting;
      setting.name = rule.name;
      setting.where = Setting::Where::kProc;
      PANAL_ASSIGN(setting.file, kernel::sysctl_path(rule.name));
      setting.rule = rule.at_least ? Setting::Rule::kAtLeast : Setting::Rule::kExactly;
      setting.wanted =
          std::to_string(std::min(known->most, rule.value + rule.per_desktop * plan_.desktops));
      setting.why = rule.why.empty() ? known->why : rule.why;
      setting.optional = rule.optional;
      if (known->per_pid_namespace) setting.name_space = pid_namespace(machine_);
      // A limit that is not there limits nothing.
      PANAL_TRY(add(std::move(setting), rule.at_least));
    }
    return {};
  }

  Result<void> huge_pages() {
    const auto one = [&](const char* name, const char* file, const std::optional<std::string>& word,
                         const char* why) -> Result<void> {
      if (!word) return {};
      Setting setting;
      setting.name = name;
      setting.where = Setting::Where::kSys;
      setting.file = std::string(kHugePages) + file;
      setting.wanted = *word;
      setting.why = why;
      // Without huge pages, those who must ask for them get none.
      return add(std::move(setting), *word != "always" && *word != "force");
    };
    const HugePages& pages = profile_.huge_pages;
    if (pages.enabled) PANAL_TRY(follower("vm.min_free_kbytes", "kept free for huge pages"));
    PANAL_TRY(one("huge_pages.enabled", "enabled", pages.enabled,
                  "a program that uses a little of 2 MiB pays for all, and KSM must split it"));
    PANAL_TRY(one("huge_pages.defrag", "defrag", pages.defrag,
                  "whether a program waits while a huge page is made"));
    return one("huge_pages.shmem", "shmem_enabled", pages.shmem,
               "the same for shared memory and tmpfs");
  }

  Result<void> ksm() {
    const Ksm& ksm = profile_.ksm;
    const bool scan = ksm.run == KsmRun::kRunning;
    // Written in an order the kernel takes: an advisor owns pages_to_scan.
    if (scan)
      PANAL_TRY(ksm_setting("ksm.advisor_mode", "advisor_mode", "none", true,
                            "Panal's governor steers, not the kernel's (Linux 6.8)"));
    if (ksm.use_zero_pages)
      PANAL_TRY(ksm_setting("ksm.use_zero_pages", "use_zero_pages", *ksm.use_zero_pages ? "1" : "0",
                            !scan, "pages of zeros become the kernel's one"));
    if (ksm.smart_scan)
      PANAL_TRY(ksm_setting("ksm.smart_scan", "smart_scan", *ksm.smart_scan ? "1" : "0", true,
                            "pages that never matched are looked at less often (Linux 6.7)"));
    if (ksm.pages_to_scan)
      PANAL_TRY(ksm_setting("ksm.pages_to_scan", "pages_to_scan",
                            std::to_string(*ksm.pages_to_scan), !scan, "where the governor begins",
                            Setting::Rule::kInitial));
    if (ksm.sleep_ms)
      PANAL_TRY(ksm_setting("ksm.sleep_millisecs", "sleep_millisecs", std::to_string(*ksm.sleep_ms),
                            !scan, "where the governor begins", Setting::Rule::kInitial));
    if (!ksm.run) return {};
    const char* const value = scan ? "1" : ksm.run == KsmRun::kUnmerging ? "2" : "0";
    const char* const why = scan ? "equal pages of desktops that are enlisted become one"
                            : ksm.run == KsmRun::kUnmerging
                                ? "no page is shared with another desktop, also not from before"
                                : "nothing more is merged";
    PANAL_TRY(ksm_setting("ksm.run", "run", value, !scan, why));
    if (ksm.run == KsmRun::kUnmerging) check_room_to_unmerge();
    return {};
  }

  /// Whether swap is a file with zswap in front, or zram.
  Result<void> choose_swap() {
    const Zswap& zswap = profile_.zswap;
    if (!zswap.enabled.value_or(false) || zswap.swap_percent == 0) return {};
    PANAL_ASSIGN(const std::string reason, against_swap_file());
    if (reason.empty()) {
      swap_file_ = true;
    } else if (profile_.zram.enabled) {
      zram_instead_ = true;
      plan_.notes.push_back("zswap: " + reason + "; zram instead");
    } else {
      no_swap_file_ = reason;
    }
    return {};
  }

  Result<void> zram() {
    if (!profile_.zram.enabled || swap_file_) return {};
    Setting setting;
    setting.name = "zram";
    setting.where = Setting::Where::kStep;
    setting.file = "zram";
    Zram zram = profile_.zram;
    std::string wrong_place;
    if (!zram.writeback.empty() && !kernel::zram_writes_back(machine_.tree)) {
      plan_.notes.push_back(
          "zram.writeback: no zram device here can write back (CONFIG_ZRAM_WRITEBACK); left out");
      zram.writeback.clear();
    } else if (!zram.writeback.empty()) {
      // As the kernel will name it; where it is none, what the profile says.
      const auto place = kernel::find_writeback_place(zram.writeback);
      if (place)
        zram.writeback = *place;
      else
        wrong_place = "writeback: " + place.error().message();
    }
    setting.wanted = zram_state(zram, host_.memory_total_bytes);
    setting.why = "memory of desktops nobody looks at is kept compressed";
    setting.optional = profile_.zram.optional;
    PANAL_TRY(add(std::move(setting), false));
    Setting& planned = plan_.settings.back();
    if (planned.obstacle.empty() && planned.changes()) planned.obstacle = wrong_place;
    return {};
  }

  Result<void> zswap() {
    const Zswap& zswap = profile_.zswap;
    if (zram_instead_) return {};
    const auto one = [&](const std::string& key, std::optional<std::string> value,
                         const char* why) -> Result<void> {
      if (!value) return {};
      Setting setting;
      setting.name = "zswap." + key;
      setting.where = Setting::Where::kSys;
      setting.file = kZswap + key;
      setting.wanted = std::move(*value);
      setting.why = why;
      // Without it nothing would be compressed where zram was given up.
      const bool needed = key == "enabled" && swap_file_ && profile_.zram.enabled;
      setting.optional = zswap.optional && !needed;
      return add(std::move(setting), zswap.optional);
    };
    const auto flag = [](const std::optional<bool>& on) -> std::optional<std::string> {
      if (!on) return std::nullopt;
      return std::string(*on ? "Y" : "N");
    };
    const auto percent = [](const std::optional<std::uint32_t>& share) {
      return share ? std::optional(std::to_string(*share)) : std::nullopt;
    };
    // How before whether: it is never on with another's values.
    PANAL_TRY(one("compressor", zswap.compressor, "what compresses pages on their way to swap"));
    PANAL_TRY(one("zpool", zswap.zpool, "how compressed pages are packed (gone in Linux 6.18)"));
    PANAL_TRY(one("max_pool_percent", percent(zswap.max_pool_percent),
                  "of memory, that compressed pages may take"));
    PANAL_TRY(one("accept_threshold_percent", percent(zswap.accept_threshold_percent),
                  "of that, below which a full pool takes pages again"));
    PANAL_TRY(one("shrinker_enabled", flag(zswap.shrinker_enabled),
                  "what lies long goes on to the swap device (Linux 6.8)"));
    PANAL_TRY(swap_file());
    return one("enabled", flag(zswap.enabled), "pages are compressed before they go to a disk");
  }

  /// Settings of the profile before that this one does not name.
  Result<void> leave_the_rest() {
    if (!saved_) return {};
    for (Setting old : saved_->settings) {
      if (named(old.name)) continue;
      PANAL_ASSIGN(old.before, read_setting(machine_, old));
      if (old.rule != Setting::Rule::kFollows) old.rule = Setting::Rule::kExactly;
      old.wanted = old.original;
      old.after = old.original;
      old.why = "profile " + plan_.profile + " does not ask for it: back to what it was";
      if (old.changes()) old.obstacle = obstacle_of(machine_, old);
      plan_.leaving.push_back(std::move(old));
    }
    return {};
  }

 private:
  /// Of memory, in whole units.
  std::uint64_t part_of_memory(std::uint64_t percent) const {
    return host_.memory_total_bytes / 100 * percent / kSwapUnit * kSwapUnit;
  }

  /// As large as the profile says, or as half of what the disk has free, or as leaves it what
  /// everybody else on it needs; one that is there already (`now`) keeps its size.
  std::uint64_t swap_file_bytes(const std::string& now) const {
    const std::uint64_t wanted = part_of_memory(profile_.zswap.swap_percent);
    // One that nobody swaps to any more takes as much of the disk until it is made anew.
    const Setting* old = was_saved(kSwapFileStep);
    if (old != nullptr && now != "off")
      if (const auto there = parse_swap_file_state(old->after))
        return std::min(wanted, there->bytes);
    const std::uint64_t free = host_.swap_disk_free_bytes;
    const std::uint64_t most = std::min(free / 2, free - std::min(free, kDiskKept));
    return std::min(wanted, most / kSwapUnit * kSwapUnit);
  }

  /// Why this machine cannot have a swap file with zswap in front; empty: it can, of
  /// swap_file_bytes_. Errors: those of reading.
  Result<std::string> against_swap_file() {
    if (!machine_.tree.sys.exists(std::string(kZswap) + "enabled"))
      return std::string("this kernel has none");
    if (machine_.steps == nullptr) return std::string("this program cannot make a swap file");
    auto now = machine_.steps->state(kSwapFileStep);
    if (!now && now.error().is_gone()) return now.error().context;
    if (!now) return tl::make_unexpected(std::move(now.error()));
    swap_file_bytes_ = swap_file_bytes(*now);
    if (was_saved(kSwapFileStep) == nullptr && host_.swap_disk_rotates)
      return "the disk of " + machine_.state_dir + " turns, and returning users would wait for it";
    const std::uint64_t least =
        part_of_memory(std::min<std::uint64_t>(profile_.zswap.swap_percent, kLeastSwapPercent));
    if (swap_file_bytes_ < std::max(least, kSwapUnit))
      return fmt::format(
          "half of what is free on the disk of {}, or all but {} GiB, is {} MiB, too little for "
          "swap",
          machine_.state_dir, kDiskKept >> 30U, swap_file_bytes_ / kMib);
    if (was_saved("zram") == nullptr) {
      PANAL_ASSIGN(const auto swaps, kernel::read_swaps(machine_.tree));
      for (const SwapDevice& swap : swaps)
        if (!swap.is_file && swap.path.substr(swap.path.rfind('/') + 1).starts_with("zram"))
          return "the machine swaps to " + swap.path + " already, which Panal did not set up";
    }
    return std::string();
  }

  Result<void> swap_file() {
    if (!swap_file_ && no_swap_file_.empty()) return {};
    Setting setting;
    setting.name = kSwapFileStep;
    setting.where = Setting::Where::kStep;
    setting.file = kSwapFileStep;
    // Left out where zram was given up for it, it would leave a machine without swap.
    setting.optional = profile_.zswap.optional && !profile_.zram.enabled;
    setting.wanted = swap_file_ ? print_swap_file_state({swap_file_bytes_, kSwapFilePriority})
                                : std::string("off");
    setting.why = "where memory of desktops nobody looks at goes, compressed memory first";
    PANAL_TRY(add(std::move(setting), false));
    Setting& planned = plan_.settings.back();
    // One that is there and on no record is ours all the same, and nobody's to bring back.
    if (!planned.original.empty()) planned.original = "off";
    if (!swap_file_ && planned.obstacle.empty()) planned.obstacle = no_swap_file_;
    return {};
  }

  Result<void> ksm_setting(const char* name, const char* file, std::string wanted,
                           bool absent_is_fine, const char* why,
                           Setting::Rule rule = Setting::Rule::kExactly) {
    Setting setting;
    setting.name = name;
    setting.where = Setting::Where::kSys;
    setting.file = std::string(kKsm) + file;
    setting.rule = rule;
    setting.wanted = std::move(wanted);
    setting.why = why;
    setting.optional = profile_.ksm.optional;
    return add(std::move(setting), absent_is_fine);
  }

  /// What the kernel moves by itself, and not always back, when another setting is written.
  Result<void> follower(const std::string& name, const char* why) {
    if (named(name)) return {};
    Setting setting;
    setting.name = name;
    PANAL_ASSIGN(setting.file, kernel::sysctl_path(name));
    const auto now = read_setting(machine_, setting);
    if (!now && now.error().is_gone()) return {};
    if (!now) return tl::make_unexpected(now.error());
    setting.rule = Setting::Rule::kFollows;
    setting.before = *now;
    setting.after = *now;
    setting.wanted = *now;
    const Setting* old = was_saved(name);
    setting.original = old != nullptr ? old->original : *now;
    setting.why = why;
    plan_.settings.push_back(std::move(setting));
    return {};
  }

  Result<void> add(Setting setting, bool absent_is_fine) {
    auto now = read_setting(machine_, setting);
    if (!now) {
      if (!now.error().is_gone()) return tl::make_unexpected(std::move(now.error()));
      if (absent_is_fine) {
        plan_.notes.push_back(setting.name + ": this host has no such setting; nothing to do");
        return {};
      }
      setting.obstacle = setting.where == Setting::Where::kStep ? now.error().context
                                                                : "this host has no such setting";
      plan_.settings.push_back(std::move(setting));
      return {};
    }
    setting.before = *now;
    setting.original = *now;
    if (const auto former = host_.before_governor.find(setting.name);
        former != host_.before_governor.end())
      setting.original = former->second;
    const Setting* old = was_saved(setting.name);
    if (old != nullptr) setting.original = old->original;
    setting.after = target(setting, old);
    if (setting.changes()) setting.obstacle = obstacle_of(machine_, setting);
    plan_.settings.push_back(std::move(setting));
    return {};
  }

  static std::string target(const Setting& setting, const Setting* old) {
    if (setting.rule != Setting::Rule::kAtLeast) return setting.wanted;
    const std::uint64_t wanted = number(setting.wanted).value_or(0);
    // A value that we wrote goes down again with a profile that asks for less; anybody else's,
    // and what was there at first, never.
    const bool ours = old != nullptr && old->after == setting.before;
    const auto floor = number(ours ? setting.original : setting.before);
    if (!floor) return setting.wanted;
    return std::to_string(std::max(wanted, *floor));
  }

  const Setting* was_saved(const std::string& name) const {
    if (!saved_) return nullptr;
    for (const Setting& setting : saved_->settings)
      if (setting.name == name) return &setting;
    return nullptr;
  }

  bool named(const std::string& name) const {
    return std::any_of(plan_.settings.begin(), plan_.settings.end(),
                       [&](const Setting& setting) { return setting.name == name; });
  }

  /// Every merged page becomes a page of its own at once; out of memory, that kills somebody.
  void check_room_to_unmerge() {
    Setting& run = plan_.settings.back();
    if (run.name != "ksm.run" || !run.changes()) return;
    const auto pages = [this](const char* counter) {
      const auto text = machine_.tree.sys.read(std::string(kKsm) + counter);
      return (text ? number(text->substr(0, text->find('\n'))) : std::nullopt).value_or(0);
    };
    // Pages of zeros come back as well (Linux 6.6, which counts them): a few MiB a desktop.
    const std::uint64_t needed = (pages("pages_sharing") + pages("ksm_zero_pages")) *
                                 static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const std::uint64_t kept = reserve_bytes(profile_.reserve, host_.memory_total_bytes);
    if (needed != 0 && host_.memory_available_bytes < needed + kept)
      run.obstacle = fmt::format(
          "unmerging takes {} MiB and {} are available, {} of them kept for the host: stop some "
          "desktops first",
          needed / kMib, host_.memory_available_bytes / kMib, kept / kMib);
  }

  const Profile& profile_;
  const HostFacts& host_;
  const Machine& machine_;
  const std::optional<Saved>& saved_;
  Plan& plan_;
  bool swap_file_ = false;  ///< zswap, with a file of Panal's
  std::uint64_t swap_file_bytes_ = 0;
  bool zram_instead_ = false;  ///< of that
  std::string no_swap_file_;   ///< why there is neither
};

}  // namespace

std::size_t Plan::changes() const {
  const auto counts = [](const std::vector<Setting>& some) {
    return static_cast<std::size_t>(std::count_if(
        some.begin(), some.end(), [](const Setting& setting) { return setting.changes(); }));
  };
  return counts(settings) + counts(leaving);
}

const Setting* Plan::blocked() const {
  for (const auto* some : {&settings, &leaving})
    for (const Setting& setting : *some)
      if (!setting.obstacle.empty() && !setting.optional) return &setting;
  return nullptr;
}

std::uint64_t reserve_bytes(const Reserve& reserve, std::uint64_t memory_total_bytes) {
  return std::max(memory_total_bytes / 100 * reserve.memory_percent,
                  std::uint64_t{reserve.memory_least_mib} * kMib);
}

std::string zram_state(const Zram& zram, std::uint64_t memory_total_bytes) {
  if (!zram.enabled) return "off";
  // Whole MiB: the kernel rounds up to pages, and what is read back must be what was written.
  const auto part = [&](std::uint32_t percent) {
    return memory_total_bytes / 100 * percent / kMib * kMib;
  };
  return print_zram_state({.disk_bytes = part(zram.size_percent),
                           .memory_limit_bytes = part(zram.mem_limit_percent),
                           .algorithm = zram.algorithm,
                           .priority = static_cast<int>(zram.priority),
                           .writeback = zram.writeback});
}

Result<Plan> make_plan(const Profile& profile, std::uint32_t desktops, const HostFacts& host,
                       const Machine& machine, const std::optional<Saved>& saved) {
  if (saved)
    for (const Setting& setting : saved->settings)
      if (!setting.name_space.empty() && setting.name_space != pid_namespace(machine))
        return fail(EBUSY, "profile " + saved->profile +
                               " was applied in another pid namespace: "
                               "revert it there first");
  Plan plan;
  plan.profile = profile.name;
  plan.desktops = desktops;
  plan.guest = describe_guest(profile.guest);
  Planner planner(profile, host, machine, saved, plan);
  PANAL_TRY(planner.sysctls());
  PANAL_TRY(planner.huge_pages());
  PANAL_TRY(planner.ksm());
  PANAL_TRY(planner.choose_swap());
  PANAL_TRY(planner.zram());
  PANAL_TRY(planner.zswap());
  PANAL_TRY(planner.leave_the_rest());
  return plan;
}

}  // namespace panal::profile

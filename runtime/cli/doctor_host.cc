// The checks that only look at files and numbers.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "engine/base/subid.h"
#include "engine/kernel/apparmor.h"
#include "engine/kernel/cgroup_layout.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/parent_limit.h"
#include "engine/kernel/psi.h"
#include "engine/profile/plan.h"
#include "runtime/cli/doctor.h"
#include "runtime/desktop/id_slots.h"
#include "runtime/desktop/lxc/config.h"

namespace panal::cli {
namespace {

constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;
constexpr std::uint64_t kGib = std::uint64_t{1} << 30U;

std::string gib(std::uint64_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / static_cast<double>(kGib));
}

}  // namespace

std::vector<Check> check_limits(const profile::Profile& profile, const Tree& tree) {
  std::vector<Check> checks;
  const profile::Machine machine{tree, {}, nullptr, false, {}};
  const auto plan = profile::make_plan(profile, profile.desktops, {}, machine, std::nullopt);
  if (!plan) {
    checks.push_back({"kernel limits", Check::kWarning, plan.error().message(),
                      "panal tune plan " + profile.name + " shows what it asks for"});
    return checks;
  }
  std::size_t limits = 0;
  for (const profile::Setting& setting : plan->settings) {
    if (setting.rule != profile::Setting::Rule::kAtLeast) continue;
    ++limits;
    if (!setting.changes()) continue;
    checks.push_back({setting.name, Check::kWarning,
                      fmt::format("{}, {}", setting.before, setting.why),
                      fmt::format("panal tune apply {} (sets it to {}; panal tune plan shows all)",
                                  profile.name, setting.after)});
  }
  if (checks.empty())
    checks.push_back({"kernel limits",
                      Check::kOk,
                      fmt::format("{} are high enough for {} desktops (profile {})", limits,
                                  profile.desktops, profile.name),
                      {}});
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    constexpr rlim_t kWanted = 65'536;
    const bool enough = files.rlim_max >= kWanted;
    checks.push_back(
        {"open files", enough ? Check::kOk : Check::kWarning,
         fmt::format("{} at most a process{}", files.rlim_max,
                     enough ? ""
                            : fmt::format(": a broker worker holds about {} links",
                                          (files.rlim_max - 200) / 2)),
         enough ? ""
                : "raise the hard limit (ulimit -Hn, LimitNOFILE=) or run more broker workers"});
  }
  return checks;
}

std::vector<Check> check_cgroups(const Tree& tree) {
  std::vector<Check> checks;
  const auto layout = kernel::read_cgroup_layout(tree);
  if (!layout) {
    checks.push_back({"cgroups", Check::kFailed, layout.error().message(),
                      "mount them: mount -t cgroup2 cgroup2 on the cgroup directory"});
    return checks;
  }
  const auto mode = layout->mode();
  const char* const mode_name = mode == kernel::CgroupMode::kV1   ? "v1"
                                : mode == kernel::CgroupMode::kV2 ? "v2"
                                                                  : "hybrid";
  std::string missing;
  for (const char* controller : {"memory", "pids", "cpu"})
    if (layout->with(controller) == nullptr) missing += std::string(" ") + controller;
  checks.push_back({"cgroups", missing.empty() ? Check::kOk : Check::kFailed,
                    fmt::format("{}{}{}", mode_name, missing.empty() ? "" : ", without", missing),
                    missing.empty() ? ""
                                    : "boot without cgroup_disable=, or mount the missing "
                                      "controllers; without them no desktop can be limited"});
  if (layout->v2() == nullptr)
    checks.push_back({"cgroup v2", Check::kWarning, "not mounted: no pressure of a desktop",
                      "mount -t cgroup2 cgroup2 on a directory beside the v1 hierarchies"});
  const auto pressure = kernel::read_host_pressure(tree, kernel::PressureResource::kMemory);
  checks.push_back({"pressure (PSI)", pressure ? Check::kOk : Check::kWarning,
                    pressure ? "is measured" : pressure.error().message(),
                    pressure ? "" : "boot with psi=1, or use a kernel with CONFIG_PSI"});
  return checks;
}

std::vector<Check> check_apparmor(const Tree& tree) {
  switch (kernel::read_apparmor(tree, desktop::lxc::kAppArmorProfile)) {
    case kernel::AppArmorState::kOff: return {};
    case kernel::AppArmorState::kLoaded:
      return {{"AppArmor", Check::kOk, "desktops have a profile of their own", {}}};
    case kernel::AppArmorState::kNotLoaded: break;
  }
  return {{"AppArmor", Check::kWarning,
           fmt::format("profile {} is not loaded: desktops run without one",
                       desktop::lxc::kAppArmorProfile),
           "install Panal (cmake --install), apparmor_parser -r /etc/apparmor.d/panal-desktop, "
           "systemctl restart panal"}};
}

Check check_memory(const config::Config& config, const Tree& tree) {
  const auto info = kernel::read_meminfo(tree);
  if (!info)
    return {"memory", Check::kFailed, info.error().message(), "is the proc file system mounted?"};
  const std::uint64_t reserve = config.memory_reserve_bytes != 0
                                    ? config.memory_reserve_bytes
                                    : kernel::default_reserve_bytes(info->total);
  const std::string found = fmt::format("{} in all, {} available, {} kept for the host",
                                        gib(info->total), gib(info->available), gib(reserve));
  if (info->total < reserve + 512 * kMib)
    return {"memory", Check::kFailed, found,
            "give the machine more memory, or lower memory_reserve_bytes in [cgroup]"};
  if (info->available < reserve + 512 * kMib)
    return {"memory", Check::kWarning, found,
            "other programs use nearly all of it: stop some, or no desktop will start well"};
  return {"memory", Check::kOk, found, {}};
}

Check check_ids(const config::Config& config, std::string_view subuid, std::string_view subgid) {
  const std::string mend =
      "give root one range in both files, e.g. root:2000000:268435456 (panal up does it), or set "
      "[ids] first and count";
  std::uint64_t count = config.ids.count;
  std::string where = "configured";
  if (count == 0) {
    const auto users = find_subid(subuid, "root");
    const auto groups = find_subid(subgid, "root");
    if (!users || !groups)
      return {"ids", Check::kFailed,
              fmt::format("root has no line in {}", users ? "/etc/subgid" : "/etc/subuid"), mend};
    if (users->first != groups->first || users->count != groups->count)
      return {"ids", Check::kFailed, "root's ranges in /etc/subuid and /etc/subgid differ", mend};
    count = users->count;
    where = fmt::format("root:{}:{}", users->first, users->count);
  }
  const std::uint64_t desktops = desktop::slots_for_desktops(count / desktop::kIdsPerDesktop);
  if (desktops == 0)
    return {"ids", Check::kFailed,
            fmt::format("{} ids ({}) are fewer than one desktop's 65536", count, where), mend};
  const bool few = desktops < 100;
  return {"ids", few ? Check::kWarning : Check::kOk,
          fmt::format("enough for {} desktops ({})", desktops, where), few ? mend : ""};
}

Check check_disk(const std::string& directory, std::uint64_t free_bytes, std::uint64_t free_inodes,
                 std::uint64_t total_inodes) {
  const std::string name = "disk " + directory;
  const std::string found =
      total_inodes == 0 ? gib(free_bytes) + " free"
                        : fmt::format("{} and {} inodes free", gib(free_bytes), free_inodes);
  const std::string mend = "free space there, or move [paths] to a larger disk";
  const bool inodes_count = total_inodes != 0;
  if (free_bytes < 2 * kGib || (inodes_count && free_inodes < 50'000))
    return {name, Check::kFailed, found + ": not enough for one image", mend};
  if (free_bytes < 10 * kGib || (inodes_count && free_inodes < 500'000))
    return {name, Check::kWarning, found, mend};
  return {name, Check::kOk, found, {}};
}

Check check_clock(std::int64_t seconds) {
  constexpr std::int64_t kYear2025 = 1'735'689'600;
  constexpr std::int64_t kYear2100 = 4'102'444'800;
  if (seconds < kYear2025 || seconds > kYear2100)
    return {"clock", Check::kFailed, fmt::format("{} seconds since 1970", seconds),
            "set the date: certificates would be refused"};
  return {"clock", Check::kOk, "is in this century", {}};
}

Check check_programs(const std::string& path) {
  // Where Debian keeps PostgreSQL's server, which is in no PATH.
  const std::string extra = path + ":/usr/sbin:/sbin:/usr/lib/postgresql/15/bin";
  constexpr std::pair<const char*, const char*> kPrograms[] = {
      {"lxc-start", "lxc"},         {"newuidmap", "uidmap"},      {"mke2fs", "e2fsprogs"},
      {"mmdebstrap", "mmdebstrap"}, {"nxproxy", "nxproxy"},       {"Xvfb", "xvfb"},
      {"xauth", "xauth"},           {"xkbcomp", "x11-xkb-utils"}, {"postgres", "postgresql-15"}};
  std::string missing;
  std::string packages;
  for (const auto& [program, package] : kPrograms) {
    bool found = false;
    for (std::string_view rest = extra; !rest.empty() && !found;) {
      const std::size_t end = rest.find(':');
      const std::string directory(rest.substr(0, end));
      found = !directory.empty() && ::access((directory + "/" + program).c_str(), X_OK) == 0;
      rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
    if (found) continue;
    missing += std::string(missing.empty() ? "" : ", ") + program;
    packages += std::string(" ") + package;
  }
  if (missing.empty()) return {"programs", Check::kOk, "all there", {}};
  return {"programs", Check::kFailed, missing + " not found",
          "scripts/setup run, or apt-get install" + packages};
}

bool healthy(const std::vector<Check>& checks) {
  return std::none_of(checks.begin(), checks.end(),
                      [](const Check& check) { return check.verdict == Check::kFailed; });
}

}  // namespace panal::cli

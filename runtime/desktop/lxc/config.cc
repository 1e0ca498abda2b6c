#include "runtime/desktop/lxc/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "engine/kernel/apparmor.h"
#include "runtime/agent/protocol.h"

namespace panal::desktop::lxc {
namespace {

/// Ptys of one desktop: the host has 4096 in all (kernel.pty.max).
constexpr int kPtys = 64;
/// Desktops go before anything of the host's when memory runs out.
constexpr int kOomScoreAdj = 500;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

/// null, zero, full, random, urandom, tty, ptmx, and the pts.
constexpr std::array kDevices = {"c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm",
                                 "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm"};

/// What init needs to be root among its own: to own files, become the user, and end processes.
constexpr const char* kCapabilities =
    "chown dac_override fowner fsetid kill setgid setuid net_bind_service";

/// Files and directories that tell about the host or let one reach it. With no leading slash: they
/// are taken below the new root.
constexpr std::array kMaskedFiles = {"proc/kcore",       "proc/keys",        "proc/key-users",
                                     "proc/timer_list",  "proc/sched_debug", "proc/latency_stats",
                                     "proc/kallsyms",    "proc/kmsg",        "proc/slabinfo",
                                     "proc/vmallocinfo", "proc/zoneinfo",    "proc/pagetypeinfo",
                                     "proc/buddyinfo",   "proc/interrupts",  "proc/sysrq-trigger"};
constexpr std::array kMaskedDirs = {"proc/acpi",        "proc/scsi",
                                    "proc/pressure",    "sys/kernel/mm",
                                    "sys/kernel/debug", "sys/kernel/tracing",
                                    "sys/kernel/slab",  "sys/firmware",
                                    "sys/fs/cgroup",    "sys/devices/virtual/powercap",
                                    "sys/block",        "sys/module"};

constexpr std::string_view kLogs = "var/log";
constexpr std::string_view kVarTmp = "var/tmp";

/// liblxc ends a value at the line's end and takes what is behind a " #" as it is; there is no
/// escape for a newline.
Result<void> check_line(std::string_view what, std::string_view value) {
  const bool bad = std::any_of(value.begin(), value.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (bad || value.empty())
    return fail(EINVAL, fmt::format("{} \"{}\" cannot be in a container's configuration", what,
                                    printable(value, 100)));
  return {};
}

/// An fstab field (fstab(5)): blanks and backslashes as octal.
std::string fstab_field(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' || c == '\\' || c == '#')
      out += fmt::format("\\{:03o}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out;
}

/// A path inside the desktop that comes from the store: absolute, plain, no way upwards.
Result<std::string> inside_path(std::string_view path) {
  const bool plain = std::all_of(path.begin(), path.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '.' || c == '_' || c == '-';
  });
  const std::string closed = std::string(path) + "/";
  if (!plain || path.size() < 2 || path.front() != '/' || path.size() > 200 ||
      closed.find("/../") != std::string::npos || closed.find("/./") != std::string::npos ||
      closed.find("//") != std::string::npos)
    return fail(EINVAL, fmt::format("home path \"{}\" is not an absolute path of letters, digits, "
                                    "dots, dashes and underscores",
                                    printable(path, 100)));
  return std::string(path.substr(1));
}

class Text {
 public:
  void line(std::string_view key, std::string_view value) {
    text_ += fmt::format("{} = {}\n", key, value);
  }
  void mount(std::string_view source, std::string_view target, std::string_view type,
             std::string_view options) {
    line("lxc.mount.entry",
         fmt::format("{} {} {} {} 0 0", fstab_field(source), fstab_field(target), type, options));
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void add_identity(Text& text, const ContainerSpec& spec) {
  const IdRange ids = spec.desktop.ids;
  text.line("lxc.uts.name", host_name(spec.desktop.name, spec.desktop.id));
  text.line("lxc.idmap", fmt::format("u 0 {} {}", ids.first, ids.count));
  text.line("lxc.idmap", fmt::format("g 0 {} {}", ids.first, ids.count));
  text.line("lxc.net.0.type", "empty");  // netconfine gives eth0 to the running namespace
}

void add_init(Text& text, const ContainerSpec& spec) {
  text.line("lxc.init.cmd", agent::kAgentProgram);
  text.line("lxc.environment", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
  text.line("lxc.log.file", spec.log_dir + "/" + kLxcLog);
  text.line("lxc.log.level", "INFO");
  // The console keeps what init writes to stderr.
  text.line("lxc.console.logfile", spec.log_dir + "/" + kConsoleLog);
  text.line("lxc.console.size", "64KB");
  text.line("lxc.console.rotate", "1");
  text.line("lxc.tty.max", "0");
  text.line("lxc.pty.max", std::to_string(kPtys));
  text.line("lxc.proc.oom_score_adj", std::to_string(kOomScoreAdj));
}

/// What tmpfs holds is charged to the desktop's memory; the sizes keep one of them from eating all
/// of it.
std::uint64_t scratch_mib(const DesktopSpec& desktop, std::uint32_t percent) {
  constexpr std::uint64_t kUsual = 1024 * kMiB;
  const std::uint64_t memory = desktop.limits.memory_bytes.value_or(kUnlimited);
  const std::uint64_t whole_mib = (memory == kUnlimited ? kUsual : memory) / kMiB;
  return std::max<std::uint64_t>(16, whole_mib * percent / 100);
}

/// What is thrown away with the desktop anyway.
void add_scratch(Text& text, const ContainerSpec& spec, const ConfigSite& site) {
  const DesktopSpec& desktop = spec.desktop;
  const GuestSettings& guest = desktop.guest;
  if (guest.cache_in_memory)
    text.mount(
        "tmpfs", std::string(agent::kCacheDir).substr(1), "tmpfs",
        fmt::format("nosuid,nodev,mode=700,uid={},gid={},size={}m,"
                    "nr_inodes=65536,create=dir",
                    desktop.user.uid, desktop.user.gid, scratch_mib(desktop, guest.cache_percent)));
  if (desktop.persistent) return;
  if (guest.logs == Scratch::kMemory)
    text.mount("tmpfs", kLogs, "tmpfs",
               "nosuid,nodev,noexec,mode=755,size=16m,nr_inodes=4096,create=dir");
  if (guest.logs == Scratch::kOff)
    text.mount(site.empty_dir, kLogs, "none", "bind,ro,nosuid,nodev,noexec,create=dir");
  if (guest.var_tmp == Scratch::kMemory)
    text.mount("tmpfs", kVarTmp, "tmpfs",
               fmt::format("nosuid,nodev,mode=1777,size={}m,nr_inodes=16384,create=dir",
                           scratch_mib(desktop, guest.scratch_percent)));
}

void add_mounts(Text& text, const ContainerSpec& spec, const ConfigSite& site,
                const std::string& home) {
  const std::uint64_t scratch = scratch_mib(spec.desktop, spec.desktop.guest.scratch_percent);
  text.line("lxc.rootfs.path", "dir:" + spec.root);
  text.line("lxc.autodev", "1");
  text.line("lxc.mount.auto", "proc:mixed sys:ro");
  text.mount("tmpfs", "tmp", "tmpfs",
             fmt::format("nosuid,nodev,mode=1777,size={}m,nr_inodes=65536,create=dir", scratch));
  text.mount("tmpfs", "run", "tmpfs", "nosuid,nodev,mode=755,size=16m,nr_inodes=8192,create=dir");
  text.mount("tmpfs", "dev/shm", "tmpfs",
             fmt::format("nosuid,nodev,mode=1777,size={}m,nr_inodes=16384,create=dir", scratch));
  text.mount(spec.shared_dir, std::string(agent::kSharedDir).substr(1), "none",
             "bind,nosuid,nodev,noexec,create=dir");
  text.mount(site.agent_program, std::string(agent::kAgentProgram).substr(1), "none",
             "bind,ro,nosuid,nodev,create=file");
  text.mount(spec.home, home, "none", "bind,nosuid,nodev,create=dir");
  add_scratch(text, spec, site);
  for (const char* file : kMaskedFiles)
    text.mount(kernel_paths::kDevNull, file, "none", "bind,optional");
  for (const char* dir : kMaskedDirs)
    text.mount(site.empty_dir, dir, "none", "bind,ro,nosuid,nodev,noexec,optional");
  for (const GuestFile& file : site.guest_files)
    text.mount(spec.run_dir + "/" + file.name, file.target, "none",
               "bind,ro,nosuid,nodev,noexec,optional");
}

void add_groups(Text& text, const ContainerSpec& spec, const ConfigSite& site) {
  const std::string name = kernel_name(spec.desktop.id);
  // Relative to the spawner's group, which is the root of every hierarchy: liblxc's absolute
  // paths begin at pid 1's group, wherever that is.
  text.line("lxc.cgroup.relative", "1");
  text.line("lxc.cgroup.dir.container", site.cgroup_parent + "/" + name);
  text.line("lxc.cgroup.dir.monitor", monitor_parent(site.cgroup_parent) + "/" + name);
  // liblxc's monitor makes "lxc.pivot" there when it removes its group; without a place of its own
  // it would do so at each hierarchy's root.
  text.line("lxc.cgroup.dir.monitor.pivot", monitor_parent(site.cgroup_parent));
  const Limits& limits = spec.desktop.limits;
  if (limits.memory_bytes) {
    text.line("lxc.cgroup.memory.limit_in_bytes", std::to_string(*limits.memory_bytes));
    text.line("lxc.cgroup2.memory.max", std::to_string(*limits.memory_bytes));
  }
  if (limits.pids) {
    text.line("lxc.cgroup.pids.max", std::to_string(*limits.pids));
    text.line("lxc.cgroup2.pids.max", std::to_string(*limits.pids));
  }
  if (limits.cpu_weight) {
    // v2's 100 is v1's 1024; v1 takes 2 at least.
    const std::uint64_t shares =
        std::max<std::uint64_t>(2, std::uint64_t{*limits.cpu_weight} * 1024 / 100);
    text.line("lxc.cgroup.cpu.shares", std::to_string(shares));
    text.line("lxc.cgroup2.cpu.weight", std::to_string(*limits.cpu_weight));
  }
  if (limits.cpu_quota_permille) {
    constexpr std::uint64_t kPeriodUs = 100000;
    const std::uint64_t quota_us = kPeriodUs * *limits.cpu_quota_permille / 1000;
    text.line("lxc.cgroup.cpu.cfs_quota_us", std::to_string(quota_us));
    text.line("lxc.cgroup2.cpu.max", fmt::format("{} {}", quota_us, kPeriodUs));
  }
  for (const char* version : {"lxc.cgroup.devices", "lxc.cgroup2.devices"}) {
    text.line(fmt::format("{}.deny", version), "a");
    for (const char* device : kDevices) text.line(fmt::format("{}.allow", version), device);
  }
}

}  // namespace

std::string apparmor_profile(const Tree& tree) {
  switch (kernel::read_apparmor(tree, kAppArmorProfile)) {
    case kernel::AppArmorState::kOff: return {};
    case kernel::AppArmorState::kLoaded: return kAppArmorProfile;
    case kernel::AppArmorState::kNotLoaded: break;
  }
  return "unconfined";
}

std::string monitor_parent(std::string_view cgroup_parent) {
  return std::string(cgroup_parent) + "-monitor";
}

std::string host_name(std::string_view name, DesktopId id) {
  std::string out;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (plain)
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
    if (out.size() == 63) break;
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? kernel_name(id) : out;
}

std::vector<std::string_view> scratch_targets(const DesktopSpec& desktop) {
  std::vector<std::string_view> out;
  if (desktop.persistent) return out;
  if (desktop.guest.logs != Scratch::kDisk) out.push_back(kLogs);
  if (desktop.guest.var_tmp == Scratch::kMemory) out.push_back(kVarTmp);
  return out;
}

Result<std::string> render_config(const ContainerSpec& spec, const ConfigSite& site) {
  for (const auto& [what, value] : {std::pair<const char*, const std::string&>{"root", spec.root},
                                    {"home", spec.home},
                                    {"shared directory", spec.shared_dir},
                                    {"log directory", spec.log_dir},
                                    {"agent program", site.agent_program},
                                    {"cgroup parent", site.cgroup_parent},
                                    {"seccomp profile", site.seccomp_profile},
                                    {"run directory", spec.run_dir},
                                    {"empty directory", site.empty_dir}})
    PANAL_TRY(check_line(what, value));
  PANAL_ASSIGN(const std::string home, inside_path(spec.desktop.user.home_path));
  if (spec.desktop.ids.count == 0 || spec.desktop.ids.first == 0)
    return fail(EINVAL, "a container needs a range of host ids of its own");

  Text text;
  add_identity(text, spec);
  add_init(text, spec);
  add_mounts(text, spec, site, home);
  add_groups(text, spec, site);
  text.line("lxc.cap.keep", kCapabilities);
  text.line("lxc.no_new_privs", "1");
  if (!site.apparmor_profile.empty()) text.line("lxc.apparmor.profile", site.apparmor_profile);
  text.line("lxc.seccomp.profile", site.seccomp_profile);
  return text.take();
}

}  // namespace panal::desktop::lxc

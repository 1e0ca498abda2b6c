#include "runtime/desktop/lxc/backend.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "engine/base/tree.h"
#include "engine/kernel/process_status.h"
#include "runtime/desktop/guest_files.h"
#include "runtime/desktop/lxc/config.h"
#include "runtime/desktop/lxc/mount_targets.h"
#include "runtime/desktop/lxc/seccomp_list.h"

namespace panal::desktop::lxc {
namespace {

constexpr int kEvidenceLines = 12;
constexpr std::size_t kTailBytes = 16384;
/// How long the console may take to reach its file: 0.5 s.
constexpr int kConsoleTries = 25;
constexpr int kConsolePauseMs = 20;

Result<void> write_file(const Dir& dir, const std::string& name, const std::string& text) {
  PANAL_ASSIGN(const UniqueFd fd, dir.open_file(name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));
  const ssize_t put = ::write(fd.get(), text.data(), text.size());
  if (put < 0) return fail_errno("write", dir.path() + "/" + name);
  if (static_cast<std::size_t>(put) != text.size())
    return fail(EIO, "short write to " + dir.path() + "/" + name);
  return {};
}

Result<void> make_dir(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return fail_errno("mkdir", path);
  if (::chmod(path.c_str(), mode) != 0) return fail_errno("chmod", path);
  return {};
}

bool has_error(std::string_view text) { return text.find(" ERROR ") != std::string_view::npos; }

/// Lines of liblxc's log that tell of an error; what comes after those is its tidying up.
std::string errors_of(std::string_view text) {
  std::string errors;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (has_error(line)) errors.append(line).append("\n");
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return errors;
}

std::string tail_of(const Dir& dir, const char* name) {
  const auto fd = dir.open_file(name, O_RDONLY | O_NOFOLLOW);
  if (!fd) return {};
  const off_t size = ::lseek(fd->get(), 0, SEEK_END);
  const off_t from = std::max<off_t>(0, size - static_cast<off_t>(kTailBytes));
  std::string text(kTailBytes, '\0');
  const ssize_t got = ::pread(fd->get(), text.data(), text.size(), from);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, got)));
  if (const std::string errors = errors_of(text); !errors.empty()) text = errors;
  return last_lines(text, kEvidenceLines);
}

/// What stands over the kernel's files in a desktop.
Result<std::vector<GuestFile>> files_of(const DesktopSpec& desktop) {
  if (!desktop.guest.mask_memory && desktop.guest.cpus == 0) return std::vector<GuestFile>();
  struct sysinfo memory{};
  if (::sysinfo(&memory) != 0) return fail_errno("sysinfo");
  std::string cpuinfo;  // the kernel takes its time over it, so only where it is wanted
  if (desktop.guest.cpus != 0) {
    PANAL_ASSIGN(const Dir proc, Dir::open(kernel_paths::kProc));
    PANAL_ASSIGN(cpuinfo, proc.read("cpuinfo"));
  }
  return guest_files(desktop.guest, desktop.limits,
                     {std::uint64_t{memory.totalram} * memory.mem_unit,
                      static_cast<std::uint32_t>(::get_nprocs()), cpuinfo});
}

/// How many seccomp filters a process has.
Result<std::uint32_t> filters_of(const std::string& pid) {
  PANAL_ASSIGN(const Dir proc, Dir::open(kernel_paths::kProc));
  PANAL_ASSIGN(const std::string text, proc.read(pid + "/status"));
  PANAL_ASSIGN(const kernel::ProcessStatus status, kernel::parse_process_status(text));
  if (!status.seccomp_filters) return fail(EPROTO, "no Seccomp_filters in the status of " + pid);
  return *status.seccomp_filters;
}

/// liblxc loads no seccomp list, and calls that success, where the caller has a filter already (in
/// a Docker container, say) or the kernel none.
Result<void> check_confined(const Pidfd& init) {
  PANAL_ASSIGN(const std::uint32_t own, filters_of("self"));
  const auto count = filters_of(std::to_string(init.pid()));
  if (!count) {
    if (count.error().is_gone()) return fail(ECHILD, "init has ended");
    return tl::make_unexpected(count.error());
  }
  if (*count <= own)
    return fail(EPERM, "liblxc did not load the seccomp list; is Panal itself run under seccomp?");
  return {};
}

}  // namespace

std::string last_lines(std::string_view text, int lines) {
  constexpr std::size_t kLineBytes = 300;
  std::vector<std::string_view> kept;
  while (!text.empty() && static_cast<int>(kept.size()) < lines) {
    if (text.back() == '\n' || text.back() == '\r') {
      text.remove_suffix(1);
      continue;
    }
    const std::size_t at = text.find_last_of('\n');
    const std::size_t from = at == std::string_view::npos ? 0 : at + 1;
    kept.push_back(text.substr(from));
    text = text.substr(0, from);
  }
  std::string out;
  for (auto line = kept.rbegin(); line != kept.rend(); ++line) {
    while (!line->empty() && line->back() == '\r') line->remove_suffix(1);
    out += printable(*line, kLineBytes) + "\n";
  }
  return out;
}

Result<Pidfd> LxcBackend::start(const ContainerSpec& spec) {
  const std::string name = kernel_name(spec.desktop.id);
  const std::string seccomp = spec.run_dir + "/seccomp.list";
  const std::string config = spec.run_dir + "/lxc.conf";
  const std::string empty = options_.lxc_path + "/empty";
  PANAL_ASSIGN(const std::vector<GuestFile> guest_files, files_of(spec.desktop));
  PANAL_ASSIGN(
      const std::string text,
      render_config(spec, ConfigSite{options_.agent_program, options_.cgroup_parent, seccomp, empty,
                                     options_.apparmor_profile, guest_files}));
  PANAL_TRY(
      check_mount_targets(spec.root, spec.desktop.user.home_path, scratch_targets(spec.desktop)));
  PANAL_TRY(make_dir(options_.lxc_path, 0755));
  PANAL_TRY(make_dir(empty, 0555));
  PANAL_ASSIGN(const Dir dir, Dir::open(spec.run_dir));
  PANAL_TRY(
      write_file(dir, "seccomp.list",
                 render_seccomp_list(spec.desktop.browser_sandbox, spec.desktop.sharing.merge)));
  PANAL_TRY(write_file(dir, "lxc.conf", text));
  for (const GuestFile& file : guest_files) {
    PANAL_TRY(write_file(dir, file.name, file.text));
    // Whatever the umask: everybody inside reads what stands over the kernel's file.
    if (::fchmodat(dir.fd(), file.name.c_str(), 0444, 0) != 0)
      return fail_errno("chmod", dir.path() + "/" + file.name);
  }
  // The evidence of a failed start is this start's.
  for (const char* log : {kLxcLog, kConsoleLog}) (void)::unlink((spec.log_dir + "/" + log).c_str());
  PANAL_ASSIGN(Pidfd init, spawners_.start(StartRequest{name, config, options_.lxc_path,
                                                        spec.log_dir + "/" + kLxcLog,
                                                        spec.desktop.ids, spec.desktop.sharing}));
  PANAL_TRY(check_confined(init));
  return init;
}

std::string LxcBackend::evidence(const ContainerSpec& spec) {
  const auto dir = Dir::open(spec.log_dir);
  if (!dir) return {};
  const std::string lxc = tail_of(*dir, kLxcLog);
  std::string console = tail_of(*dir, kConsoleLog);
  // liblxc's monitor copies the console, and may come to it only after we have seen init's end.
  for (int tries = 0; console.empty() && !has_error(lxc) && tries < kConsoleTries; ++tries) {
    (void)::poll(nullptr, 0, kConsolePauseMs);
    console = tail_of(*dir, kConsoleLog);
  }
  // Without an error liblxc's lines say only that all went as usual.
  if (!console.empty() && !has_error(lxc)) return console;
  return console + lxc;
}

}  // namespace panal::desktop::lxc

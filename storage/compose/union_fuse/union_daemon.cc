#include "storage/compose/union_fuse/union_daemon.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string_view>
#include <thread>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "storage/compose/layer/layer_dir.h"

// <sys/mount.h> of glibc 2.36 and <linux/mount.h> define the same names, and this library's other
// sources need the kernel's.
extern "C" int umount2(const char* target, int flags) noexcept;

namespace panal::storage {
namespace {

constexpr int kByForce = 1;     // MNT_FORCE
constexpr int kLazily = 2;      // MNT_DETACH
constexpr int kNotThrough = 8;  // UMOUNT_NOFOLLOW

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Between two looks at whether the mount is there; a start takes 5 ms or so.
constexpr milliseconds kLookEvery{1};

/// To make, own and change files of all of the desktop's ids, and to mount.
constexpr std::array kDaemonCapabilities = {CAP_CHOWN,    CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
                                            CAP_FOWNER,   CAP_FSETID,       CAP_MKNOD,
                                            CAP_SYS_ADMIN};

/// Async-signal-safe, as all between fork and exec.
bool become(std::uint32_t id) {
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || ::setgroups(0, nullptr) != 0 ||
      ::setresgid(id, id, id) != 0 || ::setresuid(id, id, id) != 0)
    return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  for (const int capability : kDaemonCapabilities) {
    auto& word = data[CAP_TO_INDEX(capability)];
    const std::uint32_t bit = CAP_TO_MASK(capability);
    word.effective |= bit;
    word.permitted |= bit;
    word.inheritable |= bit;
  }
  if (::syscall(SYS_capset, &header, data) != 0) return false;
  for (const int capability : kDaemonCapabilities)
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, static_cast<unsigned long>(capability), 0UL,
                0UL) != 0)
      return false;
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) == 0;
}

[[noreturn]] void run_daemon(const UnionDaemon& daemon, char* const* argv, char* const* environment,
                             int null, int log, int lock) {
  (void)::setsid();
  // The lock's descriptor is the one that survives exec.
  if (::dup2(null, STDIN_FILENO) < 0 || ::dup2(log, STDOUT_FILENO) < 0 ||
      ::dup2(log, STDERR_FILENO) < 0 || ::fcntl(lock, F_SETFD, 0) != 0 || ::chdir("/") != 0)
    ::_exit(126);
  sigset_t none;
  ::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  (void)::signal(SIGPIPE, SIG_DFL);
  if (!become(daemon.id)) {
    constexpr std::string_view kWords = "cannot become the desktop's root id\n";
    (void)!::write(STDERR_FILENO, kWords.data(), kWords.size());
    ::_exit(126);
  }
  ::execve(argv[0], argv, environment);
  constexpr std::string_view kWords = "cannot be run\n";
  (void)!::write(STDERR_FILENO, kWords.data(), kWords.size());
  ::_exit(127);
}

/// Whether nobody holds the lock. A lock file that is not there is held by nobody.
bool is_free(const std::string& lock_file) {
  const UniqueFd fd(::open(lock_file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  return !fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
}

std::string last_words(const std::string& log_file) {
  const auto slash = log_file.rfind('/');
  const auto dir = Dir::open(log_file.substr(0, slash));
  const auto text = dir ? dir->read(log_file.substr(slash + 1)) : Result<std::string>("");
  if (!text || text->empty()) return "it said nothing";
  constexpr std::size_t kMostSaid = 400;
  std::string words = text->size() > kMostSaid ? text->substr(text->size() - kMostSaid) : *text;
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return "it said: " + words;
}

bool is_mounted(const std::string& path) { return is_mounted_at(path).value_or(false); }

}  // namespace

Result<void> start_daemon(const UnionDaemon& daemon, milliseconds patience) {
  const UniqueFd null(::open(kernel_paths::kDevNull, O_RDWR | O_CLOEXEC));
  if (!null) return fail_errno("open", kernel_paths::kDevNull);
  const UniqueFd log(::open(daemon.log_file.c_str(),
                            O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
                            0600));
  if (!log) return fail_errno("open", daemon.log_file);
  UniqueFd lock(::open(daemon.lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return fail_errno("open", daemon.lock_file);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return fail_errno("lock", daemon.lock_file);

  std::vector<std::string> words = daemon.argv;
  std::vector<std::string> variables = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"};
  std::vector<char*> argv;
  std::vector<char*> environment;
  for (auto& word : words) argv.push_back(word.data());
  for (auto& variable : variables) environment.push_back(variable.data());
  argv.push_back(nullptr);
  environment.push_back(nullptr);

  // Twice, so that it is nobody's child here: nobody would wait for it.
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork");
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild == 0)
      run_daemon(daemon, argv.data(), environment.data(), null.get(), log.get(), lock.get());
    ::_exit(grandchild < 0 ? 1 : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return fail_errno("wait for", daemon.argv[0]);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(EAGAIN, "fork");
  lock.reset();  // now it is the daemon's alone

  const auto give_up = steady_clock::now() + patience;
  while (!is_mounted(daemon.mount_point)) {
    // Free after it was looked for: the mount may have come in between.
    if (is_free(daemon.lock_file) && !is_mounted(daemon.mount_point))
      return fail(ECHILD,
                  daemon.argv[0] + " ended before it had mounted; " + last_words(daemon.log_file));
    if (steady_clock::now() > give_up) {
      (void)end_daemon(daemon.mount_point, daemon.lock_file, patience);
      return fail(ETIMEDOUT, daemon.argv[0] + " did not mount; " + last_words(daemon.log_file));
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  // The kernel has mounted; now its daemon must answer.
  struct stat info{};
  if (::stat(daemon.mount_point.c_str(), &info) == 0) return {};
  (void)end_daemon(daemon.mount_point, daemon.lock_file, patience);
  return fail(ECHILD,
              daemon.argv[0] + " ended as soon as it had mounted; " + last_words(daemon.log_file));
}

Result<std::uint32_t> end_daemon(const std::string& mount_point, const std::string& lock_file,
                                 milliseconds patience) {
  const auto give_up = steady_clock::now() + patience;
  std::uint32_t count = 0;
  for (;;) {
    PANAL_ASSIGN(const bool mounted, is_mounted_at(mount_point));
    // By force: who still has it open cannot keep the daemon.
    if (mounted && ::umount2(mount_point.c_str(), kByForce | kLazily | kNotThrough) == 0) {
      ++count;
      continue;
    }
    if (mounted && errno != EINVAL) return fail_errno("umount", mount_point);
    if (!mounted && is_free(lock_file)) return count;
    if (steady_clock::now() > give_up)
      return fail(ETIMEDOUT, "the daemon of " + mount_point + " does not end");
    std::this_thread::sleep_for(kLookEvery);
  }
}

}  // namespace panal::storage

// Stands in for panal-agent as a desktop's init: tries what a desktop must not be able to do and
// writes what came of it to /run/panal/nx/report; then lives until SIGTERM. Static, like the agent.
// The word in /etc/mode of the image changes it: "deaf" (to SIGTERM), "exit" (at once), "forks"
// (until the kernel refuses), "inotify" (instances until the kernel refuses), "noise" (1 MiB to the
// console).
#include <dirent.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/btrfs.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/agent/abi_filter.h"

namespace {

std::string report;

void say(const std::string& line) { report += line + "\n"; }

std::string read_file(const char* path, std::size_t limit = 16384) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "errno " + std::to_string(errno);
  std::string text(limit, '\0');
  const ssize_t got = read(fd, text.data(), text.size());
  const int error = errno;
  close(fd);
  if (got < 0) return "errno " + std::to_string(error);
  text.resize(static_cast<std::size_t>(got));
  return text;
}

void call(const char* name, long result) {
  say(std::string("call ") + name + " " + std::to_string(result < 0 ? errno : 0));
  if (result > 2 && fcntl(static_cast<int>(result), F_GETFD) >= 0 &&
      std::string(name).find("key") == std::string::npos)
    close(static_cast<int>(result));
}

/// In a child, as what it does cannot be undone. Its errno, 0 = it went well.
void call_in_child(const char* name, long (*what)()) {
  const pid_t child = fork();
  if (child == 0) _exit(what() < 0 ? errno : 0);
  int status = 0;
  waitpid(child, &status, 0);
  say(std::string("call ") + name + " " +
      std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status)));
}

long int80_getpid() {
#if defined(__x86_64__)
  long result = 20;  // getpid of i386
  asm volatile("int $0x80" : "+a"(result)::"memory", "r8", "r9", "r10", "r11");
  if (result < 0) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return result;
#else
  errno = ENOSYS;
  return -1;
#endif
}

void try_calls() {
  char buffer[512] = {};
  call("bpf", syscall(SYS_bpf, 0, buffer, 0));
  call("perf_event_open", syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0));
  call("userfaultfd", syscall(SYS_userfaultfd, 1));
  call("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1));
  call("add_key", syscall(SYS_add_key, "user", "x", "y", 1, KEY_SPEC_PROCESS_KEYRING));
  call("request_key", syscall(SYS_request_key, "user", "x", nullptr, 0));
  call("io_uring_setup", syscall(SYS_io_uring_setup, 1, nullptr));
  call("open_by_handle_at", syscall(SYS_open_by_handle_at, -1, nullptr, 0));
  call("name_to_handle_at", syscall(SYS_name_to_handle_at, -1, "/", buffer, buffer, 0));
  call("fanotify_init", syscall(SYS_fanotify_init, 0x200, 0));
  call("mount", syscall(SYS_mount, "x", "/tmp", "tmpfs", 0, nullptr));
  call("umount2", syscall(SYS_umount2, "/tmp", 0));
  call("move_mount", syscall(SYS_move_mount, -1, "", -1, "", 0));
  call("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  call("fsmount", syscall(SYS_fsmount, -1, 0, 0));
  call("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
  call("mount_setattr", syscall(SYS_mount_setattr, -1, "", 0, nullptr, 0));
  call("pivot_root", syscall(SYS_pivot_root, "/", "/"));
  call("setns", syscall(SYS_setns, -1, 0));
  call_in_child("unshare_newuser", [] { return syscall(SYS_unshare, CLONE_NEWUSER); });
  call_in_child("clone_newuser", [] {
    const long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return child;
  });
  call("clone3", syscall(SYS_clone3, nullptr, 0));
  call_in_child("ptrace", []() -> long { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); });
  call("process_vm_readv", syscall(SYS_process_vm_readv, 1, nullptr, 0, nullptr, 0, 0));
  call("process_madvise", syscall(SYS_process_madvise, -1, nullptr, 0, 0, 0));
  call("kexec_load", syscall(SYS_kexec_load, 0, 0, nullptr, 0));
  call("init_module", syscall(SYS_init_module, nullptr, 0, ""));
  call("reboot", syscall(SYS_reboot, 0, 0, 0, nullptr));
  call("swapon", syscall(SYS_swapon, "/x", 0));
  call("syslog", syscall(SYS_syslog, 10, nullptr, 0));
  call("quotactl", syscall(SYS_quotactl, 0, nullptr, 0, nullptr));
  call("memfd_secret", syscall(SYS_memfd_secret, 0));
#if defined(__x86_64__)
  call("modify_ldt", syscall(SYS_modify_ldt, 0, buffer, 16));
  call("x32_getpid", syscall(0x40000000L | SYS_getpid));
#endif
  call("int80_getpid", int80_getpid());
  for (const long newer : {451L, 457L, 467L, 500L})
    call(("newer_" + std::to_string(newer)).c_str(), syscall(newer, 0, 0, 0, 0, 0, 0));
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  call("madvise_mergeable", madvise(page, 4096, 12));
  call("prctl_memory_merge", prctl(67, 1, 0, 0, 0));
  call("tiocsti", ioctl(0, TIOCSTI, "x"));
  call("btrfs_subvolume", ioctl(0, BTRFS_IOC_SUBVOL_CREATE, buffer));
  call("btrfs_snapshot", ioctl(0, BTRFS_IOC_SNAP_CREATE_V2, buffer));
  for (const int family : {AF_VSOCK, AF_ALG, AF_PACKET, AF_CAN, AF_TIPC, AF_RDS, AF_KEY})
    call(("socket_" + std::to_string(family)).c_str(), socket(family, SOCK_RAW, 0));
  call("raw_socket", socket(AF_INET, SOCK_RAW, 1));
  // A desktop lives on these.
  for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})
    call(("good_socket_" + std::to_string(family)).c_str(),
         socket(family, family == AF_NETLINK ? SOCK_RAW : SOCK_STREAM, 0));
  call("good_madvise", madvise(page, 4096, MADV_DONTNEED));
  call("good_open_tmp", open("/tmp/x", O_CREAT | O_RDWR, 0600));
  call("good_chown", chown("/tmp/x", 1000, 1000));
  call("good_openpty", open("/dev/ptmx", O_RDWR | O_NOCTTY));
  call_in_child("good_become_user", []() -> long {
    return setresgid(1000, 1000, 1000) == 0 ? setresuid(1000, 1000, 1000) : -1;
  });
  call("mknod_null", mknod("/tmp/null", S_IFCHR | 0666, 0x103));
  call("mknod_disk", mknod("/tmp/disk", S_IFBLK | 0666, 0x801));
  call("sethostname", sethostname("x", 1));
  call("write_sysctl", open("/proc/sys/kernel/panic", O_WRONLY));
}

/// A file masked with /dev/null opens as well; it must not be the kernel's. Nothing is written.
void try_sysrq() {
  const int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return say("sysrq errno " + std::to_string(errno));
  struct stat info{};
  const bool null = fstat(fd, &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3);
  close(fd);
  say(std::string("sysrq ") + (null ? "masked" : "open"));
}

void list_world() {
  const std::string status = read_file("/proc/self/status");
  for (const char* key : {"Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb",
                          "NoNewPrivs", "Seccomp", "NSpid"}) {
    const std::size_t at = status.find(std::string("\n") + key + ":");
    if (at == std::string::npos) continue;
    const std::size_t from = at + 1 + std::strlen(key) + 1;
    say(std::string(key) + status.substr(from, status.find('\n', from) - from));
  }
  say("pid " + std::to_string(getpid()));
  say("oom " + read_file("/proc/self/oom_score_adj"));
  char host[65] = {};
  gethostname(host, 64);
  say(std::string("host ") + host);
  for (char** entry = environ; *entry != nullptr; ++entry) say(std::string("env ") + *entry);
  for (const char* where : {"/dev", "/proc/self/fd", "/sys/class/net", "/sys/kernel/mm"}) {
    DIR* dir = opendir(where);
    if (dir == nullptr) continue;
    while (const dirent* entry = readdir(dir)) {
      const std::string name = static_cast<const char*>(entry->d_name);
      if (name == "." || name == "..") continue;
      char target[256] = {};
      const ssize_t length = readlinkat(dirfd(dir), name.c_str(), target, sizeof target - 1);
      struct stat info{};
      fstatat(dirfd(dir), name.c_str(), &info, AT_SYMLINK_NOFOLLOW);
      const char* type = S_ISCHR(info.st_mode) ? "c" : S_ISBLK(info.st_mode) ? "b" : "-";
      say(std::string("entry ") + where + " " + name + " " + type + " " +
          (length > 0 ? target : ""));
    }
    closedir(dir);
  }
  for (const char* file :
       {"/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/timer_list", "/proc/sched_debug"})
    say(std::string("masked ") + file + " " + std::to_string(read_file(file).size()));
}

void fork_until_refused() {
  int made = 0;
  std::vector<pid_t> children;
  while (made < 5000) {
    const pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      for (;;) pause();
    }
    children.push_back(child);
    ++made;
  }
  say("forks " + std::to_string(made) + " errno " + std::to_string(errno));
  for (const pid_t child : children) kill(child, SIGKILL);
  for (const pid_t child : children) waitpid(child, nullptr, 0);
}

/// Until the kernel's count of instances refuses. A full table of descriptors gives the same errno
/// and may come first: its soft limit is raised, and which of the two it was is said.
void take_all_inotify() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int made = 0;
  int last = -1;
  for (int fd = inotify_init1(IN_CLOEXEC); fd >= 0; fd = inotify_init1(IN_CLOEXEC)) {
    last = fd;
    ++made;
  }
  say("inotify " + std::to_string(made) + " errno " + std::to_string(errno));
  const int another = open("/dev/null", O_RDONLY | O_CLOEXEC);
  say(std::string("refused_by ") + (another >= 0 ? "instances" : "descriptors"));
  close(another >= 0 ? another : last);  // room for the report
  call_in_child("inotify_as_user", []() -> long {
    if (setresgid(1000, 1000, 1000) != 0 || setresuid(1000, 1000, 1000) != 0) return 0;
    return inotify_init1(IN_CLOEXEC);
  });
}

void shout() {
  const std::string line(1023, 'x');
  for (int i = 0; i < 1024; ++i) std::fprintf(stderr, "%s\n", line.c_str());
  say("shouted 1");
}

/// The session's user listens where nxagent would.
void serve_nx() {
  if (fork() != 0) return;
  if (setresgid(1000, 1000, 1000) != 0 || setresuid(1000, 1000, 1000) != 0) _exit(1);
  const int home = open("/home/alice/was-here", O_CREAT | O_WRONLY, 0600);
  if (home < 0) std::perror("helper: home");
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "/run/panal/nx/nx.sock");
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd, 5) != 0)
    std::perror("helper: nx.sock");
  const int done = open("/run/panal/nx/ready", O_CREAT | O_WRONLY, 0600);
  close(done);
  for (;;) {
    const int peer = accept(fd, nullptr, nullptr);
    if (peer < 0) continue;
    (void)!write(peer, "hello", 5);
    close(peer);
  }
}

}  // namespace

int main() {
  std::fprintf(stderr, "helper: init speaks\n");
  const std::string mode = read_file("/etc/mode");
  if (mode == "exit") {
    std::fprintf(stderr, "helper: this image wants me to end\n");
    return 3;
  }
  if (!panal::agent::install_abi_filter()) return 5;
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, nullptr);
  list_world();
  if (mode == "inotify") {
    take_all_inotify();
  } else if (mode == "noise") {
    shout();
  } else if (mode == "forks") {
    fork_until_refused();
  } else {
    try_calls();
    try_sysrq();
  }
  call("write_root", open("/in-the-root", O_CREAT | O_WRONLY, 0600));
  const int fd = open("/run/panal/nx/report", O_CREAT | O_WRONLY | O_TRUNC, 0644);
  if (fd < 0 || write(fd, report.data(), report.size()) != static_cast<ssize_t>(report.size())) {
    std::perror("helper: report");
    return 4;
  }
  close(fd);
  serve_nx();
  for (;;) {
    int signal = 0;
    sigwait(&term, &signal);
    if (mode != "deaf") return 0;
  }
}

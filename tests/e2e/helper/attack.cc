// What a desktop's user can do to the host and its neighbours, run from inside the desktop as that
// user (tests/e2e/hostile.py puts it into the home). Static: images have no compiler and no python.
//
// attack serve DIR              runs DIR/NAME.job (shell text), leaves DIR/NAME.out and NAME.rc
// attack fill DIR MIB           files, then bytes, until the kernel refuses or MIB are written
// attack swap DIR TARGET S      for S seconds DIR/nx.sock is a link to TARGET, whoever makes it
// attack ptys|fds|inotify|maps  takes as many as there are, holds them until DIR/release appears
// attack forks                  the same with processes
// attack eat MIB                a child touches that much memory; how it ended
// attack bomb S                 for S seconds every process forks as often as it can
// attack dirty FILE MIB S       for S seconds writes and rewrites FILE through the page cache
// attack search FILE            looks in /proc and /sys for the lines of FILE, kernel addresses
// attack calls                  system calls whose answers are printed
//
// Prints lines "NAME VALUE".
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

void pause_ms(long ms) {
  const timespec time{ms / 1000, (ms % 1000) * 1000000};
  (void)nanosleep(&time, nullptr);
}

std::string read_file(const std::string& path, std::size_t most = 65536) {
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text;
  std::vector<char> buffer(65536);
  for (ssize_t got = 0; text.size() < most && (got = read(fd, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(got));
  close(fd);
  return text;
}

void say(const char* name, long value) {
  std::printf("%s %ld\n", name, value);
  (void)std::fflush(stdout);
}

/// What was taken is kept until the test has looked.
void hold() {
  const char* home = getenv("HOME");
  const std::string release = std::string(home != nullptr ? home : "") + "/box/release";
  for (int i = 0; i < 1200 && access(release.c_str(), F_OK) != 0; ++i) pause_ms(100);
}

void start_job(const std::string& base, std::map<pid_t, std::string>& running) {
  const std::string taken = base + ".run";
  if (rename((base + ".job").c_str(), taken.c_str()) != 0) return;
  const std::string text = read_file(taken);
  const pid_t child = fork();
  if (child < 0) {
    (void)rename(taken.c_str(), (base + ".job").c_str());  // no process to be had: later
    return;
  }
  if (child == 0) {
    (void)setsid();
    const int out = open((base + ".out").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (out < 0) _exit(125);
    (void)dup2(out, 1);
    (void)dup2(out, 2);
    (void)execl("/bin/sh", "sh", "-c", text.c_str(), nullptr);
    _exit(126);
  }
  running[child] = base;
}

int serve(const std::string& dir) {
  std::map<pid_t, std::string> running;
  for (;;) {
    DIR* entries = opendir(dir.c_str());
    if (entries != nullptr) {
      for (const dirent* entry = nullptr; (entry = readdir(entries)) != nullptr;) {
        const std::string name = entry->d_name;
        if (name.size() > 4 && name.substr(name.size() - 4) == ".job")
          start_job(dir + "/" + name.substr(0, name.size() - 4), running);
      }
      closedir(entries);
    }
    int status = 0;
    for (pid_t ended = 0; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto found = running.find(ended);
      if (found == running.end()) continue;
      const std::string part = found->second + ".rc.part";
      if (std::FILE* file = std::fopen(part.c_str(), "w")) {
        (void)std::fprintf(file, "%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
        (void)std::fclose(file);
        (void)rename(part.c_str(), (found->second + ".rc").c_str());
      }
      running.erase(found);
    }
    pause_ms(100);
  }
}

int fill(const std::string& dir, long most_mib) {
  long files = 0;
  int error = 0;
  for (; files < 200000; ++files) {
    const int fd = open((dir + "/f" + std::to_string(files)).c_str(), O_CREAT | O_WRONLY, 0600);
    if (fd < 0) {
      error = errno;
      break;
    }
    close(fd);
    if (most_mib > 1 && files > 100) break;  // there it is bytes that matter
  }
  say("files", files);
  say("files_errno", error);
  const int fd = open((dir + "/f0").c_str(), O_WRONLY);
  const std::vector<char> block(65536, 'x');
  long bytes = 0;
  error = 0;
  while (bytes < most_mib << 20) {
    const ssize_t put = write(fd, block.data(), bytes < 65536 ? 1024 : block.size());
    if (put <= 0) {
      error = errno;
      break;
    }
    bytes += put;
  }
  say("bytes", bytes);
  say("bytes_errno", error);
  return 0;
}

int swap_links(const std::string& dir, const char* target, int seconds) {
  const std::string name = dir + "/nx.sock";
  const std::string other = dir + "/planted";
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  long times = 0;
  while (std::chrono::steady_clock::now() < end) {
    struct stat info{};
    if (lstat(name.c_str(), &info) == 0 && !S_ISLNK(info.st_mode)) {
      (void)symlink(target, other.c_str());
      if (rename(other.c_str(), name.c_str()) == 0) ++times;
    }
  }
  say("swapped", times);
  return 0;
}

template <typename Take>
int take_all(const char* name, long most, Take take) {
  long count = 0;
  errno = 0;
  while (count < most && take()) ++count;
  const int error = errno;
  say(name, count);
  say("errno", error);
  hold();
  return 0;
}

void raise_descriptors() {
  rlimit limit{};
  (void)getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int take_inotify() {
  raise_descriptors();  // a full table gives the same errno
  return take_all("inotify", 10000, [] { return inotify_init() >= 0; });
}

int take_fds() {
  // Every process has its own table: what all of them hold is the host's memory.
  for (int i = 0; i < 8; ++i) {
    const pid_t child = fork();
    if (child != 0) continue;
    raise_descriptors();
    _exit(take_all("fds", 1000000, [] { return open("/dev/null", O_RDONLY) >= 0; }));
  }
  while (wait(nullptr) > 0) {
  }
  return 0;
}

int take_processes() {
  std::vector<pid_t> children;
  take_all("forks", 100000, [&children] {
    const pid_t child = fork();
    if (child == 0) {
      pause();
      _exit(0);
    }
    if (child > 0) children.push_back(child);
    return child > 0;
  });
  for (const pid_t child : children) kill(child, SIGKILL);
  return 0;
}

int take_maps() {
  long step = 0;
  return take_all("maps", 200000, [&step] {
    // Neighbours of different rights are not merged.
    return mmap(nullptr, 4096, (step++ & 1) != 0 ? PROT_READ : PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
  });
}

int eat(long mib) {
  const pid_t child = fork();
  if (child == 0) {
    unsigned long noise = 88172645463325252UL;
    for (long i = 0; i < mib; ++i) {
      void* piece =
          mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (piece == MAP_FAILED) _exit(1);
      // Noise: what compresses would vanish in compressed swap.
      auto* words = static_cast<unsigned long*>(piece);
      for (std::size_t word = 0; word < (1U << 20) / sizeof *words; ++word) {
        noise ^= noise << 13U;
        noise ^= noise >> 7U;
        noise ^= noise << 17U;
        words[word] = noise;
      }
    }
    _exit(0);
  }
  int status = 0;
  (void)waitpid(child, &status, 0);
  say("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  return 0;
}

int bomb(int seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  const pid_t first = getpid();
  (void)signal(SIGCHLD, SIG_IGN);  // nobody waits for anybody
  long made = 0, refused = 0;
  while (std::chrono::steady_clock::now() < end) {
    const pid_t child = fork();
    if (child > 0) ++made;
    if (child < 0) ++refused;
  }
  if (getpid() != first) _exit(0);
  say("made", made);
  say("refused", refused);
  return 0;
}

int dirty(const char* file, long mib, int seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  const std::vector<char> block(1 << 20, 'x');
  const int fd = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  long written = 0;
  while (fd >= 0 && std::chrono::steady_clock::now() < end) {
    if (pwrite(fd, block.data(), block.size(), (written % mib) << 20) <= 0) break;
    ++written;
  }
  say("written_mib", written);
  if (fd >= 0) close(fd);
  (void)unlink(file);
  return 0;
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/// ffff8000'00000000 and above, as %p and %lx print them.
bool has_kernel_address(std::string_view text) {
  for (std::size_t at = 0; (at = text.find("ffff", at)) != std::string_view::npos; ++at) {
    if (at != 0 && is_hex(text[at - 1])) continue;
    std::size_t end = at;
    while (end < text.size() && is_hex(text[end])) ++end;
    const std::string_view word = text.substr(at, end - at);
    // The vsyscall page is at the same place everywhere.
    if (word.size() == 16 && word[4] >= '8' && word.find_first_not_of('f') != std::string::npos &&
        word.substr(0, 12) != "ffffffffff60")
      return true;
  }
  return false;
}

void search_below(const std::string& dir, const std::vector<std::string>& needles, int depth,
                  long& files) {
  DIR* entries = opendir(dir.c_str());
  if (entries == nullptr || depth > 12) return;
  for (const dirent* entry = nullptr; (entry = readdir(entries)) != nullptr;) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || name == "task" || name == "map_files") continue;
    const std::string path = dir + "/" + entry->d_name;
    if (entry->d_type == DT_LNK) {
      std::vector<char> target(4096);
      const ssize_t size = readlink(path.c_str(), target.data(), target.size());
      const std::string_view text(target.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
      for (const std::string& needle : needles)
        if (text.find(needle) != std::string_view::npos)
          std::printf("hit %s %s\n", needle.c_str(), path.c_str());
      continue;
    }
    if (entry->d_type == DT_DIR) {
      // Of processes one is enough, and it is this one.
      if (dir == "/proc" && name[0] >= '0' && name[0] <= '9' && name != std::to_string(getpid()) &&
          name != "1")
        continue;
      search_below(path, needles, depth + 1, files);
      continue;
    }
    // This process's own memory has the needles in it.
    if (name == "mem" || name == "pagemap" || name == "clear_refs") continue;
    const std::string text = read_file(path);
    ++files;
    for (const std::string& needle : needles)
      if (text.find(needle) != std::string::npos)
        std::printf("hit %s %s\n", needle.c_str(), path.c_str());
    if (has_kernel_address(text)) std::printf("hit kernel-address %s\n", path.c_str());
  }
  closedir(entries);
}

int search(const std::string& file) {
  std::vector<std::string> needles;
  const std::string text = read_file(file);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) needles.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  long files = 0;
  for (const char* root : {"/proc", "/sys"}) search_below(root, needles, 0, files);
  say("searched", files);
  long processes = 0;
  if (DIR* entries = opendir("/proc")) {
    for (const dirent* entry = nullptr; (entry = readdir(entries)) != nullptr;)
      if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') ++processes;
    closedir(entries);
  }
  say("processes", processes);
  return 0;
}

int calls() {
  const auto answer = [](const char* name, long result) { say(name, result < 0 ? errno : 0); };
  answer("open_fuse", open("/dev/fuse", O_RDWR | O_CLOEXEC));
  answer("open_kmsg", open("/dev/kmsg", O_RDONLY | O_CLOEXEC));
  answer("open_mem", open("/dev/mem", O_RDONLY | O_CLOEXEC));
  answer("open_kvm", open("/dev/kvm", O_RDWR | O_CLOEXEC));
  answer("open_tun", open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  answer("mknod_fuse", mknod("/var/tmp/fuse", S_IFCHR | 0600, makedev(10, 229)));
  answer("agent_socket", access("/run/panal/agent.sock", R_OK | W_OK));
  answer("unshare_user", unshare(CLONE_NEWUSER));
  answer("unshare_mount", unshare(CLONE_NEWNS));
  answer("io_uring", syscall(SYS_io_uring_setup, 4, nullptr));
  answer("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
  answer("bpf", syscall(SYS_bpf, 0, nullptr, 0));
  answer("kill_init", kill(1, SIGKILL));
  answer("ptrace_init", syscall(SYS_ptrace, 16, 1, nullptr, nullptr));
  answer("oom_minus", [] {
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -1L : static_cast<long>(write(fd, "-1000", 5));
  }());
  answer("nice_minus", setpriority(PRIO_PROCESS, 0, -10));
  const sched_param real_time{1};
  answer("real_time", sched_setscheduler(0, SCHED_FIFO, &real_time));
  answer("mlock", [] {
    void* piece = mmap(nullptr, 256 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return static_cast<long>(mlock(piece, 256 << 20));
  }());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string> args(words + 1, words + count);
  const auto is = [&args](const char* verb, std::size_t size) {
    return !args.empty() && args[0] == verb && args.size() == size + 1;
  };
  if (is("serve", 1)) return serve(args[1]);
  if (is("fill", 2)) return fill(args[1], std::atol(args[2].c_str()));
  if (is("swap", 3)) return swap_links(args[1], args[2].c_str(), std::atoi(args[3].c_str()));
  if (is("ptys", 0)) return take_all("ptys", 10000, [] { return posix_openpt(O_RDWR) >= 0; });
  if (is("inotify", 0)) return take_inotify();
  if (is("fds", 0)) return take_fds();
  if (is("forks", 0)) return take_processes();
  if (is("maps", 0)) return take_maps();
  if (is("eat", 1)) return eat(std::atol(args[1].c_str()));
  if (is("bomb", 1)) return bomb(std::atoi(args[1].c_str()));
  if (is("dirty", 3))
    return dirty(args[1].c_str(), std::max(1L, std::atol(args[2].c_str())),
                 std::atoi(args[3].c_str()));
  if (is("search", 1)) return search(args[1]);
  if (is("calls", 0)) return calls();
  (void)std::fprintf(stderr, "attack: unknown words\n");
  return 2;
}

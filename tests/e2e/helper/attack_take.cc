// What runs out: see attack.cc.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "attack.h"

namespace {

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

void list_files(const std::string& dir, int depth, std::size_t most,
                std::vector<std::string>& into) {
  DIR* entries = depth > 0 ? opendir(dir.c_str()) : nullptr;
  if (entries == nullptr) return;
  for (const dirent* entry = nullptr;
       into.size() < most && (entry = readdir(entries)) != nullptr;) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = dir + "/" + entry->d_name;
    if (entry->d_type == DT_DIR) list_files(path, depth - 1, most, into);
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG) into.push_back(path);
  }
  closedir(entries);
}

struct FdsOfOne {
  long count;
  int error;
};

}  // namespace

int take_ptys() {
  return take_all("ptys", 10000, [] { return posix_openpt(O_RDWR) >= 0; });
}

int take_inotify() {
  raise_descriptors();  // a full table gives the same errno
  return take_all("inotify", 10000, [] { return inotify_init() >= 0; });
}

/// As many instances as there are, each of which watches the same files, so that it is the watches
/// that come to an end, and not the memory for files.
int take_watches() {
  raise_descriptors();
  std::vector<std::string> files;
  list_files("/usr", 12, 12000, files);
  long instances = 0, watches = 0;
  int error = 0;
  while (error == 0) {
    const int instance = inotify_init();
    if (instance < 0) {
      error = errno;
      break;
    }
    ++instances;
    for (const std::string& file : files) {
      if (inotify_add_watch(instance, file.c_str(), IN_MODIFY) >= 0) {
        ++watches;
      } else if (errno == ENOSPC || errno == ENOMEM) {
        error = errno;
        break;
      }
    }
  }
  say("files", static_cast<long>(files.size()));
  say("instances", instances);
  say("watches", watches);
  say("errno", error);
  hold();
  return 0;
}

/// Every process has its own table: what all of them hold is the host's memory, and its file-max.
int take_fds() {
  constexpr int kProcesses = 8;
  int reports[2] = {};
  if (pipe(reports) != 0) return 1;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      raise_descriptors();
      FdsOfOne one{0, 0};
      while (one.count < 2000000 && open("/dev/null", O_RDONLY) >= 0) ++one.count;
      one.error = errno;
      (void)!write(reports[1], &one, sizeof one);
      pause();
      _exit(0);
    }
    if (child > 0) children.push_back(child);
  }
  close(reports[1]);
  long least = 0, all = 0, refused = 0;
  int error = 0;
  FdsOfOne one{};
  for (int i = 0; i < kProcesses && read(reports[0], &one, sizeof one) == sizeof one; ++i) {
    least = i == 0 ? one.count : std::min(least, one.count);
    all += one.count;
    if (one.error == EMFILE || one.error == ENFILE || one.error == ENOMEM) ++refused;
    error = one.error;
  }
  rlimit limit{};
  (void)getrlimit(RLIMIT_NOFILE, &limit);
  say("limit", static_cast<long>(limit.rlim_max));
  say("least", least);
  say("fds", all);
  say("refused", refused);
  say("errno", error);
  hold();
  for (const pid_t child : children) kill(child, SIGKILL);
  return 0;
}

/// What a neighbour of all these needs goes on being there.
int probe() {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  say("fork", child < 0 ? errno : 0);
  if (child > 0) (void)waitpid(child, nullptr, 0);
  const auto tell = [](const char* name, int result) { say(name, result < 0 ? errno : 0); };
  const int instance = inotify_init();
  tell("inotify", instance);
  tell("watch", inotify_add_watch(instance, "/tmp", IN_CREATE));
  tell("pty", posix_openpt(O_RDWR | O_NOCTTY));
  tell("open", open("/dev/null", O_RDONLY));
  tell("map", mmap(nullptr, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
                  ? -1
                  : 0);
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

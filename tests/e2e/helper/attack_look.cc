// What is to be seen and called: see attack.cc.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "attack.h"

namespace {

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

}  // namespace

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

int sockets(const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string& name = names[i];
    std::memcpy(address.sun_path, name.c_str(), std::min(name.size(), sizeof address.sun_path - 1));
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    int error = 0;
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
      const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
      error = fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ? errno : 0;
      if (fd >= 0) close(fd);
      if (error == 0) break;
    }
    say(("socket" + std::to_string(i)).c_str(), error);
  }
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

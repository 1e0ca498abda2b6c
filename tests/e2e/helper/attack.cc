// What a desktop's user can do to the host and its neighbours, run from inside the desktop as that
// user (tests/e2e/hostile.py puts it into the home). Static: images have no compiler and no python.
//
// attack serve DIR              runs DIR/NAME.job (shell text), leaves DIR/NAME.out and NAME.rc
// attack fill DIR MIB           files, then bytes, until the kernel refuses or MIB are written
// attack swap DIR TARGET S      from when DIR/nx.sock is there, whoever makes it, it is in turn a
//                               socket and a link to TARGET, for S seconds
// attack ptys|fds|inotify|watches|maps
//                               takes as many as there are, holds them until box/release appears
// attack forks                  the same with processes
// attack probe                  whether there is one more of each to be had
// attack eat MIB                a child touches that much memory; how it ended
// attack bomb S                 for S seconds every process forks as often as it can
// attack dirty FILE MIB S       for S seconds writes and rewrites FILE through the page cache
// attack search FILE            looks in /proc and /sys for the lines of FILE, kernel addresses
// attack calls                  system calls whose answers are printed
// attack sockets NAME...        what connecting to each answers; "@NAME" is an abstract one
//
// Prints lines "NAME VALUE".
#include "attack.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>

void pause_ms(long ms) {
  const timespec time{ms / 1000, (ms % 1000) * 1000000};
  (void)nanosleep(&time, nullptr);
}

std::string read_file(const std::string& path, std::size_t most) {
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

void hold() {
  const char* home = getenv("HOME");
  const std::string release = std::string(home != nullptr ? home : "") + "/box/release";
  for (int i = 0; i < 1200 && access(release.c_str(), F_OK) != 0; ++i) pause_ms(100);
}

namespace {

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
  using Clock = std::chrono::steady_clock;
  const std::string name = dir + "/nx.sock";
  const std::string other = dir + "/planted";
  const auto is_socket = [](const std::string& path) {
    struct stat info{};
    return lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
  };
  const auto exchange = [&] {
    return renameat2(AT_FDCWD, other.c_str(), AT_FDCWD, name.c_str(), RENAME_EXCHANGE) == 0;
  };
  auto end = Clock::now() + std::chrono::minutes(2);
  long times = 0;
  while (Clock::now() < end) {
    if (is_socket(name)) {
      if (is_socket(other)) (void)unlink(other.c_str());
      (void)symlink(target, other.c_str());
      if (exchange() && times++ == 0) end = Clock::now() + std::chrono::seconds(seconds);
    } else if (is_socket(other)) {
      (void)exchange();
    }
  }
  say("swapped", times);
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
  if (is("ptys", 0)) return take_ptys();
  if (is("inotify", 0)) return take_inotify();
  if (is("watches", 0)) return take_watches();
  if (is("fds", 0)) return take_fds();
  if (is("probe", 0)) return probe();
  if (is("forks", 0)) return take_processes();
  if (is("maps", 0)) return take_maps();
  if (is("eat", 1)) return eat(std::atol(args[1].c_str()));
  if (is("bomb", 1)) return bomb(std::atoi(args[1].c_str()));
  if (is("dirty", 3))
    return dirty(args[1].c_str(), std::max(1L, std::atol(args[2].c_str())),
                 std::atoi(args[3].c_str()));
  if (is("search", 1)) return search(args[1]);
  if (is("calls", 0)) return calls();
  if (!args.empty() && args[0] == "sockets") return sockets({args.begin() + 1, args.end()});
  (void)std::fprintf(stderr, "attack: unknown words\n");
  return 2;
}

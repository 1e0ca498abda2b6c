#include "bench/faults/archive_server.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <sstream>

#include "engine/base/cleanup.h"
#include "engine/base/unique_fd.h"

namespace panal::bench {
namespace {

constexpr const char* kScript = PANAL_SOURCE_DIR "/tests/system/storage/helper/archive_server.py";
constexpr const char* kPython = "/usr/bin/python3";
constexpr std::size_t kLongestLine = 200;

/// Up to its end, or to the end of all.
std::string read_line(int fd) {
  std::string line;
  char c = 0;
  while (line.size() < kLongestLine && ::read(fd, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

}  // namespace

Result<void> ArchiveServer::is_possible() {
  for (const char* needed : {kScript, kPython, "/usr/bin/openssl"})
    if (::access(needed, R_OK) != 0) return fail_errno("find", needed);
  return {};
}

Result<std::unique_ptr<ArchiveServer>> ArchiveServer::start(const std::string& archive,
                                                            const std::string& dir) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make a pipe");
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  std::array<std::string, 6> words = {kPython, kScript, archive, dir + "/requests", "--tls", dir};
  std::array<char*, 7> argv{};
  for (std::size_t i = 0; i < words.size(); ++i) argv[i] = words[i].data();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  const Cleanup destroy([&actions] { ::posix_spawn_file_actions_destroy(&actions); });
  ::posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  pid_t child = -1;
  const int error = ::posix_spawn(&child, kPython, &actions, nullptr, argv.data(), environ);
  if (error != 0) return fail(error, std::string("start ") + kPython);
  PANAL_ASSIGN(Pidfd process, Pidfd::open(child));
  std::unique_ptr<ArchiveServer> server(new ArchiveServer(std::move(process)));
  writing.reset();
  std::istringstream(read_line(reading.get())) >> server->port_ >> server->pin_;
  if (server->pin_.empty()) return fail(EPROTO, std::string(kScript) + " does not start");
  server->certificate_ = dir + "/cert.pem";
  return server;
}

ArchiveServer::~ArchiveServer() {
  // Whoever waits for all children of this process may have reaped it.
  (void)process_.send_signal(SIGKILL);
  siginfo_t info{};
  (void)::waitid(P_PIDFD, static_cast<id_t>(process_.fd()), &info, WEXITED);
}

}  // namespace panal::bench

#include "bench/faults/archive_server.h"

#include <unistd.h>

#include <sstream>

#include "engine/base/pipe.h"

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
  PANAL_ASSIGN(Pipe said, make_pipe());
  ChildCommand command{.program = kPython};
  command.argv = {kPython, kScript, archive, dir + "/requests", "--tls", dir};
  command.descriptors = {{STDOUT_FILENO, said.write.get()}};
  PANAL_ASSIGN(ChildProcess process, ChildProcess::start(command));
  std::unique_ptr<ArchiveServer> server(new ArchiveServer(std::move(process)));
  said.write.reset();
  std::istringstream(read_line(said.read.get())) >> server->port_ >> server->pin_;
  if (server->pin_.empty()) return fail(EPROTO, std::string(kScript) + " does not start");
  server->certificate_ = dir + "/cert.pem";
  return server;
}

}  // namespace panal::bench

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/desktop/lxc/spawner.h"

// Starts containers for panald, which starts it; not for people. It is small on purpose: each
// container's monitor is a fork of it. No threads, so no logger: errors go to stderr.
namespace {

panal::Result<void> enter(const char* file, int type) {
  const panal::UniqueFd fd(::open(file, O_RDONLY | O_CLOEXEC));
  if (!fd) return panal::fail_errno("open namespace", file);
  if (::setns(fd.get(), type) != 0) return panal::fail_errno("enter namespace", file);
  return {};
}

panal::Result<void> run(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--mount-namespace") {
      PANAL_TRY(enter(argv[i + 1], CLONE_NEWNS));
    } else if (option == "--network-namespace") {
      PANAL_TRY(enter(argv[i + 1], CLONE_NEWNET));
    } else {
      return panal::fail(EINVAL, "unknown option " + option);
    }
  }
  if (argc % 2 == 0) return panal::fail(EINVAL, "an option without its value");
  const panal::UniqueFd socket(panal::desktop::lxc::kSpawnerFd);
  if (::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0)
    return panal::fail(EINVAL, "descriptor 3 is not open: panald starts this program");
  return panal::desktop::lxc::serve(socket);
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = run(argc, argv);
  if (done) return 0;
  std::fprintf(stderr, "panal-spawner: %s\n", done.error().message().c_str());
  return 1;
}

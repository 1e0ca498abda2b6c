#include "runtime/node/panald.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "engine/base/unique_fd.h"
#include "engine/kernel/namespaces.h"
#include "runtime/node/node.h"
#include "runtime/node/version.h"

namespace panal::node {
namespace {

constexpr std::chrono::seconds kDatabaseLimit{60};

constexpr const char* kUsage =
    "usage: panald [--config FILE]\n"
    "Runs this node's desktops; started by `panal up`.\n"
    "  --config FILE  default: $PANAL_CONFIG, else /etc/panal/panal.toml\n";

int complain(const std::string& sentence, int code) {
  std::cerr << "panald: " << sentence << "\n";
  return code;
}

/// One panald a run directory, and one a state directory. The lock lasts as long as the descriptor.
Result<UniqueFd> lock_node(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno("mkdir", directory);
  const std::string path = directory + "/panald.lock";
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return fail_errno("open", path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("lock", path);
    char pid[16] = {};
    const ssize_t size = ::pread(lock.get(), pid, sizeof pid - 1, 0);
    return fail(0, "another panald (pid " + std::string(size > 0 ? pid : "unknown") + ") serves " +
                       directory + " already");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return fail_errno("write", path);
  return lock;
}

/// Desktops' mounts are in a namespace that outlives us; only possible before the first thread.
Result<void> enter_namespaces(const config::Config& config) {
  if (auto pinned = kernel::ensure_pinned_namespaces(config.run_dir);
      !pinned && pinned.error().code != EXDEV)  // inside already
    return pinned;
  PANAL_ASSIGN(const UniqueFd mounts, kernel::open_namespace(config.mount_namespace_file()));
  return kernel::enter_mount_namespace(mounts);
}

/// A desktop takes some ten descriptors here: its groups, its agent, its init. Desktops themselves
/// get the usual limit back (runtime/desktop/lxc).
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<void> serve(const config::Config& config, const netconfine::OpenBackend& firewall) {
  PANAL_ASSIGN(const Programs programs, Programs::beside(config::program_dir()));
  PANAL_TRY(enter_namespaces(config));
  const LoggerPtr log = Logger::to_stderr("panald", LogLevel::kInfo);
  log->info(
      "start",
      {{"version", kVersion}, {"node", config.node_name}, {"pid", std::to_string(::getpid())}});
  PANAL_ASSIGN(auto node, Node::open(config, programs, log, kDatabaseLimit, firewall));
  log->info("serving", {{"socket", config.node_socket()}});
  node->run();
  log->info("stop");
  return {};
}

}  // namespace

int panald_main(int argc, char** argv, const netconfine::OpenBackend& firewall) {
  static const option kOptions[] = {{"config", required_argument, nullptr, 'c'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {"version", no_argument, nullptr, 'v'},
                                    {nullptr, 0, nullptr, 0}};
  std::string file;
  for (int option = 0; (option = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (option) {
      case 'c': file = optarg; break;
      case 'h': std::cout << kUsage; return 0;
      case 'v': std::cout << "panald " << kVersion << "\n"; return 0;
      default: std::cerr << kUsage; return 2;
    }
  }
  if (optind < argc) return complain(std::string("unexpected argument ") + argv[optind], 2);
  if (::geteuid() != 0) return complain("it needs root; `sudo panal up` starts it", 1);
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(022);
  raise_descriptor_limit();
  const auto config = config::load(file);
  if (!config) return complain(config.error().message(), 2);
  const auto lock = lock_node(config->run_dir);
  if (!lock) return complain(lock.error().message(), 1);
  const auto state_lock = lock_node(config->state_dir);
  if (!state_lock) return complain(state_lock.error().message(), 1);
  if (const auto served = serve(*config, firewall); !served)
    return complain(served.error().message(), 1);
  return 0;
}

}  // namespace panal::node

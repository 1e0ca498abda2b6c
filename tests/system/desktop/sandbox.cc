#include "sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "runtime/desktop/lxc/config.h"

namespace panal::desktop::testing {
namespace fs = std::filesystem;

Result<void> FileGate::listen(const DesktopSpec& spec, const std::string& shared_dir) {
  listening.insert(spec.id);
  dirs_[spec.id] = shared_dir;
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = shared_dir + "/agent.sock";
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  ::unlink(path.c_str());
  if (!socket || ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::chown(path.c_str(), spec.ids.first, spec.ids.first) != 0 || ::listen(socket.get(), 1) != 0)
    return fail_errno("listen at", path);
  sockets_[spec.id] = std::move(socket);
  return {};
}

Result<void> FileGate::wait_ready(DesktopId id, const Pidfd& init,
                                  std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (never_ready || ::access((dirs_[id] + "/nx/ready").c_str(), F_OK) != 0) {
    const UniqueFd agent(::accept(sockets_[id].get(), nullptr, nullptr));
    if (agent) {
      char frame[1024];
      const ssize_t got = ::recv(agent.get(), frame, sizeof frame, 0);
      hello.assign(frame, static_cast<std::size_t>(std::max<ssize_t>(0, got)));
      return {};
    }
    const auto ended = init.wait_exit(std::chrono::milliseconds{5});
    if (ended && *ended) return fail(ECHILD, "the agent ended before it said hello");
    if (std::chrono::steady_clock::now() > deadline) return fail(ETIMEDOUT, "wait for the agent");
  }
  return {};
}

Result<void> FileGate::poweroff(DesktopId, std::chrono::milliseconds) {
  return fail(ENOTCONN, "no agent");
}

void FileGate::close(DesktopId id) {
  listening.erase(id);
  sockets_.erase(id);
}

Sandbox::Sandbox(const std::string& mode) {
  const char* group = std::getenv("PANAL_LAB_CGROUP");
  const char* scratch = std::getenv("TMPDIR");
  if (group == nullptr || scratch == nullptr) throw std::runtime_error("run this in scripts/lab");
  std::string pattern = std::string(scratch) + "/desktop-XXXXXX";
  dir = ::mkdtemp(pattern.data());
  ::chmod(dir.c_str(), 0711);  // the container's root walks through
  // The run directory on a tmpfs of its own, as /run is.
  config.run_dir = dir / "run";
  config.state_dir = dir / "state";
  config.homes_dir = dir / "state/homes";
  config.cgroup_parent = std::string(group) + "/panal";
  config.start_timeout_seconds = 20;
  fs::create_directories(config.homes_dir);
  fs::create_directories(config.run_dir);
  if (::mount("run", config.run_dir.c_str(), "tmpfs", 0, "mode=755") != 0)
    throw std::runtime_error("mount a run directory");
  image = dir / "image";
  for (const char* name : {"bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp"})
    fs::create_directories(image / name);
  std::ofstream(image / "etc/mode") << mode;

  const auto must = [](auto result) {
    if (!result) throw std::runtime_error(result.error().message());
    return std::move(*result);
  };
  tree = must(Tree::open_system());
  homes = std::make_unique<storage::HomeStore>(config.homes_dir);
  UniqueFd ns(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  network = must(
      netconfine::Network::open(std::move(ns), {config.subnet4, config.subnet6}, Logger::silent()));
  groups = must(KernelGroups::open(tree, config.cgroup_parent));
  open_pool();
}

void Sandbox::open_pool(const std::string& init) {
  lifecycle.reset();
  containers.reset();
  pool.reset();
  lxc::SpawnerOptions options;
  options.program = PANAL_BIN_DIR "/panal-spawner";
  options.spawners = 2;
  auto opened = lxc::SpawnerPool::open(options, Logger::to_stderr("pool", LogLevel::kWarning));
  if (!opened) throw std::runtime_error(opened.error().message());
  pool = std::move(*opened);
  containers = std::make_unique<lxc::LxcBackend>(
      *pool, lxc::LxcOptions{init, config.cgroup_parent, config.run_dir + "/lxc",
                             lxc::apparmor_profile(tree)});
  lifecycle =
      std::make_unique<Lifecycle>(Parts{compose, *homes, *network, *containers, *groups, shared,
                                        gate, Logger::to_stderr("life", LogLevel::kWarning)},
                                  config);
}

Sandbox::~Sandbox() {
  if (const auto found = lifecycle->find()) {
    for (const Trace& trace : *found) {
      const auto done = lifecycle->discard_leftovers(trace.id);
      EXPECT_TRUE(done) << done.error().message();
    }
  }
  const auto parents = groups->remove_parents();
  EXPECT_TRUE(parents) << parents.error().message();
  lifecycle.reset();
  containers.reset();
  pool.reset();
  EXPECT_EQ(::umount2(config.run_dir.c_str(), 0), 0) << "something below the run directory is used";
  std::error_code error;
  fs::remove_all(dir, error);
}

DesktopSpec Sandbox::spec(DesktopId id) const {
  DesktopSpec spec;
  spec.id = id;
  spec.name = "Alice's desk";
  spec.version_root = image;
  spec.home = "alice" + std::to_string(id);
  spec.user.tenant = "acme";
  spec.user.login = "alice";
  spec.user.home_path = "/home/alice";
  spec.ids = IdRange{static_cast<std::uint32_t>(2000000 + 65536 * id), 65536};
  spec.limits.memory_bytes = std::uint64_t{256} << 20U;
  spec.limits.pids = 64;
  spec.compose = "overlay";
  return spec;
}

std::vector<std::string> Sandbox::report(DesktopId id) const {
  std::ifstream in(lifecycle->shared_dir(id) + "/nx/report");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> Sandbox::traces(DesktopId id) const {
  std::vector<std::string> found;
  const std::string name = kernel_name(id);
  for (const auto& entry : fs::directory_iterator("/sys/fs/cgroup")) {
    for (const std::string& parent : {config.cgroup_parent, config.cgroup_parent + "-monitor"}) {
      const fs::path group = entry.path() / parent / name;
      if (fs::exists(group)) found.push_back("cgroup " + group.string());
    }
  }
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);)
    if (line.find("/desktops/" + name + "/") != std::string::npos) found.push_back("mount " + line);
  if (fs::exists(config.desktop_run_dir(id))) found.push_back("run directory");
  if (fs::exists("/sys/class/net/pnl" + std::to_string(id))) found.push_back("link");
  if (const auto links = network->links()) {
    for (const auto& link : *links)
      if (link.id == id) found.push_back("link in netconfine");
  }
  if (gate.listening.count(id) != 0) found.push_back("agent socket");
  for (const auto& entry : fs::recursive_directory_iterator(config.homes_dir))
    if (entry.path().extension() == ".lock") {
      std::ifstream in(entry.path());
      std::string owner;
      std::getline(in, owner);
      if (owner.find(name) != std::string::npos) found.push_back("home lock");
    }
  if (fs::exists("/run/lxc/lock" + config.run_dir + "/lxc/." + name)) found.push_back("lxc lock");
  return found;
}

std::string value_of(const std::vector<std::string>& report, const std::string& key) {
  for (const std::string& line : report)
    if (line.rfind(key + " ", 0) == 0 || line.rfind(key + "\t", 0) == 0)
      return line.substr(key.size() + 1);
  return {};
}

int errno_of(const std::vector<std::string>& report, const std::string& name) {
  const std::string text = value_of(report, "call " + name);
  return text.empty() ? -1 : std::atoi(text.c_str());
}

}  // namespace panal::desktop::testing

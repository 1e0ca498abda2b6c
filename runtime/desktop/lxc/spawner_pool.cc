#include "runtime/desktop/lxc/spawner_pool.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

namespace panal::desktop::lxc {

Result<std::unique_ptr<SpawnerPool>> SpawnerPool::open(SpawnerOptions options, LoggerPtr log) {
  if (::access(options.program.c_str(), X_OK) != 0)
    return fail_errno("the spawner program", options.program);
  std::unique_ptr<SpawnerPool> pool(new SpawnerPool(std::move(options), std::move(log)));
  for (Spawner& spawner : pool->spawners_) PANAL_TRY(pool->launch(spawner));
  return pool;
}

SpawnerPool::SpawnerPool(SpawnerOptions options, LoggerPtr log)
    : options_(std::move(options)), log_(std::move(log)) {
  spawners_.resize(static_cast<std::size_t>(std::max(1, options_.spawners)));
}

SpawnerPool::~SpawnerPool() {
  for (Spawner& spawner : spawners_) spawner.socket.reset();  // they end by themselves
  for (Spawner& spawner : spawners_) end(spawner);
}

Result<void> SpawnerPool::launch(Spawner& spawner) const {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno("socketpair for a spawner");
  UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  std::vector<std::string> arguments{options_.program};
  if (!options_.mount_namespace.empty())
    arguments.insert(arguments.end(), {"--mount-namespace", options_.mount_namespace});
  if (!options_.network_namespace.empty())
    arguments.insert(arguments.end(), {"--network-namespace", options_.network_namespace});
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork a spawner");
  if (pid == 0) {
    // Other threads may hold locks: only system calls from here.
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (theirs.get() == kSpawnerFd) {
      ::fcntl(kSpawnerFd, F_SETFD, 0);
    } else if (::dup2(theirs.get(), kSpawnerFd) < 0) {
      ::_exit(126);
    }
    ::syscall(SYS_close_range, kSpawnerFd + 1, ~0U, 0);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  spawner.pid = pid;
  spawner.socket = std::move(ours);
  return {};
}

void SpawnerPool::end(Spawner& spawner) {
  spawner.socket.reset();
  if (spawner.pid <= 0) return;
  ::kill(spawner.pid, SIGKILL);  // ours and not reaped yet, so the pid is still its own
  while (::waitpid(spawner.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  spawner.pid = -1;
}

Result<Pidfd> SpawnerPool::start(const StartRequest& request) {
  Spawner* mine = nullptr;
  {
    std::unique_lock lock(mutex_);
    const auto is_free = [](const Spawner& s) { return !s.busy; };
    freed_.wait(lock, [&] { return std::any_of(spawners_.begin(), spawners_.end(), is_free); });
    mine = &*std::find_if(spawners_.begin(), spawners_.end(), is_free);
    mine->busy = true;
  }
  auto answer = [&]() -> Result<Pidfd> {
    // One that died while idle has done no harm: replace it before the request.
    if (mine->pid > 0 && ::waitpid(mine->pid, nullptr, WNOHANG) != 0) {
      log_->warning("spawner_died", {{"pid", std::to_string(mine->pid)}});
      mine->pid = -1;
    }
    if (mine->pid <= 0) PANAL_TRY(launch(*mine));
    return request_start(mine->socket, request, options_.timeout_ms);
  }();
  const std::lock_guard lock(mutex_);
  // A late answer must not be taken for the next request's.
  if (!answer && (answer.error().code == ETIMEDOUT || answer.error().code == EPIPE ||
                  answer.error().code == EPROTO || answer.error().code == EMSGSIZE)) {
    log_->warning("spawner_ended",
                  {{"pid", std::to_string(mine->pid)}, {"why", answer.error().message()}});
    end(*mine);
  }
  mine->busy = false;
  freed_.notify_one();
  return answer;
}

std::vector<pid_t> SpawnerPool::pids() const {
  const std::lock_guard lock(mutex_);
  std::vector<pid_t> pids;
  for (const Spawner& spawner : spawners_)
    if (spawner.pid > 0) pids.push_back(spawner.pid);
  return pids;
}

}  // namespace panal::desktop::lxc

#include "bench/faults/fault_database.h"

#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

namespace panal::bench {
namespace {

constexpr const char* kAccount = "postgres";
constexpr const char* kServers = "/usr/lib/postgresql";
constexpr std::chrono::seconds kMostStarting{30};
constexpr std::chrono::seconds kMostStopping{20};

}  // namespace

Result<void> FaultDatabase::is_possible() {
  if (::access(kServers, X_OK) != 0) return fail_errno("find PostgreSQL in", kServers);
  if (::getpwnam(kAccount) == nullptr)
    return fail(ENOENT, std::string("there is no account ") + kAccount);
  return {};
}

Result<std::unique_ptr<FaultDatabase>> FaultDatabase::start(const std::string& dir) {
  config::Config config;
  config.state_dir = dir + "/pg";
  config.run_dir = dir + "/pg/run";
  config.database_user = kAccount;
  config.broker_user = "nobody";
  std::unique_ptr<FaultDatabase> made(new FaultDatabase(std::move(config)));
  PANAL_TRY(made->cluster_.ensure());
  PANAL_ASSIGN(made->server_, made->cluster_.start());
  PANAL_TRY(made->cluster_.wait_ready(kMostStarting, &made->server_));
  PANAL_TRY(made->cluster_.prepare());
  return made;
}

FaultDatabase::~FaultDatabase() {
  if (!server_.valid()) return;
  // Whoever waits for all children of this process may have reaped it.
  (void)server_.send_signal(SIGINT);
  const auto ended = server_.wait_exit(kMostStopping);
  if (!ended || !*ended) (void)server_.send_signal(SIGKILL);
  siginfo_t info{};
  (void)::waitid(P_PIDFD, static_cast<id_t>(server_.fd()), &info, WEXITED);
}

Result<std::unique_ptr<store::Store>> FaultDatabase::connect() const {
  return store::Store::connect(config_.database_conninfo(store::kAdminRole));
}

}  // namespace panal::bench

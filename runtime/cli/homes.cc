#include "runtime/cli/homes.h"

#include <unistd.h>

#include "engine/base/log.h"
#include "storage/quota/probe.h"

namespace panal::cli {
namespace {

constexpr std::chrono::minutes kHoldLasts{15};
constexpr std::chrono::minutes kRenewEvery{1};

}  // namespace

Result<HomeHold> HomeHold::take(store::Store& store, const config::Config& config,
                                const HomeOptions& options, const std::string& what) {
  PANAL_TRY(storage::check_home_names(options.tenant, options.home));
  store::HomeClaim claim{options.tenant,   options.home,
                         config.node_name, what + "-" + std::to_string(::getpid()),
                         std::nullopt,     kHoldLasts};
  PANAL_TRY(store.homes().take(claim));
  return HomeHold(store, std::move(claim));
}

HomeHold::~HomeHold() {
  // A lost database ends the lease by itself, a quarter of an hour later.
  if (store_) (void)store_->homes().give_back(claim_);
}

void HomeHold::renew() {
  const auto now = std::chrono::steady_clock::now();
  if (now - renewed_ < kRenewEvery) return;
  renewed_ = now;
  (void)store_->homes().take(claim_);  // a lost database: see above
}

Result<space::HomePlan> home_plan(const config::Config& config, bool probe) {
  PANAL_ASSIGN(const auto table, storage::read_mount_table());
  std::vector<storage::QuotaFinding> findings;
  if (probe && space::homes_want_probe(config, space::homes_are_remote(config, table)))
    findings = storage::probe_quotas(config.homes_dir);
  return space::plan_homes(config, table, findings);
}

ExitCode told_of_home(const Shell& shell, const Error& error) {
  switch (error.code) {
    case EOPNOTSUPP: return shell.refuse(ExitCode::kRefused, error.context);
    case EPROTO:
    case EFBIG:
    case EAGAIN:
    case ECANCELED:
    case ETIMEDOUT: return shell.refuse(ExitCode::kFailed, error.context);
    default: return shell.told(error);
  }
}

}  // namespace panal::cli

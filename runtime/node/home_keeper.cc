#include "runtime/node/home_keeper.h"

#include <iterator>
#include <utility>
#include <vector>

#include "runtime/desktop/places.h"
#include "storage/home/home_call.h"
#include "storage/home/home_child.h"

namespace panal::node {
namespace {

constexpr std::chrono::seconds kHomesEvery{15};

}  // namespace

HomeKeeper::HomeKeeper(Parts parts)
    : parts_(std::move(parts)),
      leases_(std::chrono::seconds(parts_.config.homes_lease_seconds),
              std::chrono::steady_clock::now()) {
  if (storage::HomeChildren* children = parts_.host.home_children()) watch_homes(*children);
}

void HomeKeeper::watch_homes(storage::HomeChildren& children) {
  const config::Config& config = parts_.config;
  const auto probe = [&children, dir = config.homes_dir](const std::vector<std::string>& paths) {
    storage::home_call::Call call;
    call.verb = storage::home_call::Verb::kProbe;
    call.homes_dir = dir;
    call.words = paths;
    return children.ask(call);
  };
  const auto tell = [this](DesktopId id, const std::string& why) {
    parts_.loop.post([this, id, why] { lost_[id] = why; });
  };
  storage::GuardedHomeStore* guarded = parts_.host.guarded_homes();
  watch_ = std::make_unique<HomeWatch>(HomeWatch::Parts{
      config.homes_dir, std::chrono::seconds(config.homes_lost_seconds), probe, tell, parts_.log,
      [guarded] { return guarded->left(); }, [guarded] { return guarded->unlock_left(); }});
  watch_->start(kHomesEvery);
}

void HomeKeeper::stop() {
  if (watch_) watch_->stop();
}

void HomeKeeper::started(DesktopId id) {
  if (watch_) watch_->add(id, desktop::places_of(parts_.config, id).home);
}

void HomeKeeper::ended(DesktopId id) {
  if (watch_) watch_->remove(id);
}

void HomeKeeper::renew() {
  const auto now = std::chrono::steady_clock::now();
  const Reconciler& reconciler = parts_.reconciler;
  // With their inits: one that is started anew meanwhile has another lease.
  std::map<DesktopId, pid_t> had;
  for (const DesktopId id : reconciler.running_ids())
    if (reconciler.running(id)->home_leased) had[id] = reconciler.init_pid(id);
  if (leases_.must_let_go(now))
    for (const auto& [id, init] : had)
      lost_.try_emplace(id,
                        "the database has not answered for too long: another node may have been "
                        "given the home");
  parts_.clerk.submit([this, had, now](store::Store& store) {
    const auto kept = std::make_shared<Result<std::set<DesktopId>>>(store.homes().renew(
        parts_.config.node_name, std::chrono::seconds(parts_.config.homes_lease_seconds)));
    parts_.loop.post([this, had, now, kept] { on_renewed(had, now, *kept); });
  });
}

void HomeKeeper::on_renewed(const std::map<DesktopId, pid_t>& had,
                            std::chrono::steady_clock::time_point begun,
                            const Result<std::set<DesktopId>>& kept) {
  if (!kept) return parts_.log->warning("renew_homes", {{"why", kept.error().message()}});
  leases_.renewed(begun);
  for (const auto& [id, init] : had)
    if (!kept->contains(id) && parts_.reconciler.init_pid(id) == init)
      lost_.try_emplace(id,
                        "the home was given to somebody else: it was unlocked, or its lease ran "
                        "out while this node could not renew it");
}

void HomeKeeper::give_up_lost() {
  Reconciler& reconciler = parts_.reconciler;
  for (auto one = lost_.begin(); one != lost_.end();) {
    const bool done =
        reconciler.running(one->first) == nullptr || reconciler.give_up(one->first, one->second);
    one = done ? lost_.erase(one) : std::next(one);
  }
}

}  // namespace panal::node

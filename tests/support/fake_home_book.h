#pragma once

#include <algorithm>
#include <mutex>
#include <vector>

#include "runtime/store/homes.h"

namespace panal::store {

/// Leases in memory; time goes by when a test says so.
class FakeHomeBook final : public HomeBook {
 public:
  Result<HomeGrant> take(const HomeClaim& claim) override {
    const std::lock_guard lock(mutex);
    HomeGrant grant;
    if (const auto held = find(claim.tenant, claim.home); held != rows.end()) {
      const bool mine = held->node == claim.node && held->holder == claim.holder;
      if (!mine && !held->expired)
        return fail(EBUSY, "home " + claim.home + " is in use by " + held->holder + " on node " +
                               held->node);
      if (!mine) grant.evicted = held->holder + "@" + held->node;
      rows.erase(held);
    }
    rows.push_back({claim.tenant, claim.home, claim.node, claim.holder, claim.desktop, "", "",
                    claim.lasts.count() > 0 ? "later" : "", false});
    return grant;
  }
  Result<void> give_back(const HomeClaim& claim) override {
    const std::lock_guard lock(mutex);
    std::erase_if(rows, [&](const HomeLease& one) {
      return one.tenant == claim.tenant && one.home == claim.home && one.node == claim.node &&
             one.holder == claim.holder;
    });
    return {};
  }
  Result<void> give_back_of(DesktopId desktop, const std::string& node) override {
    const std::lock_guard lock(mutex);
    std::erase_if(rows,
                  [&](const HomeLease& one) { return one.desktop == desktop && one.node == node; });
    return {};
  }
  Result<std::set<DesktopId>> renew(const std::string& node, std::chrono::seconds) override {
    const std::lock_guard lock(mutex);
    if (away) return fail(ENOTCONN, "the database is away");
    std::set<DesktopId> kept;
    for (const HomeLease& one : rows)
      if (one.node == node && one.desktop) kept.insert(*one.desktop);
    return kept;
  }
  Result<void> recover(const std::string& node, const std::set<DesktopId>& live) override {
    const std::lock_guard lock(mutex);
    std::erase_if(rows, [&](const HomeLease& one) {
      return one.node == node && one.desktop && !live.contains(*one.desktop);
    });
    return {};
  }
  Result<std::vector<HomeLease>> leases() override {
    const std::lock_guard lock(mutex);
    return rows;
  }
  Result<HomeLease> unlock(const std::string& tenant, const std::string& home,
                           const std::string&) override {
    const std::lock_guard lock(mutex);
    const auto held = find(tenant, home);
    if (held == rows.end()) return fail(ENOENT, "nobody has home " + home + ": there is no lease");
    HomeLease lease = *held;
    rows.erase(held);
    return lease;
  }

  std::mutex mutex;
  std::vector<HomeLease> rows;
  bool away = false;

 private:
  std::vector<HomeLease>::iterator find(const std::string& tenant, const std::string& home) {
    return std::find_if(rows.begin(), rows.end(), [&](const HomeLease& one) {
      return one.tenant == tenant && one.home == home;
    });
  }
};

}  // namespace panal::store

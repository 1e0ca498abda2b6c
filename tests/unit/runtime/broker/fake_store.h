#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "runtime/store/store.h"
#include "tests/support/fake_home_book.h"

namespace panal::broker {

/// Rows in memory, shared by every connection to it; the broker's calls only.
struct FakeDatabase {
  std::mutex mutex;
  std::map<std::string, store::User> users;  ///< by login@tenant
  std::map<DesktopId, store::Desktop> desktops;
  std::vector<std::string> audit, sessions, wishes;
  std::vector<std::string> notifications;
  std::atomic<bool> down{false};

  void change(DesktopId id, store::Observed observed, const std::string& reason = {}) {
    const std::lock_guard lock(mutex);
    auto& desktop = desktops[id];
    desktop.observed = observed;
    desktop.reason = reason;
    if (observed != store::Observed::kStopped) desktop.claimed_generation = desktop.generation;
    notifications.push_back(std::to_string(id));
  }
  std::vector<std::string> copy(const std::vector<std::string>& list) {
    const std::lock_guard lock(mutex);
    return list;
  }
};

class FakeStore final : public store::Store {
 public:
  explicit FakeStore(FakeDatabase& database) : db_(database) {}

  Result<std::optional<store::User>> find_user(const std::string& tenant,
                                               const std::string& login) override {
    const std::lock_guard lock(db_.mutex);
    if (db_.down) return fail(ENOTCONN, "fake");
    const auto found = db_.users.find(login + "@" + tenant);
    if (found == db_.users.end()) return std::optional<store::User>{};
    return std::optional<store::User>(found->second);
  }
  Result<std::vector<store::Desktop>> desktops_of(const std::string& tenant,
                                                  const std::string& login) override {
    const std::lock_guard lock(db_.mutex);
    if (db_.down) return fail(ENOTCONN, "fake");
    std::vector<store::Desktop> out;
    for (const auto& [id, desktop] : db_.desktops) {
      if (desktop.tenant == tenant && desktop.login == login) out.push_back(desktop);
    }
    return out;
  }
  Result<store::Desktop> desktop(DesktopId id) override {
    const std::lock_guard lock(db_.mutex);
    if (db_.down) return fail(ENOTCONN, "fake");
    const auto found = db_.desktops.find(id);
    if (found == db_.desktops.end()) return fail(ENOENT, "fake");
    return found->second;
  }
  Result<void> set_desired(DesktopId id, store::Desired desired,
                           const std::string& actor) override {
    const std::lock_guard lock(db_.mutex);
    if (db_.down) return fail(ENOTCONN, "fake");
    db_.desktops[id].desired = desired;
    if (desired == store::Desired::kRunning) ++db_.desktops[id].generation;
    db_.wishes.push_back(actor + " " + std::string(to_string(desired)) + " " + std::to_string(id));
    return {};
  }
  Result<std::int64_t> begin_session(DesktopId desktop, const std::string& address,
                                     const std::string& kind) override {
    const std::lock_guard lock(db_.mutex);
    db_.sessions.push_back("begin " + std::to_string(desktop) + " " + address + " " + kind);
    return 77;
  }
  Result<void> end_session(std::int64_t session, std::uint64_t up, std::uint64_t down,
                           const std::string& reason) override {
    const std::lock_guard lock(db_.mutex);
    db_.sessions.push_back("end " + std::to_string(session) + " " + std::to_string(up) + " " +
                           std::to_string(down) + " " + reason);
    return {};
  }
  Result<void> audit(const std::string& actor, const std::string& action, const std::string& object,
                     const std::string& detail) override {
    const std::lock_guard lock(db_.mutex);
    db_.audit.push_back(actor + " " + action + " " + object + " " + detail);
    return {};
  }
  Result<void> listen(const std::string&) override { return {}; }
  Result<std::vector<std::string>> wait_notifications(std::chrono::milliseconds timeout) override {
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (!interrupted_.exchange(false) && std::chrono::steady_clock::now() < end) {
      {
        const std::lock_guard lock(db_.mutex);
        if (!db_.notifications.empty()) return std::exchange(db_.notifications, {});
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return std::vector<std::string>{};
  }
  store::HomeBook& homes() override { return homes_; }
  void interrupt() override { interrupted_ = true; }

  // Not the broker's.
  Result<store::User> add_user(store::User) override { return no(); }
  Result<void> set_password(const std::string&, const std::string&, const std::string&) override {
    return no();
  }
  Result<void> remove_user(const std::string&, const std::string&) override { return no(); }
  Result<void> set_blocked(const std::string&, const std::string&, bool) override { return no(); }
  Result<std::vector<store::User>> users() override { return no(); }
  Result<void> set_trust(const std::string&, const std::string&, const std::string&) override {
    return no();
  }
  Result<std::vector<store::Tenant>> tenants() override { return no(); }
  Result<void> add_tenant(const std::string&, const std::string&) override { return no(); }
  Result<void> remove_tenant(const std::string&, const std::string&) override { return no(); }
  Result<void> set_share_memory(const std::string&, bool, const std::string&) override {
    return no();
  }
  Result<void> add_version(const store::Version&, const std::string&) override { return no(); }
  Result<std::vector<store::Image>> images() override { return no(); }
  Result<std::vector<store::Version>> versions() override { return no(); }
  Result<void> remove_version(const std::string&, const std::string&, const std::string&) override {
    return no();
  }
  Result<std::vector<store::Removal>> removals() override { return no(); }
  Result<void> finish_removal(const store::Removal&, const std::string&) override { return no(); }
  Result<std::vector<store::Tag>> tags() override { return no(); }
  Result<void> move_tag(const store::TagChange&) override { return no(); }
  Result<std::vector<store::TagMove>> tag_moves(const std::string&, const std::string&) override {
    return no();
  }
  Result<void> set_source(DesktopId, const std::string&, const std::string&,
                          const std::string&) override {
    return no();
  }
  Result<void> set_net_policy(const store::NetTarget&, const std::string&,
                              const std::string&) override {
    return no();
  }
  Result<std::vector<store::NetAssignment>> net_assignments() override { return no(); }
  Result<std::vector<store::DesktopNetPolicy>> net_policies(const std::string&) override {
    return no();
  }
  Result<store::DesktopNetPolicy> net_policy(DesktopId) override { return no(); }
  Result<store::Desktop> add_desktop(const store::Desktop&) override { return no(); }
  Result<void> remove_desktop(DesktopId) override { return no(); }
  Result<std::vector<store::Desktop>> desktops() override { return no(); }
  Result<void> register_node(const std::string&, const std::string&, std::int64_t) override {
    return no();
  }
  Result<std::vector<store::Desktop>> desktops_on(const std::string&) override { return no(); }
  Result<std::optional<store::Desktop>> claim_start(DesktopId, const std::string&,
                                                    std::uint32_t) override {
    return no();
  }
  Result<void> observe(DesktopId, store::Observed, const std::string&) override { return no(); }
  Result<void> observe_session(DesktopId, const std::string&, std::uint64_t) override {
    return no();
  }
  Result<std::vector<store::AuditRow>> audit_rows(std::uint32_t) override { return no(); }

 private:
  store::FakeHomeBook homes_;
  static Failure no() { return fail(EACCES, "the broker may not"); }
  FakeDatabase& db_;
  std::atomic<bool> interrupted_{false};
};

}  // namespace panal::broker

#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "runtime/store/store.h"
#include "tests/support/fake_home_book.h"

namespace panal::node {

/// Rows in memory with the node's part of Store's behaviour. Several FakeStores share one Rows, as
/// connections share a database.
struct FakeRows {
  std::mutex mutex;
  std::vector<store::DesktopNetPolicy> net;
  std::vector<std::string> audited;
  std::map<DesktopId, store::Desktop> desktops;
  std::string next_version;  ///< what starts take from now on
  bool away = false;         ///< every call fails with ENOTCONN
  store::FakeHomeBook homes;

  template <typename Work>
  auto with(Work work) {
    const std::lock_guard lock(mutex);
    return work(*this);
  }
};

class FakeStore final : public store::Store {
 public:
  explicit FakeStore(std::shared_ptr<FakeRows> rows) : rows_(std::move(rows)) {}

  Result<std::vector<store::Desktop>> desktops_on(const std::string& node) override {
    const std::lock_guard lock(rows_->mutex);
    if (rows_->away) return lost();
    std::vector<store::Desktop> list;
    for (const auto& [id, row] : rows_->desktops)
      if (row.node == node) list.push_back(row);
    return list;
  }
  Result<store::Desktop> desktop(DesktopId id) override {
    const std::lock_guard lock(rows_->mutex);
    if (rows_->away) return lost();
    const auto found = rows_->desktops.find(id);
    if (found == rows_->desktops.end()) return fail(ENOENT, "no desktop");
    return found->second;
  }
  Result<std::optional<store::Desktop>> claim_start(DesktopId id, const std::string&,
                                                    std::uint32_t) override {
    const std::lock_guard lock(rows_->mutex);
    if (rows_->away) return lost();
    store::Desktop& row = rows_->desktops[id];
    row.claimed_generation = row.generation;
    row.observed = store::Observed::kComposing;
    row.running_version = row.next_version = rows_->next_version;
    row.soft_left_ms = row.hard_left_ms = std::nullopt;
    return std::optional(row);
  }
  Result<void> observe(DesktopId id, store::Observed observed, const std::string& why) override {
    const std::lock_guard lock(rows_->mutex);
    if (rows_->away) return lost();
    store::Desktop& row = rows_->desktops[id];
    row.observed = observed;
    row.reason = why;
    if (observed == store::Observed::kFailed) row.claimed_generation = row.generation;
    return {};
  }

  // What a node does not ask.
  Result<store::User> add_user(store::User) override { return unused(); }
  Result<void> set_password(const std::string&, const std::string&, const std::string&) override {
    return unused();
  }
  Result<void> set_blocked(const std::string&, const std::string&, bool) override {
    return unused();
  }
  Result<void> remove_user(const std::string&, const std::string&) override { return unused(); }
  Result<std::vector<store::User>> users() override { return unused(); }
  Result<std::optional<store::User>> find_user(const std::string&, const std::string&) override {
    return unused();
  }
  Result<void> set_trust(const std::string&, const std::string&, const std::string&) override {
    return unused();
  }
  Result<std::vector<store::Tenant>> tenants() override { return unused(); }
  Result<void> add_tenant(const std::string&, const std::string&) override { return unused(); }
  Result<void> remove_tenant(const std::string&, const std::string&) override { return unused(); }
  Result<void> set_share_memory(const std::string&, bool, const std::string&) override {
    return unused();
  }
  Result<void> add_version(const store::Version&, const std::string&) override { return unused(); }
  Result<std::vector<store::Image>> images() override { return unused(); }
  Result<std::vector<store::Version>> versions() override { return unused(); }
  Result<void> remove_version(const std::string&, const std::string&, const std::string&) override {
    return unused();
  }
  Result<std::vector<store::Removal>> removals() override { return unused(); }
  Result<void> finish_removal(const store::Removal&, const std::string&) override {
    return unused();
  }
  Result<std::vector<store::Tag>> tags() override { return unused(); }
  Result<void> move_tag(const store::TagChange&) override { return unused(); }
  Result<std::vector<store::TagMove>> tag_moves(const std::string&, const std::string&) override {
    return unused();
  }
  Result<void> set_source(DesktopId, const std::string&, const std::string&,
                          const std::string&) override {
    return unused();
  }
  Result<void> set_net_policy(const store::NetTarget&, const std::string&,
                              const std::string&) override {
    return unused();
  }
  Result<std::vector<store::NetAssignment>> net_assignments() override { return unused(); }
  Result<std::vector<store::DesktopNetPolicy>> net_policies(const std::string&) override {
    const std::lock_guard lock(rows_->mutex);
    if (rows_->away) return lost();
    return rows_->net;
  }
  Result<store::DesktopNetPolicy> net_policy(DesktopId id) override {
    const std::lock_guard lock(rows_->mutex);
    for (const auto& one : rows_->net)
      if (one.id == id) return one;
    return fail(ENOENT, "there is no desktop " + std::to_string(id));
  }
  Result<store::Desktop> add_desktop(const store::Desktop&) override { return unused(); }
  Result<void> remove_desktop(DesktopId) override { return unused(); }
  Result<std::vector<store::Desktop>> desktops() override { return unused(); }
  Result<std::vector<store::Desktop>> desktops_of(const std::string&, const std::string&) override {
    return unused();
  }
  Result<void> set_desired(DesktopId, store::Desired, const std::string&) override {
    return unused();
  }
  Result<void> register_node(const std::string&, const std::string&, std::int64_t) override {
    return {};
  }
  Result<void> observe_session(DesktopId, const std::string&, std::uint64_t) override { return {}; }
  Result<std::int64_t> begin_session(DesktopId, const std::string&, const std::string&) override {
    return unused();
  }
  Result<void> end_session(std::int64_t, std::uint64_t, std::uint64_t,
                           const std::string&) override {
    return unused();
  }
  Result<void> audit(const std::string& actor, const std::string& action, const std::string& object,
                     const std::string& detail) override {
    const std::lock_guard lock(rows_->mutex);
    rows_->audited.push_back(actor + " " + action + " " + object + ": " + detail);
    return {};
  }
  Result<std::vector<store::AuditRow>> audit_rows(std::uint32_t) override { return unused(); }
  Result<void> listen(const std::string&) override { return unused(); }
  Result<std::vector<std::string>> wait_notifications(std::chrono::milliseconds) override {
    return unused();
  }
  void interrupt() override {}
  store::HomeBook& homes() override { return rows_->homes; }

 private:
  static Failure unused() { return fail(ENOSYS, "not faked"); }
  static Failure lost() { return fail(ENOTCONN, "the database is away"); }
  std::shared_ptr<FakeRows> rows_;
};

}  // namespace panal::node

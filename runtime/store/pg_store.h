#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/store/database.h"
#include "runtime/store/home_book.h"
#include "runtime/store/store.h"

namespace panal::store {

/// Store on PostgreSQL. Its methods are in one file a subject: users.cc, tenants.cc, images.cc,
/// tags.cc, desktops.cc, net_policies.cc, node.cc, sessions.cc.
class PgStore final : public Store {
 public:
  explicit PgStore(Database database) : database_(std::move(database)) {}

  Result<User> add_user(User user) override;
  Result<void> set_password(const std::string& tenant, const std::string& login,
                            const std::string& password_hash) override;
  Result<void> set_blocked(const std::string& tenant, const std::string& login,
                           bool blocked) override;
  Result<void> remove_user(const std::string& tenant, const std::string& login) override;
  Result<std::vector<User>> users() override;
  Result<std::optional<User>> find_user(const std::string& tenant,
                                        const std::string& login) override;
  Result<void> set_trust(const std::string& tenant, const std::string& login,
                         const std::string& trust) override;

  Result<std::vector<Tenant>> tenants() override;
  Result<void> add_tenant(const std::string& name, const std::string& actor) override;
  Result<void> remove_tenant(const std::string& name, const std::string& actor) override;
  Result<void> set_share_memory(const std::string& tenant, bool agreed,
                                const std::string& actor) override;

  Result<void> add_version(const Version& version, const std::string& description) override;
  Result<std::vector<Image>> images() override;
  Result<std::vector<Version>> versions() override;
  Result<void> remove_version(const std::string& image, const std::string& version,
                              const std::string& actor) override;
  Result<std::vector<Removal>> removals() override;
  Result<void> finish_removal(const Removal& removal, const std::string& node) override;

  Result<std::vector<Tag>> tags() override;
  Result<void> move_tag(const TagChange& change) override;
  Result<std::vector<TagMove>> tag_moves(const std::string& image, const std::string& tag) override;

  Result<Desktop> add_desktop(const Desktop& desktop) override;
  Result<void> remove_desktop(DesktopId id) override;
  Result<std::vector<Desktop>> desktops() override;
  Result<std::vector<Desktop>> desktops_of(const std::string& tenant,
                                           const std::string& login) override;
  Result<Desktop> desktop(DesktopId id) override;
  Result<void> set_source(DesktopId id, const std::string& version, const std::string& tag,
                          const std::string& actor) override;
  Result<void> set_desired(DesktopId id, Desired desired, const std::string& actor) override;

  Result<void> set_net_policy(const NetTarget& target, const std::string& policy,
                              const std::string& actor) override;
  Result<std::vector<NetAssignment>> net_assignments() override;
  Result<std::vector<DesktopNetPolicy>> net_policies(const std::string& node) override;
  Result<DesktopNetPolicy> net_policy(DesktopId id) override;

  Result<void> register_node(const std::string& name, const std::string& version,
                             std::int64_t pid) override;
  Result<std::vector<Desktop>> desktops_on(const std::string& node) override;
  Result<std::optional<Desktop>> claim_start(DesktopId id, const std::string& node,
                                             std::uint32_t slots) override;
  Result<void> observe(DesktopId id, Observed observed, const std::string& reason) override;
  Result<void> observe_session(DesktopId id, const std::string& state,
                               std::uint64_t idle_ms) override;

  HomeBook& homes() override { return homes_; }

  Result<std::int64_t> begin_session(DesktopId desktop, const std::string& client_address,
                                     const std::string& client_kind) override;
  Result<void> end_session(std::int64_t session, std::uint64_t bytes_up, std::uint64_t bytes_down,
                           const std::string& reason) override;
  Result<void> audit(const std::string& actor, const std::string& action, const std::string& object,
                     const std::string& detail) override;
  Result<std::vector<AuditRow>> audit_rows(std::uint32_t most) override;

  Result<void> listen(const std::string& channel) override;
  Result<std::vector<std::string>> wait_notifications(std::chrono::milliseconds timeout) override;
  void interrupt() override { database_.interrupt(); }

 private:
  /// ENOENT with a sentence when nothing was changed.
  [[nodiscard]] Result<void> change(std::string_view what, const std::string& object,
                                    const char* sql, const std::vector<Parameter>& parameters);
  /// In this transaction, tags are moved by `actor` for this reason.
  [[nodiscard]] Result<void> sign_moves(std::string_view what, const std::string& actor,
                                        TagMoveKind kind);
  /// `head` to the newest version, where there is one.
  [[nodiscard]] Result<void> settle_head(std::string_view what, const Parameter& image_id);
  Database database_;
  PgHomeBook homes_{database_};
};

/// Errors: EINVAL with a sentence.
[[nodiscard]] Result<void> check_deadlines(const Deadlines& deadlines);

/// The columns of desktop_records in the order that desktop_of_row() reads.
#define PANAL_DESKTOP_COLUMNS                                                                    \
  "id, tenant, login, name, image, version, persistent, home, node, desired, observed, reason, " \
  "running_version, id_slot, session_state, idle_ms, changed, generation, claimed_generation, "  \
  "trust, share_memory, tag, next_version, soft_left_ms, hard_left_ms"
[[nodiscard]] Desktop desktop_of_row(const Rows& rows, int row);
[[nodiscard]] std::vector<Desktop> desktops_of_rows(const Rows& rows);

/// Errors: EPROTO unless the database's schema is exactly the one this program was built with.
[[nodiscard]] Result<void> check_schema(Database& database);

}  // namespace panal::store

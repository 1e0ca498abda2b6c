#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "runtime/store/homes.h"
#include "runtime/store/net_policies.h"
#include "runtime/store/tags.h"

namespace panal::store {

/// Database roles; each may only do what its GRANTs say (migrations/0001_initial.sql).
inline constexpr const char* kOwnerRole = "panal_owner";    ///< owns the schema: migrations only
inline constexpr const char* kAdminRole = "panal_admin";    ///< the CLI
inline constexpr const char* kNodeRole = "panal_node";      ///< panald
inline constexpr const char* kBrokerRole = "panal_broker";  ///< the broker

/// The trust level of who has no other. Desktops of one tenant and one level form a merge domain.
inline constexpr const char* kUsualTrust = "standard";

enum class Desired { kStopped, kRunning };
enum class Observed { kStopped, kComposing, kStarting, kRunning, kStopping, kFailed };
[[nodiscard]] std::string_view to_string(Desired value);
[[nodiscard]] std::string_view to_string(Observed value);

struct User {
  std::int64_t id = 0;
  std::string tenant;  ///< name
  std::string login;
  std::string password_hash;  ///< argon2id, PHC string
  std::uint32_t uid = 0;      ///< inside desktops
  std::uint32_t gid = 0;
  std::vector<std::pair<std::string, std::uint32_t>> groups;
  std::string shell, lang, timezone, keyboard;
  bool blocked = false;
  std::string trust = kUsualTrust;
};

struct Tenant {
  std::string name;
  bool share_memory = false;  ///< its desktops' equal pages may be merged where a profile asks
};

struct Image {
  std::string name, description;
  std::string default_version;    ///< tag `default`, what new starts use; empty: none yet
  std::string head_version = {};  ///< tag `head`, the newest
};

struct Version {
  std::string image, version, recipe_digest;
  std::vector<std::string> session;
  bool browser_sandbox = false;
  std::uint64_t size_bytes = 0;
  std::string created;       ///< ISO 8601
  std::string commit = {};   ///< checksum of its commit, 64 hexadecimal digits; empty: none
  std::string message = {};  ///< at most 4096 characters
  std::string author = {};   ///< at most 256 characters; moves the tags in the history
  bool untried = false;      ///< for add_version(): `default` does not go to it by itself
};

/// One desktop's row with what a node needs to start it.
struct Desktop {
  DesktopId id = 0;
  std::string tenant, login, name, image;
  std::string version;  ///< pinned version, or empty: what the tag names at each start
  bool persistent = false;
  std::string home;
  std::string node;  ///< where it runs or ran last
  Desired desired = Desired::kStopped;
  Observed observed = Observed::kStopped;
  std::string reason;  ///< why it is in this state, in words; with the evidence when failed
  std::string running_version;
  std::optional<std::uint32_t> id_slot;  ///< index of its id range on the node
  std::string session_state;             ///< agent's word; "none" when it does not run
  std::uint64_t idle_ms = 0;
  std::string changed;           ///< ISO 8601, last change of observed
  std::uint64_t generation = 0;  ///< raised by each start request: a failed one is retried then
  std::uint64_t claimed_generation = 0;  ///< the generation the last claim_start() answered
  std::string trust = kUsualTrust;       ///< its user's
  bool share_memory = false;             ///< its tenant's answer
  std::string tag;                       ///< that it follows; empty: `default`
  std::string next_version;              ///< what its next start takes; empty: none yet
  /// Until it is started again because its tag has left its running version, by the database's
  /// clock at the time of reading; negative: since then. None: it may go on.
  std::optional<std::int64_t> soft_left_ms;  ///< once nobody is connected
  std::optional<std::int64_t> hard_left_ms;  ///< in any case
};

struct AuditRow {
  std::string at, actor, action, object, detail;
};

/// A connection to the database under one role. Blocking; one thread at a time (give each worker
/// its own). Lost connections are made anew by the next call.
/// Errors: ENOTCONN when the database does not answer; ENOENT no such row; EEXIST; EACCES the role
/// lacks the right; EPROTO schema older or newer than this program.
class Store {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Store>> connect(const std::string& conninfo);
  virtual ~Store() = default;

  // Users (admin writes, broker reads)
  [[nodiscard]] virtual Result<User> add_user(User user) = 0;
  [[nodiscard]] virtual Result<void> set_password(const std::string& tenant,
                                                  const std::string& login,
                                                  const std::string& password_hash) = 0;
  /// A blocked user's desktops are not started any more.
  [[nodiscard]] virtual Result<void> set_blocked(const std::string& tenant,
                                                 const std::string& login, bool blocked) = 0;
  /// Errors: EBUSY while the user has desktops.
  [[nodiscard]] virtual Result<void> remove_user(const std::string& tenant,
                                                 const std::string& login) = 0;
  [[nodiscard]] virtual Result<std::vector<User>> users() = 0;
  /// nullopt when there is no such user.
  [[nodiscard]] virtual Result<std::optional<User>> find_user(const std::string& tenant,
                                                              const std::string& login) = 0;

  /// Errors: EINVAL for a level outside [a-z0-9][a-z0-9_-]{0,31}.
  [[nodiscard]] virtual Result<void> set_trust(const std::string& tenant, const std::string& login,
                                               const std::string& trust) = 0;

  // Tenants (admin writes); an entry of the audit log says who changed what.
  [[nodiscard]] virtual Result<std::vector<Tenant>> tenants() = 0;
  /// Errors: EEXIST; EINVAL for a name outside [a-z0-9][a-z0-9_-]{0,31}.
  [[nodiscard]] virtual Result<void> add_tenant(const std::string& name,
                                                const std::string& actor) = 0;
  /// Errors: EBUSY while it has users, and so while it has desktops. Of homes only nodes know.
  [[nodiscard]] virtual Result<void> remove_tenant(const std::string& name,
                                                   const std::string& actor) = 0;
  /// In force for desktops that start from now on.
  [[nodiscard]] virtual Result<void> set_share_memory(const std::string& tenant, bool agreed,
                                                      const std::string& actor) = 0;

  // Images (admin writes)
  /// Registers a version (idempotent). `head` moves to the image's newest; `default` only where
  /// there is none yet, and not to one that is `untried`. One that is registered without a commit
  /// gets it. Errors: EEXIST when the version is there with another commit.
  [[nodiscard]] virtual Result<void> add_version(const Version& version,
                                                 const std::string& description) = 0;
  [[nodiscard]] virtual Result<std::vector<Image>> images() = 0;
  [[nodiscard]] virtual Result<std::vector<Version>> versions() = 0;
  /// Takes it out of what can be used and writes down its removal; `head` moves where needed.
  /// Errors: EBUSY "icewm 2026.11.23-1 is used by desktop alice-desk", or that a tag names it
  /// (`default` may go with the last version of an image that no desktop has). Of layers the
  /// database knows nothing: the caller has asked compose::layer_use().
  [[nodiscard]] virtual Result<void> remove_version(const std::string& image,
                                                    const std::string& version,
                                                    const std::string& actor) = 0;
  /// Of all nodes, newest first.
  [[nodiscard]] virtual Result<std::vector<Removal>> removals() = 0;
  /// This node has no copy of it any more (idempotent). Errors: ENOENT.
  [[nodiscard]] virtual Result<void> finish_removal(const Removal& removal,
                                                    const std::string& node) = 0;

  // Tags (admin writes); the history cannot be changed by anybody.
  [[nodiscard]] virtual Result<std::vector<Tag>> tags() = 0;
  /// Moves, makes or takes away a tag; in force for starts from now on. In the audit log too.
  /// Errors: ENOENT image or version; EBUSY when the tag is not where the caller saw it, or
  /// desktops follow one that is to go; EINVAL for a name outside [a-z][a-z0-9._-]{0,31}, `head`,
  /// deadlines out of order, and `default` taken away.
  [[nodiscard]] virtual Result<void> move_tag(const TagChange& change) = 0;
  /// Oldest first. An empty tag: of all tags.
  [[nodiscard]] virtual Result<std::vector<TagMove>> tag_moves(const std::string& image,
                                                               const std::string& tag) = 0;

  // Desktops
  [[nodiscard]] virtual Result<Desktop> add_desktop(const Desktop& desktop) = 0;
  /// Errors: EBUSY unless it is stopped or failed.
  [[nodiscard]] virtual Result<void> remove_desktop(DesktopId id) = 0;
  [[nodiscard]] virtual Result<std::vector<Desktop>> desktops() = 0;
  [[nodiscard]] virtual Result<std::vector<Desktop>> desktops_of(const std::string& tenant,
                                                                 const std::string& login) = 0;
  [[nodiscard]] virtual Result<Desktop> desktop(DesktopId id) = 0;
  /// What its next starts take: a version, or what a tag names then; both empty: `default`.
  /// Errors: ENOENT desktop, version or tag; EINVAL for both.
  [[nodiscard]] virtual Result<void> set_source(DesktopId id, const std::string& version,
                                                const std::string& tag,
                                                const std::string& actor) = 0;
  /// Sets desired (and, for a start, a node where it has none and a new generation) in one
  /// transaction with a row lock, and notifies that node.
  [[nodiscard]] virtual Result<void> set_desired(DesktopId id, Desired desired,
                                                 const std::string& actor) = 0;

  // Network policies (admin writes); a trigger writes the audit log and wakes the nodes concerned.
  /// An empty policy takes away what was assigned. Errors: ENOENT; EINVAL for a name outside
  /// [a-z0-9][a-z0-9_-]{0,31}. Whether a node knows a policy of that name is not looked at.
  [[nodiscard]] virtual Result<void> set_net_policy(const NetTarget& target,
                                                    const std::string& policy,
                                                    const std::string& actor) = 0;
  [[nodiscard]] virtual Result<std::vector<NetAssignment>> net_assignments() = 0;
  /// Of the desktops placed on a node; an empty name: of all.
  [[nodiscard]] virtual Result<std::vector<DesktopNetPolicy>> net_policies(
      const std::string& node) = 0;
  /// Errors: ENOENT.
  [[nodiscard]] virtual Result<DesktopNetPolicy> net_policy(DesktopId id) = 0;

  // Node (panald only)
  /// Makes or refreshes this node's row (heartbeat).
  [[nodiscard]] virtual Result<void> register_node(const std::string& name,
                                                   const std::string& version,
                                                   std::int64_t pid) = 0;
  /// Desktops placed here, all states.
  [[nodiscard]] virtual Result<std::vector<Desktop>> desktops_on(const std::string& node) = 0;
  /// Takes a start: stopped|failed -> composing with an id slot that is free on this node, the
  /// version resolved; nullopt when somebody else has it or it is no longer wanted.
  [[nodiscard]] virtual Result<std::optional<Desktop>> claim_start(DesktopId id,
                                                                   const std::string& node,
                                                                   std::uint32_t slots) = 0;
  /// Writes what is observed; clears slot and session at stopped and failed; notifies.
  [[nodiscard]] virtual Result<void> observe(DesktopId id, Observed observed,
                                             const std::string& reason) = 0;
  [[nodiscard]] virtual Result<void> observe_session(DesktopId id, const std::string& state,
                                                     std::uint64_t idle_ms) = 0;

  /// Who has which home, in the whole farm (node and admin write).
  [[nodiscard]] virtual HomeBook& homes() = 0;

  // Sessions and audit
  /// A row for one attach: who, from where, which desktop. Returns its id.
  [[nodiscard]] virtual Result<std::int64_t> begin_session(DesktopId desktop,
                                                           const std::string& client_address,
                                                           const std::string& client_kind) = 0;
  [[nodiscard]] virtual Result<void> end_session(std::int64_t session, std::uint64_t bytes_up,
                                                 std::uint64_t bytes_down,
                                                 const std::string& reason) = 0;
  [[nodiscard]] virtual Result<void> audit(const std::string& actor, const std::string& action,
                                           const std::string& object,
                                           const std::string& detail) = 0;
  [[nodiscard]] virtual Result<std::vector<AuditRow>> audit_rows(std::uint32_t most) = 0;

  // Waking up
  /// Starts listening. Channels: "panal_node_<name>" (work for a node), "panal_desktop"
  /// (payload: id of a desktop whose observed state changed).
  [[nodiscard]] virtual Result<void> listen(const std::string& channel) = 0;
  /// Payloads that came in; waits up to `timeout` for the first. An empty list: none.
  [[nodiscard]] virtual Result<std::vector<std::string>> wait_notifications(
      std::chrono::milliseconds timeout) = 0;
  /// Ends the wait that is under way, or the next one, with what there is. Any thread may call it.
  virtual void interrupt() = 0;
};

/// Applies the numbered migrations that the database lacks, under an advisory lock, each in a
/// transaction of its own; returns how many ran. Needs the owner's role.
/// Errors: EPROTO when the database is newer than this program.
[[nodiscard]] Result<int> migrate(const std::string& conninfo);

}  // namespace panal::store

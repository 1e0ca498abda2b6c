#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "engine/base/log.h"
#include "netconfine/network.h"
#include "runtime/config/config.h"
#include "runtime/netpolicy/plan.h"
#include "runtime/netpolicy/query.h"
#include "runtime/store/store.h"

namespace panal::node {

/// What the desktops of this node may reach: network.toml and the store's assignments, made rules.
/// A file with a mistake changes nothing: what was in force stays, over panald's end too.
/// Thread-safe; calls with a store block.
class Confinement {
 public:
  struct Parts {
    netconfine::Network& network;
    const config::Config& config;  ///< must outlive it
    LoggerPtr log;
  };
  /// Errors: EINVAL for subnets that are none.
  [[nodiscard]] static Result<std::unique_ptr<Confinement>> open(Parts parts);

  /// Before the database is there: what was in force when the last panald ended, so that desktops
  /// which run keep their connections. What cannot be read allows nothing.
  void resume();
  /// Reads the file and who has what, and puts it in force; in the audit log as panald's where the
  /// file is other than when the last one ended.
  [[nodiscard]] Result<void> start(store::Store& store);
  /// Reads again who has what; changes what is other, live.
  [[nodiscard]] Result<void> refresh(store::Store& store);
  /// A desktop is about to get its link.
  [[nodiscard]] Result<void> admit(store::Store& store, DesktopId id);

  /// Reads the file again: {"file", "there", "changes": [phrases], "desktops": how many are
  /// concerned, "missing": [{"desktop", "policy"}]}. With an entry of the audit log where something
  /// changed. Errors: EPROTO with the mistake; nothing is changed then, nor with `dry_run`.
  [[nodiscard]] Result<nlohmann::json> apply(store::Store& store, bool dry_run,
                                             const std::string& actor);
  /// What is in force: {"file", "there", "mistake", "default", "uplink", "policies": [{"name",
  /// "desktops", "group", "reach", "reached_by"}], "more": policies not told, "missing",
  /// "dropped"}.
  [[nodiscard]] nlohmann::json show();
  /// One policy with the services and the group that it names, as TOML: {"name", "text"}. Errors:
  /// ENOENT.
  [[nodiscard]] Result<nlohmann::json> show_policy(const std::string& name);
  /// {"id", "name", "tenant", "policy", "given_by", "missing", "address4", "address6", "link",
  /// "text"}. Errors: ENOENT.
  [[nodiscard]] Result<nlohmann::json> show_desktop(DesktopId id);
  /// Errors: as netpolicy::answer().
  [[nodiscard]] Result<nlohmann::json> explain(const netpolicy::Query& query);
  /// What the way outside does to the host: {"kind", "device", "lines"}. Not by the uplink that is
  /// kept, on which another thread may be at work. Blocks. Errors: as netpolicy::describe_uplink().
  [[nodiscard]] Result<nlohmann::json> describe_uplink() const;
  /// explain()'s answer with "sent": {"left", "passed", "by"} and "proved": whether the packet did
  /// as the rules say. `desktop_namespace`: of the desktop that sends. Blocks for up to a second.
  /// Errors: EINVAL for a query whose source is outside.
  [[nodiscard]] Result<nlohmann::json> test(const netpolicy::Query& query,
                                            const UniqueFd& desktop_namespace);

 private:
  Confinement(Parts parts, netconfine::AddressPool pool) : parts_(std::move(parts)), pool_(pool) {}
  /// Under the lock.
  [[nodiscard]] Result<void> bring(netpolicy::Plan plan);
  /// In the audit log; nothing where nothing changes.
  [[nodiscard]] Result<void> note(store::Store& store, const std::string& actor,
                                  const std::vector<std::string>& changes) const;

  Parts parts_;
  netconfine::AddressPool pool_;
  std::mutex mutex_;  ///< of what follows, and of the order in which rules are put in force
  netpolicy::Plan plan_;
  bool file_there_ = false;
  bool unsaved_ = false;
  std::string mistake_;  ///< of the file, when it was last read
};

}  // namespace panal::node

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/model/ids.h"
#include "netconfine/bridge/group_bridges.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// The network namespace of a desktop that runs, for any thread. Errors: ENOENT, ESRCH when it does
/// not run.
using NamespaceOf = std::function<Result<UniqueFd>(DesktopId)>;

/// Who is on which group's bridge, as policies give it: which desktop has which policy, in; ports,
/// out. Where no policy has a group with a bridge and none had one before, the kernel is not
/// touched. What passes a bridge is the rules' affair; so leaving comes before rules that give it
/// no more, and joining after those that do.
///
/// To be on no bridge is closed: who cannot join is told about, tried again, and reaches its mates
/// by its routed link alone. Who cannot be made to leave is an error. Not thread-safe.
class Groups {
 public:
  /// `space`: Panal's network namespace, which outlives this. Without `namespace_of` only those
  /// join whose namespace is given.
  Groups(const UniqueFd& space, const GroupPrefixes& prefixes, NamespaceOf namespace_of,
         LoggerPtr log)
      : space_(space),
        prefixes_(prefixes),
        namespace_of_(std::move(namespace_of)),
        log_(std::move(log)) {}

  /// Before rules are put in force: those leave who by them are on no bridge, or on another. At the
  /// first call what an earlier process has left is looked for.
  [[nodiscard]] Result<void> leave_for(const Ruleset& next, std::span<const Sender> attached);
  /// The rules in force, and the desktops that are attached: who is not where he is to be joins.
  void load(const Ruleset& rules, std::span<const Sender> attached);

  /// A new desktop, whose rules stand. Errors: as of GroupBridges::join().
  [[nodiscard]] Result<void> attach(const Sender& sender, const UniqueFd& desktop_namespace);
  /// Before another policy is put in force for one that is attached: it leaves where it goes to
  /// another group or none. What fails is told, and found by the next audit: the rules let nothing
  /// through there.
  void leave_before(const Sender& next);
  /// After it: it is to join, by the next catch_up().
  void expect(const Sender& sender);
  /// Desktops that go; those that are on no bridge are no error.
  [[nodiscard]] Result<void> detach(std::span<const DesktopId> ids);
  /// Desktops that have a link to a group, whole or not.
  [[nodiscard]] Result<std::vector<DesktopId>> ids();

  /// There are bridges, or may be some: what audit() looks at.
  [[nodiscard]] bool are_there() const { return bridges_.has_value(); }
  /// Where the kernel has more, or otherwise, than is meant.
  [[nodiscard]] Result<std::vector<Drift>> audit();
  /// Makes it as meant. Errors: something is on a bridge that must not be.
  [[nodiscard]] Result<void> repair();
  /// Those join who are to and are not; bridges that nobody needs any more go. True where somebody
  /// has joined, by this or since the last time by load() or repair(): a new port has no rates.
  bool catch_up();
  /// For when rules cannot be relied on: everybody leaves. catch_up() brings them back.
  [[nodiscard]] Result<void> leave_all();

 private:
  using Members = std::map<DesktopId, GroupMember>;

  [[nodiscard]] Result<void> open_for(const Ruleset& rules);
  [[nodiscard]] std::uint32_t group_of(const Sender& sender) const;
  [[nodiscard]] Result<void> leave(std::span<const DesktopId> ids);
  [[nodiscard]] Result<void> join(const GroupMember& member, const UniqueFd& desktop_namespace);
  [[nodiscard]] Result<void> find_and_join(DesktopId id, const GroupMember& member);
  [[nodiscard]] std::vector<GroupMember> present() const;
  void tell(DesktopId id, const char* event, const Error& error);

  const UniqueFd& space_;
  GroupPrefixes prefixes_;
  NamespaceOf namespace_of_;
  LoggerPtr log_;
  std::optional<GroupBridges> bridges_;            ///< none while nobody has, or had, a bridge
  bool looked_ = false;                            ///< for what an earlier process has left
  bool left_ = false;                              ///< some bridge may be empty
  bool joined_ = false;                            ///< somebody has, and nobody was told
  std::map<std::uint32_t, std::uint32_t> groups_;  ///< group_number() by policy, of those bridged
  Members meant_;                                  ///< attached, with such a policy
  std::set<DesktopId> present_;                    ///< of these: on their bridge
  std::map<DesktopId, std::string> told_;          ///< why one is not, said once
};

}  // namespace panal::netconfine

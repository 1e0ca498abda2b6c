#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/policy/compiled.h"
#include "netconfine/qos/qos.h"

namespace panal::netconfine {

/// Rates as policies give them: which desktop has which policy and who is looked at, in; classes of
/// the kernel, out. Where no policy bounds anything and none did before, the kernel is not touched,
/// so a kernel that cannot shape is fine there. Not thread-safe.
class Rates {
 public:
  /// `space`: Panal's network namespace, which outlives this.
  Rates(const UniqueFd& space, const LineLimits& line) : space_(space), line_(line) {}

  /// Before rules are put in force: everything that may be lacking is, now.
  /// Errors: those of Qos::open, when a policy bounds what desktops send or receive.
  [[nodiscard]] Result<void> prepare(const Ruleset& rules);
  /// The rules in force, and the desktops that are attached.
  [[nodiscard]] Result<void> load(const Ruleset& rules, std::span<const Sender> attached);
  /// A new link, which is best still down, or another policy; after its port of a bridge, which is
  /// up.
  [[nodiscard]] Result<void> put(const Sender& sender);
  /// Those that are not there are not an error.
  [[nodiscard]] Result<void> remove(std::span<const Addresses> desktops);
  /// Of a desktop that is attached or will be; the default is active.
  [[nodiscard]] Result<void> set_session(const Addresses& addresses, SessionClass session);
  /// What differed, and is as meant again.
  [[nodiscard]] Result<std::vector<Drift>> repair();
  [[nodiscard]] Result<std::vector<ShapeUse>> use();

 private:
  [[nodiscard]] bool wanted(const Ruleset& rules) const;
  [[nodiscard]] Result<void> open();
  [[nodiscard]] ShapedDesktop shape_of(const Sender& sender) const;

  const UniqueFd& space_;
  LineLimits line_;
  std::unique_ptr<Qos> qos_;                         ///< none while nothing is, or was, bounded
  std::map<std::uint32_t, CompiledPolicy> bounded_;  ///< policies that bound something, by id
  std::set<std::uint32_t> bridged_;                  ///< policies whose group has a bridge, by id
  std::map<std::string, Sender> attached_;           ///< by link
  std::map<std::string, SessionClass> sessions_;     ///< by link; absent: active
};

}  // namespace panal::netconfine

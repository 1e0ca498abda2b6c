#pragma once

#include <string>
#include <vector>

#include "engine/profile/plan.h"
#include "engine/profile/saved.h"

namespace panal::profile {

/// Brings the machine to the plan, or leaves it as it was: former values are on disk before the
/// first write, and a write that fails takes those before it back. An optional setting that is
/// refused is left out. Killed in the middle, revert() (or settle()) brings everything back.
///
/// `saved` is what the plan was made with. Returns one sentence for each setting left out.
/// Errors, whole sentences: EBUSY when the plan is blocked; the failed write's. Both leave
/// everything as before, unless the sentence says that something could not be put back.
[[nodiscard]] Result<std::vector<std::string>> apply(const Plan& plan,
                                                     const std::optional<Saved>& saved,
                                                     const Machine& machine,
                                                     const MachineLock& lock);

/// One value that was brought back.
struct Restored {
  std::string name;
  std::string from;                ///< what was found
  std::string to;                  ///< the original
  bool changed_meanwhile = false;  ///< what was found was not ours
};

struct Reverted {
  std::string profile;
  bool earlier_boot = false;  ///< nothing had to be written: the boot took it all back
  std::vector<Restored> values;
  std::vector<std::string> notes;
};

/// Brings every value back that a profile changed, as it was before the first one.
/// What cannot be written does not keep the rest from coming back; it stays on record.
/// Errors: ENODATA when nothing is applied; of the writes that failed, the first.
[[nodiscard]] Result<Reverted> revert(const Machine& machine, const MachineLock& lock);

/// What somebody who was stopped in the middle, or an earlier boot, left: taken back. Call it
/// before planning. Nothing where all was well. Errors: as revert().
[[nodiscard]] Result<std::optional<Reverted>> settle(const Machine& machine,
                                                     const MachineLock& lock);

/// A value that is not as applied.
struct Drift {
  std::string name;
  std::string wanted;
  std::string found;
  bool at_least = false;
};

struct Verified {
  std::string profile;
  std::size_t checked = 0;
  bool interrupted = false;   ///< an apply or revert was stopped in the middle
  bool earlier_boot = false;  ///< it was applied before the machine's last start
  std::vector<Drift> drift;
  std::vector<std::string> governed;  ///< not looked at: a governor turns them

  [[nodiscard]] bool good() const { return !interrupted && !earlier_boot && drift.empty(); }
};

/// Compares what was applied with what is, but for the settings that a governor turns now.
/// Errors: ENODATA when nothing is applied.
[[nodiscard]] Result<Verified> verify(const Machine& machine,
                                      const std::vector<std::string>& governed = {});

}  // namespace panal::profile

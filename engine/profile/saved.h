#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/profile/setting.h"

namespace panal::profile {

/// Held by whoever changes what is the machine's and not a desktop's: KSM, zram, sysctls.
/// scripts/lab takes the same lock.
class MachineLock {
 public:
  /// Errors: EBUSY when another program holds it.
  [[nodiscard]] static Result<MachineLock> take(const std::string& file);

 private:
  explicit MachineLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

inline constexpr const char* kMachineLockFile = "/run/lock/panal-machine.lock";
/// The machine's and not a node's: a second node for trials finds what the first one changed.
inline constexpr const char* kMachineStateDir = "/var/lib/panal-machine";

/// What was changed on this machine and what it was before; on disk before the first change.
struct Saved {
  enum class State {
    kApplying,  ///< found so, somebody was stopped in the middle
    kApplied,
    kReverting,
  };
  State state = State::kApplying;
  std::string profile;
  std::uint32_t desktops = 0;     ///< the number it was applied for
  std::string boot_id;            ///< settings do not outlive a boot
  std::vector<Setting> settings;  ///< in the order of writing, those that already were right too
};

/// Nothing where there is none. Errors: EPROTO when it is damaged, with what to do.
[[nodiscard]] Result<std::optional<Saved>> read_saved(const Machine& machine);

/// Replaces it by a file that is on disk when this returns. Errors: those of writing.
[[nodiscard]] Result<void> write_saved(const Machine& machine, const Saved& saved);

/// Removes it for good; none there is no error.
[[nodiscard]] Result<void> remove_saved(const Machine& machine);

/// Empty where the kernel does not tell; then every record counts as of this boot.
[[nodiscard]] std::string boot_id(const Machine& machine);
/// Whether the machine has started since: then all of it is as it was before the first profile.
[[nodiscard]] bool of_earlier_boot(const Saved& saved, const Machine& machine);

// The text of the file, for tests and fuzzing. Errors: EPROTO.
[[nodiscard]] std::string print_saved(const Saved& saved);
[[nodiscard]] Result<Saved> parse_saved(const std::string& text, const std::string& file);

}  // namespace panal::profile

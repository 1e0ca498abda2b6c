#pragma once

#include <optional>
#include <string>

#include "engine/base/tree.h"
#include "engine/kernel/zram_swap.h"
#include "engine/profile/setting.h"

namespace panal::profile {

/// The step "zram": one compressed swap device of Panal's. Its states are "off", what
/// print_zram_state() makes, and, after somebody was killed in the middle, "half set up".
///
/// What it needs to take the device down again is in a note on disk before the device is touched:
/// its number, and what was there before. A device that others swap to is never touched.
class ZramStep final : public Steps {
 public:
  /// `note_file`: beside the record of what is applied; its directory is there when bring() is
  /// called.
  ZramStep(const Tree& tree, std::string note_file)
      : tree_(tree), note_file_(std::move(note_file)) {}

  /// Errors: ENOENT where the kernel has no zram, or others swap to theirs.
  [[nodiscard]] Result<std::string> state(const std::string& name) override;
  /// Errors: those of kernel::start_zram_swap() and stop_zram_swap(); ENOMEM when what is swapped
  /// out would not leave the host room; EINVAL for a state that is none. What was is kept then.
  [[nodiscard]] Result<void> bring(const std::string& name, const std::string& state) override;

 private:
  struct Note {
    std::string boot_id;             ///< devices do not outlive a boot
    std::string others;              ///< devices there before: " 0 2 "
    std::optional<unsigned> device;  ///< the one that was taken
    std::string algorithm;           ///< the device's before
  };
  [[nodiscard]] Result<std::optional<Note>> read_note() const;
  [[nodiscard]] Result<void> write_note(const Note& note) const;
  [[nodiscard]] Result<void> start(const kernel::ZramSwapSettings& settings);
  [[nodiscard]] Result<void> stop();

  const Tree& tree_;
  std::string note_file_;
};

/// "algorithm=lzo-rle size=<bytes> limit=<bytes> priority=<n>", and " writeback=<path>" where there
/// is one.
[[nodiscard]] std::string print_zram_state(const kernel::ZramSwapSettings& settings);
/// Errors: EINVAL.
[[nodiscard]] Result<kernel::ZramSwapSettings> parse_zram_state(const std::string& text);

}  // namespace panal::profile

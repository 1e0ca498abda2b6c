#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "engine/base/tree.h"
#include "engine/profile/setting.h"

namespace panal::profile {

inline constexpr const char* kSwapFileStep = "swap_file";

struct SwapFileSettings {
  std::uint64_t bytes = 0;
  int priority = 0;  ///< 0..32767, among swap devices

  [[nodiscard]] bool operator==(const SwapFileSettings&) const = default;
};

/// The step "swap_file": a file that the machine swaps to. Its states are "off", what
/// print_swap_file_state() makes, and "half made": a file that nobody swaps to, of a former boot or
/// of somebody who was killed in the middle. bring() removes that, whatever else it is to bring.
///
/// Kernel: swapon(2). Only on ext4 and xfs, whose files may be swapped to as they are.
class SwapFileStep final : public Steps {
 public:
  /// `file`: its whole path; its directory is there when bring() is called.
  SwapFileStep(const Tree& tree, std::string file) : tree_(tree), file_(std::move(file)) {}

  /// Errors: ENOENT where the file system cannot have one.
  [[nodiscard]] Result<std::string> state(const std::string& name) override;
  /// Errors: ENOSPC; those of open(2), swapon(2); ENOMEM when what is swapped out would not leave
  /// the host room; EINVAL for a state that is none. What was is kept then, or it is off.
  [[nodiscard]] Result<void> bring(const std::string& name, const std::string& state) override;

 private:
  [[nodiscard]] Result<void> start(const SwapFileSettings& settings) const;
  [[nodiscard]] Result<void> stop() const;

  const Tree& tree_;
  std::string file_;
};

/// "size=<bytes> priority=<n>".
[[nodiscard]] std::string print_swap_file_state(const SwapFileSettings& settings);
/// Errors: EINVAL.
[[nodiscard]] Result<SwapFileSettings> parse_swap_file_state(const std::string& text);

}  // namespace panal::profile

#pragma once

#include <string>

#include "engine/profile/swap_file_step.h"
#include "engine/profile/zram_step.h"

namespace panal::profile {

/// All steps there are: "zram" and "swap_file", kept beside the record of what is applied.
class SwapSteps final : public Steps {
 public:
  /// `tree` must outlive it.
  SwapSteps(const Tree& tree, const std::string& state_dir)
      : zram_(tree, state_dir + "/zram"), file_(tree, state_dir + "/swap") {}

  [[nodiscard]] Result<std::string> state(const std::string& name) override {
    return of(name).state(name);
  }
  [[nodiscard]] Result<void> bring(const std::string& name, const std::string& state) override {
    return of(name).bring(name, state);
  }

 private:
  Steps& of(const std::string& name) {
    if (name == kSwapFileStep) return file_;
    return zram_;
  }

  ZramStep zram_;
  SwapFileStep file_;
};

}  // namespace panal::profile

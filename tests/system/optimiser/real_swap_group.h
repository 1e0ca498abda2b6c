#pragma once

#include "engine/kernel/zram_swap.h"
#include "tests/system/kernel/machine/memory_child.h"
#include "tests/system/kernel/real_cgroup.h"

namespace panal::optimiser {

/// Real groups on a machine with swap in compressed memory, gone again after each test.
class RealSwapGroup : public kernel::RealCgroup {
 protected:
  static constexpr std::uint64_t kMib = std::uint64_t{1} << 20;
  static constexpr std::uint64_t kSize = 48 * kMib;  ///< of a process

  void SetUp() override {
    RealCgroup::SetUp();
    if (HasFatalFailure()) return;
    const auto device = kernel::find_free_zram(tree_);
    ASSERT_TRUE(device) << device.error().message();
    const auto started = kernel::start_zram_swap(
        tree_, *device,
        {.disk_bytes = 512 * kMib, .memory_limit_bytes = 256 * kMib, .algorithm = "lzo-rle"});
    ASSERT_TRUE(started) << started.error().message();
    device_ = *device;
  }
  /// The processes first: what they have in swap would come back into memory.
  void TearDown() override {
    RealCgroup::TearDown();
    if (!device_) return;
    EXPECT_TRUE(kernel::stop_zram_swap(tree_, *device_));
  }

 private:
  std::optional<unsigned> device_;
};

}  // namespace panal::optimiser

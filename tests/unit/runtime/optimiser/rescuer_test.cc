// The last resort where groups have no pressure of their own, over a machine of plain files.
#include "runtime/optimiser/rescuer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/policy/units.h"
#include "tests/unit/runtime/optimiser/fake_node.h"

namespace panal::optimiser {
namespace {

using policy::kMib;

class Nobody final : public RescueHands {
 public:
  [[nodiscard]] std::vector<RescueDesk> rescue_desks() const override { return {}; }
  void take_all(std::span<const DesktopId>) override {}
  void freeze_all(std::span<const DesktopId>) override {}
  void let_go() override {}
};

class RescuerOnV1 : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kLimit = 1024 * kMib;

  RescuerOnV1() {
    node_.put("proc/meminfo",
              "MemTotal: 25165824 kB\nMemFree: 12582912 kB\nMemAvailable: 12582912 kB\n");
    // A hundred MiB are left: less than two reserves, and more than one.
    const std::string used = std::to_string(kLimit - 100 * kMib);
    const std::string memory = "cgroup/memory/panal/";
    node_.put(memory + "memory.limit_in_bytes", std::to_string(kLimit) + "\n");
    node_.put(memory + "memory.usage_in_bytes", used + "\n");
    node_.put(memory + "memory.stat", "total_rss " + used + "\ntotal_cache 0\n");
    count();
  }
  /// Half of the time all have waited, while reclaim got back what it took.
  void count() {
    const auto ms =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                       std::chrono::steady_clock::now() - begun_)
                                       .count());
    const std::string line =
        " avg10=0.00 avg60=0.00 avg300=0.00 total=" + std::to_string(ms * 500) + "\n";
    node_.put("proc/pressure/memory", "some" + line + "full" + line);
    const std::string pages = " " + std::to_string(ms) + "\n";
    node_.put("proc/vmstat", "workingset_refault_anon" + pages + "pgscan_direct" + pages +
                                 "pgsteal_direct" + pages);
  }
  void open() {
    auto opened = Rescuer::open(
        {node_.tree, node_.root, hands_, "panal", 64 * kMib, kLimit, Logger::silent()});
    ASSERT_TRUE(opened) << opened.error().message();
    rescuer_ = std::move(*opened);
  }

  FakeNode node_{"v1-6.18"};
  Nobody hands_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::unique_ptr<Rescuer> rescuer_;
};

TEST_F(RescuerOnV1, CountsNoSwapThatTheGroupMayNotUse) {
  const std::uint64_t used = kLimit - 100 * kMib;
  node_.put("proc/meminfo",
            "MemTotal: 25165824 kB\nMemFree: 12582912 kB\nMemAvailable: 12582912 kB\n"
            "SwapTotal: 8388608 kB\nSwapFree: 8388608 kB\n");
  const std::string memory = "cgroup/memory/panal/memory.memsw.";
  node_.put(memory + "usage_in_bytes", std::to_string(used) + "\n");
  node_.put(memory + "limit_in_bytes", std::to_string(kLimit) + "\n");
  open();
  EXPECT_TRUE(eventually([this] { return rescuer_->report()["available_bytes"] == 100 * kMib; }))
      << rescuer_->report().dump(1);
}

TEST_F(RescuerOnV1, IsWokenByTheHostsPressure) {
  open();
  EXPECT_EQ(rescuer_->report()["by_event"], true);
  EXPECT_TRUE(node_.files.read("proc/pressure/memory").starts_with("some 150000 2000000"));
}

TEST_F(RescuerOnV1, ThrashingIsAStallByTheHostsPressure) {
  open();
  EXPECT_TRUE(eventually([this] {
    count();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return rescuer_->report()["danger"] == "stalled";
  })) << rescuer_->report().dump(1);
}

}  // namespace
}  // namespace panal::optimiser

// The optimiser as the hands of the last resort, over a machine of plain files.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/policy/units.h"
#include "runtime/optimiser/optimiser.h"
#include "tests/unit/runtime/optimiser/fake_node.h"

namespace panal::optimiser {
namespace {

using policy::kMib;

class RescueTest : public ::testing::Test {
 protected:
  static constexpr DesktopId kDesktops = 6;

  void SetUp() override {
    for (DesktopId id = 1; id <= kDesktops; ++id) {
      node_.desktop(id, 40 * kMib);
      ids_.push_back(id);
    }
    auto opened = Optimiser::open(
        {node_.tree, node_.root, "panal", node_.files.path() + "/ksm.former", Logger::silent()},
        Settings{});
    ASSERT_TRUE(opened) << opened.error().message();
    optimiser_ = std::move(*opened);
    for (const DesktopId id : ids_) optimiser_->started(id, {"school", "standard"}, false);
    ASSERT_TRUE(eventually([this] {
      const auto desks = optimiser_->rescue_desks();
      return std::all_of(desks.begin(), desks.end(),
                         [](const RescueDesk& one) { return one.anon_bytes == 40 * kMib; });
    })) << optimiser_->report().dump(1);
  }
  long frozen() const {
    return std::count_if(ids_.begin(), ids_.end(),
                         [this](DesktopId id) { return node_.frozen(id); });
  }
  std::uint64_t takes() const { return optimiser_->figures().tally.takes; }

  FakeNode node_;
  std::vector<DesktopId> ids_;
  std::unique_ptr<Optimiser> optimiser_;
};

TEST_F(RescueTest, FreezesThoseFromWhichSomethingIsBeingTaken) {
  for (const DesktopId id : ids_) node_.hold_takes(id);
  optimiser_->take_all(ids_);
  optimiser_->session(1, true, 0);
  optimiser_->freeze_all(ids_);
  EXPECT_EQ(frozen(), 5) << "all but the one where somebody is, before anything else may follow";
  EXPECT_FALSE(node_.frozen(1));
  EXPECT_TRUE(eventually([this] {
    return optimiser_->report()["classes"].value("frozen", 0) == 5;
  })) << optimiser_->report().dump(1);
  for (const DesktopId id : ids_) node_.let_take(id);
  EXPECT_TRUE(eventually([this] { return takes() == 5; }))
      << "what was frozen since is taken from all the same\n"
      << optimiser_->report().dump(1);
  EXPECT_EQ(optimiser_->figures().tally.freezes, 5U);
  optimiser_->let_go();
  EXPECT_EQ(frozen(), 0);
  EXPECT_EQ(optimiser_->figures().tally.errors, 0U);
}

TEST_F(RescueTest, LetsGoOnlyWhomItFroze) {
  optimiser_->freeze_all(ids_);
  optimiser_->thaw(1);
  EXPECT_EQ(frozen(), 5);
  optimiser_->freeze_all(ids_);
  EXPECT_FALSE(node_.frozen(1)) << "it is about to be stopped";
  EXPECT_EQ(optimiser_->figures().tally.freezes, 6U) << "who stands is not stopped again";
  optimiser_->let_go();
  EXPECT_EQ(frozen(), 0);
}

TEST(RescueByAdvice, AsksNobodyWhileSwapIsFull) {
  FakeNode node("v1-6.18");
  const std::string memory =
      "MemTotal: 4194304 kB\nMemFree: 0 kB\nMemAvailable: 65536 kB\n"
      "SwapTotal: 1048576 kB\nSwapFree: ";
  node.put("proc/meminfo", memory + "512 kB\n");
  node.desktop(1, 0);  // its figures are the fixture's
  auto opened = Optimiser::open(
      {node.tree, node.root, "panal", node.files.path() + "/ksm.former", Logger::silent()},
      Settings{});
  ASSERT_TRUE(opened) << opened.error().message();
  Optimiser& optimiser = **opened;
  optimiser.started(1, {"school", "standard"}, false);
  ASSERT_TRUE(eventually([&] {
    return optimiser.figures().host.memory.swap_total > 0 &&
           optimiser.rescue_desks().front().anon_bytes > 0;
  })) << optimiser.report().dump(1);
  const DesktopId ids[] = {1};
  optimiser.take_all(ids);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(optimiser.figures().tally.takes, 0U);
  node.put("proc/meminfo", memory + "1048576 kB\n");
  ASSERT_TRUE(eventually([&] { return optimiser.figures().host.memory.swap_free > kMib; }));
  optimiser.take_all(ids);
  EXPECT_TRUE(eventually([&] { return optimiser.figures().tally.takes == 1; }))
      << optimiser.report().dump(1);
}

}  // namespace
}  // namespace panal::optimiser

// What the optimiser does while somebody else has KSM's settings, over a machine of plain files.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/optimiser/optimiser.h"
#include "tests/unit/runtime/optimiser/fake_node.h"

namespace panal::optimiser {
namespace {

TEST(KsmTakeover, IsSaidAndNobodyIsEnlistedMeanwhile) {
  const std::string run = "sys/kernel/mm/ksm/run";
  const MergeDomainId school{"school", "standard"};
  FakeNode node;
  node.put(run, "0\n");
  node.desktop(1, 40 << 20);
  Settings settings;
  settings.enlist = Enlist::kAll;
  auto opened = Optimiser::open(
      {node.tree, node.root, "panal", node.files.path() + "/ksm.former", Logger::silent()},
      settings);
  ASSERT_TRUE(opened) << opened.error().message();
  Optimiser& optimiser = **opened;
  ASSERT_TRUE(optimiser.enlist(1, school, true));
  optimiser.started(1, school, true);
  ASSERT_TRUE(eventually([&] { return node.files.read(run).starts_with("1"); }))
      << optimiser.report().dump(1);
  EXPECT_EQ(optimiser.report()["ksm"]["governed"], true);
  EXPECT_EQ(optimiser.report()["ksm"]["taken_over"], false);
  EXPECT_TRUE(optimiser.enlist(2, school, true));
  node.put(run, "0\n");
  ASSERT_TRUE(eventually([&] { return optimiser.figures().ksm_taken_over; }))
      << optimiser.report().dump(1);
  const auto ksm = optimiser.report()["ksm"];
  EXPECT_EQ(ksm["taken_over"], true);
  EXPECT_EQ(ksm["governed"], false);
  EXPECT_FALSE(ksm.contains("phase")) << "nobody carries out what it would decide";
  EXPECT_FALSE(optimiser.figures().governs_ksm);
  EXPECT_FALSE(optimiser.enlist(3, school, true));
  EXPECT_EQ(optimiser.figures().tally.enlist_refused, (Counts{{"taken_over", 1}}));
  EXPECT_EQ(node.files.read(run).substr(0, 1), "0");
}

}  // namespace
}  // namespace panal::optimiser

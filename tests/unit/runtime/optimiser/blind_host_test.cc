// What the optimiser does while it cannot read the host, over a machine of plain files.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/optimiser/optimiser.h"
#include "tests/unit/runtime/optimiser/fake_node.h"

namespace panal::optimiser {
namespace {

TEST(BlindHost, ClassesFollowWhoComesAllTheSame) {
  FakeNode node;
  node.desktop(1, 40 << 20);
  // A kernel with an advisor that is not known yet.
  node.files.write("sys/kernel/mm/ksm/advisor_mode", "none scan-time [by-mood]\n");
  Settings settings;
  settings.limits[SessionClass::kActive].cpu_weight = 321;
  auto opened = Optimiser::open(
      {node.tree, node.root, "panal", node.files.path() + "/ksm.former", Logger::silent()},
      settings);
  ASSERT_TRUE(opened) << opened.error().message();
  Optimiser& optimiser = **opened;
  optimiser.started(1, {"school", "standard"}, false);
  optimiser.session(1, true, 0);
  EXPECT_TRUE(eventually([&] {
    return node.files.read(FakeNode::at(1, "cpu.weight")).starts_with("321");
  })) << optimiser.report().dump(1);
  EXPECT_EQ(optimiser.report()["classes"].value("active", 0), 1);
  EXPECT_GE(optimiser.figures().tally.errors_by_step["read_host"], 1U);
}

}  // namespace
}  // namespace panal::optimiser

// What a new panald does with desktops whose agents have not come back to it yet, over a machine
// of plain files.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/optimiser/optimiser.h"
#include "tests/unit/runtime/optimiser/fake_node.h"

namespace panal::optimiser {
namespace {

TEST(Adopting, NobodyIsTakenForGoneBeforeItsAgentHasSpoken) {
  FakeNode node;
  for (const DesktopId id : {1, 2, 3, 4}) node.desktop(id, 40 << 20);
  node.files.write(FakeNode::at(3, "cgroup.freeze"), "1\n");  // by a panald that was killed
  Settings settings;
  settings.limits[SessionClass::kActive].cpu_weight = 800;
  settings.limits[SessionClass::kIdle].cpu_weight = 200;
  settings.limits[SessionClass::kDisconnected].cpu_weight = 250;
  auto opened = Optimiser::open(
      {node.tree, node.root, "panal", node.files.path() + "/ksm.former", Logger::silent()},
      settings);
  ASSERT_TRUE(opened) << opened.error().message();
  Optimiser& optimiser = **opened;
  optimiser.started(1, {"school", "standard"}, false);
  for (const DesktopId id : {2, 3, 4}) optimiser.started(id, {"school", "standard"}, false, false);
  EXPECT_FALSE(node.frozen(3)) << "its agent must come back";
  for (const RescueDesk& desk : optimiser.rescue_desks())
    EXPECT_EQ(desk.session == SessionClass::kActive, desk.id == 2 || desk.id == 4)
        << "whom the last resort kills";
  const auto weight = [&](DesktopId id) {
    return node.files.read(FakeNode::at(id, "cpu.weight")).substr(0, 3);
  };
  EXPECT_TRUE(eventually([&] {
    return weight(1) == "250" && weight(2) == "800" && weight(3) == "250" && weight(4) == "800";
  })) << optimiser.report().dump(1);
  const DesktopId ids[] = {1, 2};
  optimiser.freeze_all(ids);
  EXPECT_TRUE(node.frozen(1));
  EXPECT_FALSE(node.frozen(2)) << "somebody may work there";
  optimiser.session(2, true, 600'000);
  optimiser.session(4, false, 0);
  EXPECT_TRUE(
      eventually([&] { return weight(2) == "200" && weight(4) == "250"; }, std::chrono::seconds(5)))
      << "what its agent says holds, at once";
}

}  // namespace
}  // namespace panal::optimiser

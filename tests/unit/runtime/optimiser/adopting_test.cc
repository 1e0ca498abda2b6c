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
  for (const DesktopId id : {1, 2}) node.desktop(id, 40 << 20);
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
  optimiser.started(2, {"school", "standard"}, false, false);
  for (const RescueDesk& desk : optimiser.rescue_desks())
    EXPECT_EQ(desk.session == SessionClass::kActive, desk.id == 2) << "whom the last resort kills";
  const auto weight = [&](DesktopId id) {
    return node.files.read(FakeNode::at(id, "cpu.weight")).substr(0, 3);
  };
  EXPECT_TRUE(eventually([&] { return weight(1) == "250" && weight(2) == "800"; }))
      << optimiser.report().dump(1);
  const DesktopId ids[] = {1, 2};
  optimiser.freeze_all(ids);
  EXPECT_TRUE(node.frozen(1));
  EXPECT_FALSE(node.frozen(2)) << "somebody may work there";
  optimiser.session(2, true, 600'000);
  EXPECT_TRUE(eventually([&] { return weight(2) == "200"; })) << "what its agent says holds";
}

}  // namespace
}  // namespace panal::optimiser

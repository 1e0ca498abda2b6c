#include "runtime/node/host_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/runtime/optimiser/fake_machine.h"

namespace panal::node {
namespace {

using nlohmann::json;

json named(const json& objects, const std::string& name) {
  for (const json& one : objects)
    if (one.value("name", "") == name) return one;
  return nullptr;
}

TEST(HostJson, HasWhateverEndsDesktopsAndIsCounted) {
  optimiser::FakeMachine machine;
  machine.desktops = 10;
  machine.group_pids = 400;
  machine.write();
  const auto groups = machine.groups();
  const json objects = objects_json(machine.tree, groups.front());
  EXPECT_EQ(named(objects, "processes and threads")["used"], 580);
  EXPECT_EQ(named(objects, "open files")["limit"], 1'000'000);
  EXPECT_EQ(named(objects, "terminals")["limit"], 4'096 - 1'024) << "the rest is the host's own";
  EXPECT_EQ(named(objects, "keys of root")["used"], 13);
  EXPECT_EQ(named(objects, "bytes of root's keys")["limit"], 25'000'000);
  EXPECT_EQ(named(objects, "processes in group panal"),
            (json{{"name", "processes in group panal"}, {"used", 80}, {"limit", 400}}));
}

TEST(HostJson, LeavesOutWhatHasNoLimit) {
  optimiser::FakeMachine machine;
  const auto groups = machine.groups();
  const json objects = objects_json(machine.tree, groups.front());
  EXPECT_FALSE(objects.empty());
  EXPECT_TRUE(named(objects, "processes in group panal").is_null());
}

}  // namespace
}  // namespace panal::node

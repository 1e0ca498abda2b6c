// What a desktop that is taken over has of limits which a former panald set.
#include "runtime/optimiser/start_limits.h"

#include <gmock/gmock.h>

#include "engine/policy/units.h"
#include "tests/unit/runtime/optimiser/fake_node.h"

namespace panal::optimiser {
namespace {

using policy::kMib;
using ::testing::StartsWith;

Limits at_start() {
  Limits limits;
  limits.memory_bytes = 512 * kMib;
  limits.pids = 500;
  return limits;
}

TEST(StartLimits, AreSetAgainAndWhatTheyDoNotSpeakOfIsLifted) {
  FakeNode node;
  node.desktop(1, 40 * kMib);
  for (const auto& [file, text] : std::initializer_list<std::pair<const char*, const char*>>{
           {"memory.max", "104857600\n"},
           {"memory.high", "62914560\n"},
           {"memory.swap.max", "0\n"},
           {"pids.max", "40\n"},
           {"cpu.max", "5000 100000\n"},
           {"cpu.weight", "10\n"},
           {"io.weight", "default 10\n"},
           {"io.max", "254:0 rbps=max wbps=1048576 riops=max wiops=max\n"}})
    node.put(FakeNode::at(1, file), text);
  const auto group = kernel::Cgroup::open(node.root, "panal/d1");
  ASSERT_TRUE(group) << group.error().message();
  const auto set = restore_start_limits(*group, at_start());
  ASSERT_TRUE(set) << set.error().message();
  const auto now = [&](const char* file) { return node.files.read(FakeNode::at(1, file)); };
  // Plain files keep what is behind a shorter text.
  EXPECT_EQ(group->memory_limit().value_or(0), 512 * kMib);
  EXPECT_THAT(now("memory.high"), StartsWith("max"));
  EXPECT_THAT(now("memory.swap.max"), StartsWith("max"));
  EXPECT_THAT(now("pids.max"), StartsWith("500"));
  EXPECT_THAT(now("cpu.max"), StartsWith("max 100000"));
  EXPECT_THAT(now("cpu.weight"), StartsWith("100"));
  EXPECT_THAT(now("io.weight"), StartsWith("default 100"));
  EXPECT_THAT(now("io.max"), StartsWith("254:0 rbps=max wbps=max riops=max wiops=max"));
}

TEST(StartLimits, AHigherHardLimitIsNotBroughtDown) {
  FakeNode node;
  node.desktop(1, 600 * kMib);
  node.put(FakeNode::at(1, "memory.max"), "max\n");
  const auto group = kernel::Cgroup::open(node.root, "panal/d1");
  ASSERT_TRUE(group);
  EXPECT_TRUE(restore_start_limits(*group, at_start()));
  EXPECT_EQ(group->memory_limit().value_or(0), kUnlimited);
}

TEST(StartLimits, AreSetAgainOnV1WhereNotAllFilesAre) {
  const FakeNode node("v1-6.18");
  const std::string memory = "cgroup/memory/panal/";
  const std::string cpu = "cgroup/cpu/panal/";
  node.put(memory + "memory.limit_in_bytes", "104857600\n");
  node.put(memory + "memory.soft_limit_in_bytes", "62914560\n");
  node.put(cpu + "cpu.cfs_quota_us", "5000\n");
  node.put(cpu + "cpu.shares", "102\n");
  node.put("cgroup/pids/panal/pids.max", "40\n");
  node.put("cgroup/blkio/panal/blkio.throttle.write_bps_device", "254:0 1048576\n");
  const auto group = kernel::Cgroup::open(node.root, "panal");
  ASSERT_TRUE(group) << group.error().message();
  const auto set = restore_start_limits(*group, at_start());
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_EQ(group->memory_limit().value_or(0), 512 * kMib);
  EXPECT_THAT(node.files.read(memory + "memory.soft_limit_in_bytes"), StartsWith("-1"));
  EXPECT_THAT(node.files.read(cpu + "cpu.cfs_quota_us"), StartsWith("-1"));
  EXPECT_THAT(node.files.read(cpu + "cpu.shares"), StartsWith("1024"));
  EXPECT_THAT(node.files.read("cgroup/pids/panal/pids.max"), StartsWith("500"));
  EXPECT_THAT(node.files.read("cgroup/blkio/panal/blkio.throttle.write_bps_device"),
              StartsWith("254:0 0"));
}

}  // namespace
}  // namespace panal::optimiser

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/profile/apply.h"
#include "tests/unit/engine/profile/fake_machine.h"

namespace panal::profile {
namespace {

using ::testing::ElementsAre;

const char* const kMerging = R"(
name = "merging"
[ksm]
run = "scan"
use_zero_pages = true
pages_to_scan = 1000
)";

TEST(Verify, LeavesOutWhatAGovernorTurnsAndNothingElse) {
  FakeMachine fake;
  const auto profile = parse_profile(kMerging, "test.toml");
  ASSERT_TRUE(profile) << profile.error().message();
  const auto plan = make_plan(*profile, 1, FakeMachine::facts(), fake.machine(), std::nullopt);
  ASSERT_TRUE(plan) << plan.error().message();
  ASSERT_TRUE(apply(*plan, std::nullopt, fake.machine(), fake.lock()));

  fake.put("sys/kernel/mm/ksm/run", "0\n");
  fake.put("sys/kernel/mm/ksm/pages_to_scan", "4321\n");
  const auto alone = verify(fake.machine());
  ASSERT_TRUE(alone) << alone.error().message();
  ASSERT_EQ(alone->drift.size(), 1U);
  EXPECT_EQ(alone->drift[0].name, "ksm.run");
  EXPECT_TRUE(alone->governed.empty());
  const std::vector<std::string> turned{"ksm.run", "ksm.pages_to_scan", "not.applied"};
  const auto governed = verify(fake.machine(), turned);
  ASSERT_TRUE(governed) << governed.error().message();
  EXPECT_TRUE(governed->good());
  EXPECT_THAT(governed->governed, ElementsAre("ksm.pages_to_scan", "ksm.run"));
  EXPECT_EQ(governed->checked + 1, alone->checked);
  fake.put("sys/kernel/mm/ksm/use_zero_pages", "0\n");
  EXPECT_EQ(verify(fake.machine(), turned)->drift.at(0).name, "ksm.use_zero_pages");
}

}  // namespace
}  // namespace panal::profile

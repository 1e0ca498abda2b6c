/// Some of the faults of panal-bench faults, the same ones each time: kill -9, a full disk, no
/// inodes, power failure and flipped bits. PANAL_FAULT_POINTS=200: as many of each kind.

#include "bench/faults/faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace panal::bench {
namespace {

FaultOptions options(const char* kind) {
  FaultOptions few;
  const char* const set = std::getenv("PANAL_FAULT_POINTS");
  few.points = set != nullptr ? static_cast<unsigned>(std::strtoul(set, nullptr, 10)) : 14;
  few.kinds = {kind};
  few.programs = PANAL_BIN_DIR;
  return few;
}

class Faults : public ::testing::TestWithParam<const char*> {};

TEST_P(Faults, HurtNothingAndLeaveNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto result = run_faults(options(GetParam()));
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_GE((*result)["points"].get<unsigned>(), options(GetParam()).points / 2);
  EXPECT_THAT((*result)["complaints"].get<std::vector<std::string>>(), ::testing::IsEmpty())
      << "seed " << (*result)["seed"];
  EXPECT_EQ((*result)["lost"], 0);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Faults,
                         ::testing::Values("kill", "bytes", "inodes", "power", "bits"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace panal::bench

#include "engine/kernel/loadavg.h"

#include <gtest/gtest.h>

#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

TEST(TaskCountsOf, TheFourthWord) {
  EXPECT_EQ(parse_task_counts("0.20 0.18 0.12 1/80 11206\n").value(), (TaskCounts{1, 80}));
  EXPECT_EQ(parse_task_counts("9.00 1 1 12/4294967295 1").value(), (TaskCounts{12, 4294967295U}));
  for (const char* bad : {"", "0.20 0.18 0.12", "0.20 0.18 0.12 1 11206", "a b c 1/ 2",
                          "a b c /1 2", "a b c 1/2/3 4", "a b c -1/2 3", "a b c 1/4294967296 2"})
    EXPECT_EQ(code(parse_task_counts(bad)), EPROTO) << bad;
}

}  // namespace
}  // namespace panal::kernel

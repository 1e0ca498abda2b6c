#include "engine/base/nearest.h"

#include <gtest/gtest.h>

namespace panal {
namespace {

TEST(Nearest, FindsTypingMistakesAndNothingElse) {
  const std::vector<std::string> known{"run", "enlist", "pages_to_scan"};
  EXPECT_EQ(nearest("rnu", known), "run");
  EXPECT_EQ(nearest("page_to_scan", known), "pages_to_scan");
  EXPECT_EQ(nearest("xylophone", known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(nearest(std::string(100'000, 'x'), known), "") << "not worth the work";
}

}  // namespace
}  // namespace panal

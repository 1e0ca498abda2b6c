#include "runtime/optimiser/gone.h"

#include <gtest/gtest.h>

namespace panal::optimiser {
namespace {

TEST(Gone, OnlyWhatIsOfADesktopThatRunsIsKept) {
  std::map<DesktopId, int> kept = {{1, 10}, {2, 20}, {3, 30}, {900, 40}};
  std::vector<RescueDesk> desks(2);
  desks[0].id = 900;  // in any order
  desks[1].id = 2;
  erase_gone(kept, desks);
  EXPECT_EQ(kept, (std::map<DesktopId, int>{{2, 20}, {900, 40}}));
  erase_gone(kept, {});
  EXPECT_TRUE(kept.empty());
}

}  // namespace
}  // namespace panal::optimiser

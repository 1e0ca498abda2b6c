#include "runtime/cli/doctor_takers.h"

#include <gmock/gmock.h>

namespace panal::cli {
namespace {

using optimiser::TrialOutcome;
using ::testing::HasSubstr;

TEST(DoctorTakers, SaysWhatIsUsedAndWarnsWhereNothingIs) {
  optimiser::TakerChoice choice;
  choice.tried = {{"reclaim", {TrialOutcome::kRefused, "no v2"}},
                  {"madvise", {TrialOutcome::kTakes, "1024 of 1024 KiB went to swap"}}};
  const Check good = check_takers(choice);
  EXPECT_EQ(good.verdict, Check::kOk);
  EXPECT_EQ(good.found, "by madvise: 1024 of 1024 KiB went to swap; not reclaim: no v2");
  choice.tried.pop_back();
  const Check bad = check_takers(choice);
  EXPECT_EQ(bad.verdict, Check::kWarning);
  EXPECT_THAT(bad.found, HasSubstr("nothing works here; not reclaim: no v2"));
  EXPECT_THAT(bad.mend, HasSubstr("CAP_SYS_NICE"));
}

}  // namespace
}  // namespace panal::cli

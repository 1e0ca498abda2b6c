#include "bench/density/ksm_laws.h"

#include <gtest/gtest.h>

#include <vector>

namespace panal::bench {
namespace {

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

TEST(KsmtunedLaw, StopsWhileAFifthIsToSpare) {
  struct Case {
    std::uint64_t committed_gib;
    std::uint64_t free_gib;
    KsmRun run;
  };
  // Of 100 GiB the threshold is 20: KSM stops only where both say that there is room.
  for (const Case& c : {Case{0, 100, KsmRun::kStopped}, Case{79, 21, KsmRun::kStopped},
                        Case{80, 21, KsmRun::kRunning}, Case{79, 20, KsmRun::kRunning},
                        Case{95, 5, KsmRun::kRunning}}) {
    KsmtunedLaw law;
    const KsmSettings decided =
        law.decide({}, {100 * kGib, c.committed_gib * kGib, c.free_gib * kGib});
    EXPECT_EQ(decided.run, c.run) << c.committed_gib << " committed, " << c.free_gib << " free";
  }
}

TEST(KsmtunedLaw, TakesFourMinutesToItsFullRate) {
  KsmtunedLaw law;
  std::vector<std::uint32_t> pages;
  for (int minute = 0; minute < 6; ++minute)
    pages.push_back(law.decide({}, {24 * kGib, 24 * kGib, 0}).pages_to_scan);
  EXPECT_EQ(pages, (std::vector<std::uint32_t>{364, 664, 964, 1250, 1250, 1250}));
}

TEST(KsmtunedLaw, DecaysWhereEnoughIsFreeThoughTooMuchIsPromised) {
  KsmtunedLaw law;
  (void)law.decide({}, {100 * kGib, 100 * kGib, 10 * kGib});
  std::vector<std::uint32_t> pages;
  for (int minute = 0; minute < 8; ++minute)
    pages.push_back(law.decide({}, {100 * kGib, 100 * kGib, 50 * kGib}).pages_to_scan);
  EXPECT_EQ(pages, (std::vector<std::uint32_t>{314, 264, 214, 164, 114, 64, 64, 64}));
}

TEST(KsmtunedLaw, SleepsLongerOnASmallHost) {
  struct Case {
    std::uint64_t total_gib;
    std::uint32_t sleep_ms;
  };
  for (const Case& c : {Case{4, 40}, Case{8, 20}, Case{16, 10}, Case{24, 10}, Case{512, 10}}) {
    KsmtunedLaw law;
    EXPECT_EQ(law.decide({}, {c.total_gib * kGib, c.total_gib * kGib, 0}).sleep_ms, c.sleep_ms)
        << c.total_gib;
  }
  EXPECT_GT(KsmtunedLaw().decide({}, {}).sleep_ms, 0U) << "a host without memory is no reason";
}

TEST(KsmLaws, LeaveTheOtherSettingsAlone) {
  KsmSettings base;
  base.use_zero_pages = true;
  base.smart_scan = false;
  base.max_page_sharing = 77;
  base.advisor = KsmAdvisor::kScanTime;
  KsmtunedLaw law;
  for (const KsmSettings& decided :
       {fixed_pace(base), advised_pace(base), law.decide(base, {kGib, kGib, 0})}) {
    EXPECT_EQ(decided.run, KsmRun::kRunning);
    EXPECT_TRUE(decided.use_zero_pages);
    EXPECT_FALSE(decided.smart_scan);
    EXPECT_EQ(decided.max_page_sharing, 77U);
  }
  EXPECT_EQ(fixed_pace(base).advisor, KsmAdvisor::kNone);
  EXPECT_EQ(fixed_pace(base).pages_to_scan, 10'000U);
  EXPECT_EQ(fixed_pace(base).sleep_ms, 10U);
  EXPECT_EQ(advised_pace({}).advisor, KsmAdvisor::kScanTime);
  EXPECT_EQ(advised_pace({}).sleep_ms, 20U);
}

}  // namespace
}  // namespace panal::bench

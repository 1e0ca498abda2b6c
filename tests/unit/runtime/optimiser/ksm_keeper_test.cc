#include "runtime/optimiser/ksm_keeper.h"

#include "tests/unit/runtime/optimiser/fake_ksm.h"

namespace panal::optimiser {
namespace {

TEST_F(KsmKeeperTest, TurnsTheKnobsAndPutsThemBack) {
  KsmKeeper keeper(tree_, saved());
  ASSERT_TRUE(keeper.apply(kBurst, true));
  EXPECT_EQ(value("run"), "1");
  EXPECT_EQ(value("pages_to_scan"), "500");
  EXPECT_EQ(value("sleep_millisecs"), "11");
  EXPECT_EQ(value("use_zero_pages"), "1");
  EXPECT_TRUE(std::filesystem::exists(saved()));
  ASSERT_TRUE(keeper.restore());
  EXPECT_EQ(value("run"), "0");
  EXPECT_EQ(value("pages_to_scan"), "100");
  EXPECT_EQ(value("use_zero_pages"), "0");
  EXPECT_FALSE(std::filesystem::exists(saved()));
  EXPECT_TRUE(keeper.restore()) << "nothing held is no error";
}

TEST_F(KsmKeeperTest, TouchesNothingWhereNobodyIsEnlisted) {
  KsmKeeper keeper(tree_, saved());
  ASSERT_TRUE(keeper.apply(KsmDecision{}, true));
  EXPECT_EQ(value("use_zero_pages"), "0");
  EXPECT_FALSE(std::filesystem::exists(saved()));
}

TEST_F(KsmKeeperTest, WhoElseMergesGoesOnWhenNobodyIsEnlistedAnyMore) {
  for (const char* run : {"1", "0"}) {
    std::ofstream(knob("run")) << run << "\n";
    KsmKeeper keeper(tree_, saved());
    ASSERT_TRUE(keeper.apply(kBurst, true));
    ASSERT_TRUE(keeper.apply(KsmDecision{}, true));
    EXPECT_EQ(value("run"), run);
    EXPECT_EQ(value("pages_to_scan"), "100");
    EXPECT_EQ(value("sleep_millisecs"), "20");
    EXPECT_EQ(value("use_zero_pages"), "0");
    EXPECT_TRUE(keeper.holds()) << "the next desktop may start any moment";
    ASSERT_TRUE(keeper.apply(kBurst, true));
    EXPECT_FALSE(keeper.taken_over()) << "it was our own doing";
    EXPECT_EQ(value("run"), "1");
    EXPECT_EQ(value("pages_to_scan"), "500");
    ASSERT_TRUE(keeper.restore());
    EXPECT_EQ(value("run"), run);
  }
}

TEST_F(KsmKeeperTest, TheNextOnePutsBackWhatAKilledOneChanged) {
  {
    KsmKeeper killed(tree_, saved());
    ASSERT_TRUE(killed.apply(kBurst, true));
  }
  KsmKeeper next(tree_, saved());
  ASSERT_TRUE(next.recover());
  EXPECT_TRUE(next.holds());
  // It goes on governing, and does not take the burst for the machine's own setting.
  ASSERT_TRUE(next.apply(KsmDecision{true, 250, 99, KsmPhase::kRest}, true));
  ASSERT_TRUE(next.restore());
  EXPECT_EQ(value("pages_to_scan"), "100");
  EXPECT_EQ(value("sleep_millisecs"), "20");
}

TEST_F(KsmKeeperTest, ARecordOfAnEarlierBootIsVoid) {
  {
    KsmKeeper killed(tree_, saved());
    ASSERT_TRUE(killed.apply(kBurst, true));
  }
  boot("other");
  KsmKeeper next(tree_, saved());
  ASSERT_TRUE(next.recover());
  EXPECT_FALSE(next.holds());
  EXPECT_FALSE(std::filesystem::exists(saved()));
}

TEST_F(KsmKeeperTest, LeavesKsmToWhoeverTurnsItOff) {
  KsmKeeper keeper(tree_, saved());
  ASSERT_TRUE(keeper.apply(kBurst, true));
  std::ofstream(knob("run")) << "2\n";
  const auto refused = keeper.apply(KsmDecision{true, 250, 99, KsmPhase::kRest}, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EBUSY);
  EXPECT_TRUE(keeper.apply(kBurst, true)) << "said once";
  EXPECT_TRUE(keeper.restore());
  EXPECT_EQ(value("run"), "2");
  EXPECT_FALSE(std::filesystem::exists(saved()));
}

TEST_F(KsmKeeperTest, GoesOnOnceItWasGivenBack) {
  constexpr MonotonicNs kLook = KsmKeeper::kLookEvery;
  constexpr KsmDecision kRest{true, 250, 99, KsmPhase::kRest};
  KsmKeeper keeper(tree_, saved());
  ASSERT_TRUE(keeper.apply(kBurst, true));
  EXPECT_FALSE(keeper.taken_over());
  MonotonicNs now = kLook;
  EXPECT_FALSE(keeper.given_back(now)) << "it is ours";
  std::ofstream(knob("run")) << "0\n";
  EXPECT_FALSE(keeper.apply(kRest, true));
  EXPECT_TRUE(keeper.taken_over());
  for (int minute = 0; minute < 60; ++minute)
    EXPECT_FALSE(keeper.given_back(now += kLook)) << "who turned it off means it";
  std::ofstream(knob("run")) << "1\n";
  std::ofstream(knob("pages_to_scan")) << "333\n";
  int minutes = 0;
  while (!keeper.given_back(now += kLook) && minutes < 60) {
    if (++minutes == 3) std::ofstream(knob("pages_to_scan")) << "444\n";  // still at it
  }
  EXPECT_EQ(minutes, 13) << "ten minutes without a change";
  EXPECT_FALSE(keeper.taken_over());
  ASSERT_TRUE(keeper.apply(kRest, true));
  EXPECT_EQ(value("pages_to_scan"), "250");
  ASSERT_TRUE(keeper.restore());
  EXPECT_EQ(value("pages_to_scan"), "444") << "theirs is what was there before";
}

TEST_F(KsmKeeperTest, LeavesOtherKnobsAlone) {
  KsmKeeper keeper(tree_, saved());
  ASSERT_TRUE(keeper.apply(kBurst, true));
  std::ofstream(knob("max_page_sharing")) << "512\n";
  ASSERT_TRUE(keeper.restore());
  EXPECT_EQ(value("max_page_sharing"), "512");
}

TEST_F(KsmKeeperTest, SaysWhatIsWrongWithADamagedRecord) {
  const SavedKsm all{"b", KsmSettings{}};
  const std::string good = print_saved_ksm(all);
  ASSERT_TRUE(parse_saved_ksm(good));
  EXPECT_EQ(*parse_saved_ksm(good), all);
  const std::pair<const char*, const char*> bad[] = {
      {"", "no JSON object"},
      {"[]", "no JSON object"},
      {"{}", "boot is no text"},
      {R"({"boot":1})", "boot is no text"},
      {R"({"boot":"b"})", "run is no number"},
      {R"({"boot":"b","run":3})", "run is no number up to 2"},
      {R"({"boot":"b","run":-1})", "run is no number"},
      {R"({"boot":"b","run":1,"pages_to_scan":"x"})", "pages_to_scan is no number"},
      {R"({"boot":"b","run":1,"pages_to_scan":5,"sleep_ms":4294967296})", "sleep_ms is no number"},
      {R"({"boot":"b","run":1,"pages_to_scan":5,"sleep_ms":1,"use_zero_pages":1})",
       "use_zero_pages is neither"},
  };
  for (const auto& [text, why] : bad) {
    const auto parsed = parse_saved_ksm(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, EPROTO);
    EXPECT_NE(parsed.error().context.find(why), std::string::npos) << parsed.error().context;
  }
  std::ofstream(saved()) << good.substr(0, good.size() / 2);
  KsmKeeper keeper(tree_, saved());
  const auto recovered = keeper.recover();
  ASSERT_FALSE(recovered);
  EXPECT_NE(recovered.error().context.find(saved()), std::string::npos);
}

}  // namespace
}  // namespace panal::optimiser

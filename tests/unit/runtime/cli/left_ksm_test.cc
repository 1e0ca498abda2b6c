// KSM as a panald that is gone has left it: told by doctor, put back by down and before tune.
#include "runtime/cli/left_ksm.h"

#include <gmock/gmock.h>

#include "runtime/optimiser/ksm_keeper.h"
#include "tests/unit/runtime/cli/tune_fixture.h"

namespace panal::cli {
namespace {

using testing::HasSubstr;

class LeftKsm : public Tune {
 protected:
  void SetUp() override {
    Tune::SetUp();
    for (const auto& [name, value] :
         std::initializer_list<std::pair<const char*, const char*>>{{"run", "0\n"},
                                                                    {"use_zero_pages", "0\n"},
                                                                    {"sleep_millisecs", "20\n"},
                                                                    {"pages_to_scan", "100\n"}})
      put(std::string(kKsm) + name, value);
    tree_ = std::move(*Tree::open_below(root_));
  }
  /// One that governs, and is killed at the end of the scope.
  struct Governor {
    Governor(const Tree& tree, const std::string& root)
        : keeper(tree, root + "/saved/ksm.former", root + "/lock") {
      EXPECT_TRUE(keeper.apply({true, 500, 11, KsmPhase::kBurst}, true));
    }
    optimiser::KsmKeeper keeper;
  };
  Check look() const { return check_ksm(tree_, root_ + "/saved"); }
  std::string pages() const { return get(std::string(kKsm) + "pages_to_scan"); }

  static constexpr const char* kKsm = "sys/kernel/mm/ksm/";
  Tree tree_;
};

TEST_F(LeftKsm, IsToldAndPutBack) {
  Shell shell{out_, err_, false, "", {}, backends_};
  EXPECT_EQ(look().verdict, Check::kOk);
  EXPECT_EQ(put_ksm_back_plan(shell), "");
  {
    const Governor governor(tree_, root_);
    EXPECT_EQ(look().verdict, Check::kOk) << "it lives";
    EXPECT_EQ(put_ksm_back_plan(shell), "");
    EXPECT_TRUE(put_ksm_back(shell));
    EXPECT_EQ(pages(), "500") << "and goes on governing";
  }
  const Check check = look();
  EXPECT_EQ(check.verdict, Check::kWarning);
  EXPECT_THAT(check.found, HasSubstr("(run 1, 500 pages each 11 ms; before: run 0, 100 pages each "
                                     "20 ms)"));
  EXPECT_THAT(check.mend, HasSubstr("panal down puts it back"));
  EXPECT_THAT(put_ksm_back_plan(shell), HasSubstr("would put KSM back"));
  EXPECT_EQ(pages(), "500");
  EXPECT_TRUE(put_ksm_back(shell));
  EXPECT_THAT(out(), HasSubstr("panal: KSM is as it was before"));
  EXPECT_EQ(pages(), "100");
  EXPECT_EQ(get(std::string(kKsm) + "run"), "0");
  EXPECT_EQ(look().verdict, Check::kOk);
}

TEST_F(LeftKsm, IsNotTakenForTheMachinesOwnByAProfile) {
  put("profiles/merging.toml", "name = \"merging\"\n[ksm]\nrun = \"scan\"\npages_to_scan = 250\n");
  {
    const Governor governor(tree_, root_);
  }
  ASSERT_EQ(panal({"tune", "apply", "merging", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would put KSM back"));
  EXPECT_EQ(pages(), "500");
  ASSERT_EQ(panal({"tune", "apply", "merging"}), ExitCode::kOk) << err();
  EXPECT_EQ(pages(), "250");
  ASSERT_EQ(panal({"tune", "revert"}), ExitCode::kOk) << err();
  EXPECT_EQ(pages(), "100");
  EXPECT_EQ(get(std::string(kKsm) + "run"), "0");
}

TEST_F(LeftKsm, TheOneOfAGovernorThatLivesIsNotTakenForTheMachinesOwnEither) {
  put("profiles/merging.toml", "name = \"merging\"\n[ksm]\nrun = \"scan\"\npages_to_scan = 250\n");
  const Governor governor(tree_, root_);
  ASSERT_EQ(pages(), "500");
  ASSERT_EQ(panal({"tune", "apply", "merging"}), ExitCode::kOk) << err();
  EXPECT_EQ(pages(), "250");
  ASSERT_EQ(panal({"tune", "revert"}), ExitCode::kOk) << err();
  EXPECT_EQ(pages(), "100") << "and not 500";
  EXPECT_EQ(get(std::string(kKsm) + "run"), "0");
}

TEST_F(LeftKsm, ARecordThatIsDamagedOrOfAnEarlierBootSaysNothingOfBefore) {
  const auto before = [this] { return ksm_before_governor(tree_, root_ + "/saved"); };
  EXPECT_TRUE(before().empty());
  put("saved/ksm.former", "{");
  EXPECT_TRUE(before().empty());
  KsmSettings former;
  former.advisor = KsmAdvisor::kScanTime;
  former.pages_to_scan = 77;
  put("saved/ksm.former", optimiser::print_saved_ksm({"another", former}));
  EXPECT_TRUE(before().empty());
  put("saved/ksm.former", optimiser::print_saved_ksm({"one", former}));
  EXPECT_EQ(before().size(), optimiser::kGovernedSettings.size());
  for (const char* name : optimiser::kGovernedSettings)
    EXPECT_TRUE(before().contains(name)) << name;
  EXPECT_EQ(before()["ksm.advisor_mode"], "scan-time");
  EXPECT_EQ(before()["ksm.pages_to_scan"], "77");
  EXPECT_EQ(before()["ksm.run"], "0");
}

TEST_F(LeftKsm, ADamagedRecordIsTold) {
  put("saved/ksm.former", "{");
  Shell shell{out_, err_, false, "", {}, backends_};
  EXPECT_FALSE(put_ksm_back(shell));
  EXPECT_THAT(err(), HasSubstr("look at KSM's settings, then remove it"));
  EXPECT_EQ(look().verdict, Check::kWarning);
  EXPECT_THAT(look().found, HasSubstr("ksm.former"));
}

}  // namespace
}  // namespace panal::cli

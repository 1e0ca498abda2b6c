#include "runtime/cli/tune_at_start.h"

#include <gmock/gmock.h>

#include "engine/profile/saved.h"
#include "tests/unit/runtime/cli/tune_fixture.h"

namespace panal::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TuneAtStart : public Tune {
 protected:
  void SetUp() override {
    Tune::SetUp();
    chosen("balanced");
  }
  void chosen(const std::string& profile, bool apply = true) const {
    put("panal.toml", "[paths]\nprofiles = \"" + root_ + "/profiles\"\n[tuning]\nprofile = \"" +
                          profile + "\"\n" + (apply ? "apply_at_start = true\n" : ""));
  }
  /// What `panal up` says of it.
  std::vector<std::string> up() {
    Shell shell{out_, err_, false, "", *config::load(root_ + "/panal.toml"), backends_};
    plan_ = tune_at_start_plan(shell);
    std::vector<std::string> said;
    tune_at_start(shell, [&said](const std::string& text) { said.push_back(text); });
    return said;
  }
  void boot(const std::string& id) const {
    put("proc/sys/kernel/random/boot_id", id + "\n");
    put("proc/sys/vm/swappiness", "60\n");
    put("proc/sys/kernel/keys/maxkeys", "200\n");
  }
  std::string swappiness() const { return get("proc/sys/vm/swappiness"); }

  std::string plan_;  ///< of up --dry-run, before the last up()
};

TEST_F(TuneAtStart, IsOffUnlessAskedFor) {
  chosen("balanced", false);
  EXPECT_THAT(up(), IsEmpty());
  EXPECT_EQ(plan_, "");
  EXPECT_EQ(swappiness(), "60");
}

TEST_F(TuneAtStart, AppliesWhatIsChosenOnceABoot) {
  EXPECT_THAT(up(), ElementsAre("profile balanced is applied: 2 of 2 settings changed"));
  EXPECT_THAT(plan_, HasSubstr("would apply profile balanced"));
  EXPECT_EQ(swappiness(), "150");
  EXPECT_THAT(up(), IsEmpty()) << "again: nothing to do";
  EXPECT_EQ(plan_, "");
  ASSERT_EQ(panal({"tune", "verify"}), ExitCode::kOk) << err();
  boot("two");
  EXPECT_THAT(up(), ElementsAre("profile balanced is applied: 2 of 2 settings changed"));
  EXPECT_EQ(swappiness(), "150");
  // What came before the first profile of this boot.
  ASSERT_EQ(panal({"tune", "revert"}), ExitCode::kOk) << err();
  EXPECT_EQ(swappiness(), "60");
}

TEST_F(TuneAtStart, LeavesAloneWhatAnOperatorDidSinceTheBoot) {
  put("profiles/other.toml", "name = \"other\"\n[sysctl]\n\"vm.swappiness\" = { exactly = 90 }\n");
  ASSERT_EQ(panal({"tune", "apply", "other"}), ExitCode::kOk) << err();
  EXPECT_THAT(up(), IsEmpty()) << "another profile was applied by hand";
  EXPECT_EQ(swappiness(), "90");
  put("proc/sys/vm/swappiness", "10\n");
  EXPECT_THAT(up(), IsEmpty()) << "and then one of its settings changed";
  EXPECT_EQ(swappiness(), "10");
}

TEST_F(TuneAtStart, WhatCannotBeAppliedIsSaidAndNotDone) {
  chosen("needs-ksm");
  EXPECT_THAT(up(),
              ElementsAre("profile needs-ksm is not applied: ksm.run cannot be set to 1: this "
                          "host has no such setting; nothing was changed"));
  EXPECT_FALSE(std::filesystem::exists(root_ + "/saved/applied.json"));
  chosen("broken");
  EXPECT_THAT(up(), ElementsAre(HasSubstr("profile broken is not applied: ")));
  chosen("balanced");
  {
    const auto lock = profile::MachineLock::take(root_ + "/lock");
    ASSERT_TRUE(lock);
    EXPECT_THAT(up(), ElementsAre(HasSubstr("holds " + root_ + "/lock")));
  }
  backends_.refusal = "this is a lab";
  EXPECT_THAT(up(), ElementsAre("profile balanced is not applied: this is a lab"));
  EXPECT_THAT(plan_, HasSubstr("would not apply profile balanced: this is a lab"));
  EXPECT_EQ(swappiness(), "60");
}

TEST_F(TuneAtStart, AnOptionalSettingThatIsMissingIsSaidAndLeftOut) {
  put("profiles/balanced.toml",
      "name = \"balanced\"\n[sysctl]\n\"vm.swappiness\" = { exactly = 150 }\n"
      "\"kernel.pty.max\" = { exactly = 9000, optional = true }\n");
  const auto said = up();
  ASSERT_EQ(said.size(), 2U) << testing::PrintToString(said);
  EXPECT_THAT(said[0], HasSubstr("kernel.pty.max left out: "));
  EXPECT_THAT(said[1], HasSubstr("profile balanced is applied: "));
  EXPECT_EQ(swappiness(), "150");
}

TEST_F(TuneAtStart, MakesWholeWhatWasStoppedInTheMiddle) {
  ASSERT_EQ(panal({"tune", "apply"}), ExitCode::kOk) << err();
  std::ifstream file(root_ + "/saved/applied.json");
  const std::string record((std::istreambuf_iterator<char>(file)), {});
  const auto with_state = [&](const char* state) {
    std::string other = record;
    other.replace(other.find("\"applied\""), 9, state);
    put("saved/applied.json", other);
  };
  with_state("\"reverting\"");
  EXPECT_THAT(up(),
              ElementsAre(HasSubstr("a revert was stopped in the middle: panal tune revert")));
  with_state("\"applying\"");
  put("proc/sys/kernel/keys/maxkeys", "200\n");
  EXPECT_THAT(up(), ElementsAre(HasSubstr("profile balanced is applied")));
  EXPECT_EQ(get("proc/sys/kernel/keys/maxkeys"), "1100");
  EXPECT_EQ(panal({"tune", "verify"}), ExitCode::kOk) << err();
}

}  // namespace
}  // namespace panal::cli

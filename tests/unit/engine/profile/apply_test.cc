#include "engine/profile/apply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/profile/zram_step.h"
#include "tests/unit/engine/profile/fake_machine.h"

namespace panal::profile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Profile profile_of(const std::string& text) {
  const auto profile = parse_profile(text, "test.toml");
  EXPECT_TRUE(profile) << profile.error().message();
  return profile.value_or(Profile{});
}

const char* const kFirst = R"(
name = "first"
desktops = 100
[sysctl]
"fs.inotify.max_user_instances" = { at_least = 100, per_desktop = 10 }
"kernel.pid_max" = { at_least = 131072 }
"kernel.pty.max" = { at_least = 4096 }
"vm.swappiness" = { exactly = 150 }
[huge_pages]
enabled = "never"
[ksm]
run = "scan"
use_zero_pages = true
pages_to_scan = 1000
sleep_ms = 10
[zram]
enabled = true
)";

/// Asks for less of some and does not name others.
const char* const kSecond = R"(
name = "second"
[sysctl]
"fs.inotify.max_user_instances" = { at_least = 500 }
[ksm]
run = "unmerge"
)";

class Tuning : public ::testing::Test {
 protected:
  Plan plan(const std::string& text) {
    const Profile profile = profile_of(text);
    const auto saved = read_saved(fake_.machine());
    EXPECT_TRUE(saved) << saved.error().message();
    auto made = make_plan(profile, profile.desktops, FakeMachine::facts(), fake_.machine(), *saved);
    EXPECT_TRUE(made) << made.error().message();
    return made.value_or(Plan{});
  }
  /// As `panal tune apply` does.
  Result<std::vector<std::string>> apply_text(const std::string& text) {
    const auto lock = fake_.lock();
    const auto settled = settle(fake_.machine(), lock);
    EXPECT_TRUE(settled) << settled.error().message();
    const Plan made = plan(text);
    const auto saved = read_saved(fake_.machine());
    return apply(made, *saved, fake_.machine(), lock);
  }
  Result<Reverted> revert_it() { return revert(fake_.machine(), fake_.lock()); }

  static const Setting* find(const std::vector<Setting>& settings, const std::string& name) {
    for (const Setting& setting : settings)
      if (setting.name == name) return &setting;
    return nullptr;
  }

  FakeMachine fake_;
};

TEST_F(Tuning, APlanTellsBeforeAfterAndWhyAndWritesNothing) {
  const auto before = fake_.values();
  const Plan made = plan(kFirst);
  const Setting* inotify = find(made.settings, "fs.inotify.max_user_instances");
  ASSERT_NE(inotify, nullptr);
  EXPECT_EQ(inotify->before, "128");
  EXPECT_EQ(inotify->after, "1100") << "100 + 10 x 100 desktops";
  EXPECT_FALSE(inotify->why.empty());
  const Setting* ptys = find(made.settings, "kernel.pty.max");
  ASSERT_NE(ptys, nullptr);
  EXPECT_FALSE(ptys->changes()) << "the machine allows more already";
  EXPECT_EQ(find(made.settings, "zram")->before, "off");
  EXPECT_EQ(find(made.settings, "ksm.advisor_mode")->after, "none");
  EXPECT_EQ(made.blocked(), nullptr);
  EXPECT_EQ(fake_.values(), before);
  EXPECT_FALSE(fake_.has_record());
}

TEST_F(Tuning, ApplyVerifyRevert) {
  const auto before = fake_.values();
  const auto left_out = apply_text(kFirst);
  ASSERT_TRUE(left_out) << left_out.error().message();
  EXPECT_THAT(*left_out, ElementsAre());
  EXPECT_EQ(fake_.get("proc/sys/fs/inotify/max_user_instances"), "1100");
  EXPECT_EQ(fake_.get("proc/sys/kernel/pty/max"), "999999") << "never lowered";
  EXPECT_EQ(fake_.get("sys/kernel/mm/ksm/run"), "1");
  EXPECT_THAT(fake_.zram, HasSubstr("algorithm=lzo-rle size="));
  const auto verified = verify(fake_.machine());
  ASSERT_TRUE(verified) << verified.error().message();
  EXPECT_TRUE(verified->good());
  EXPECT_EQ(verified->profile, "first");
  // A second time changes nothing, and what was at first stays known.
  ASSERT_TRUE(apply_text(kFirst));
  const auto reverted = revert_it();
  ASSERT_TRUE(reverted) << reverted.error().message();
  EXPECT_EQ(fake_.values(), before);
  EXPECT_FALSE(fake_.has_record());
  const auto again = revert_it();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ENODATA);
}

TEST_F(Tuning, VerifyFindsDriftAndWhatIsMoreThanAskedForIsNone) {
  ASSERT_TRUE(apply_text(kFirst));
  fake_.put("proc/sys/fs/inotify/max_user_instances", "2000\n");
  fake_.put("sys/kernel/mm/ksm/pages_to_scan", "4321\n");  // the governor's
  EXPECT_TRUE(verify(fake_.machine())->good());
  fake_.put("proc/sys/fs/inotify/max_user_instances", "1099\n");
  fake_.put("proc/sys/vm/swappiness", "60\n");
  fake_.remove("sys/kernel/mm/ksm/use_zero_pages");
  fake_.zram = "off";
  const auto verified = verify(fake_.machine());
  ASSERT_TRUE(verified) << verified.error().message();
  EXPECT_FALSE(verified->good());
  std::vector<std::string> names;
  for (const Drift& drift : verified->drift) names.push_back(drift.name + " " + drift.found);
  EXPECT_THAT(names, ElementsAre("fs.inotify.max_user_instances 1099", "vm.swappiness 60",
                                 "ksm.use_zero_pages nothing", "zram off"));
}

TEST_F(Tuning, NothingAppliedIsNoDrift) {
  const auto verified = verify(fake_.machine());
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().code, ENODATA);
}

TEST_F(Tuning, AnotherProfileLowersWhatThisOneRaisedAndNotMore) {
  const auto before = fake_.values();
  ASSERT_TRUE(apply_text(kFirst));
  const Plan made = plan(kSecond);
  EXPECT_EQ(find(made.settings, "fs.inotify.max_user_instances")->after, "500");
  EXPECT_NE(find(made.leaving, "vm.swappiness"), nullptr);
  ASSERT_TRUE(apply_text(kSecond));
  EXPECT_EQ(fake_.get("proc/sys/fs/inotify/max_user_instances"), "500");
  EXPECT_EQ(fake_.get("proc/sys/vm/swappiness"), "60");
  EXPECT_EQ(fake_.get("sys/kernel/mm/ksm/run"), "2");
  EXPECT_EQ(fake_.zram, "off");
  EXPECT_TRUE(verify(fake_.machine())->good());
  ASSERT_TRUE(revert_it());
  EXPECT_EQ(fake_.values(), before);
}

TEST_F(Tuning, WhatTheKernelMovesWithASettingComesBackToo) {
  // A kernel recalculates it when huge pages are switched, also back.
  fake_.put("proc/sys/vm/min_free_kbytes", "10000\n");
  const auto before = fake_.values();
  fake_.on_checkpoint = [&](std::string_view name) {
    if (name == "huge_pages.enabled") fake_.put("proc/sys/vm/min_free_kbytes", "45056\n");
  };
  ASSERT_TRUE(apply_text(kFirst));
  EXPECT_TRUE(verify(fake_.machine())->good());
  ASSERT_TRUE(apply_text(kSecond)) << "does not name huge pages";
  EXPECT_EQ(fake_.get("proc/sys/vm/min_free_kbytes"), "10000");
  ASSERT_TRUE(apply_text(kFirst));
  ASSERT_TRUE(revert_it());
  EXPECT_EQ(fake_.values(), before);
}

TEST_F(Tuning, AWriteThatFailsTakesAllOfItBack) {
  const auto before = fake_.values();
  fake_.refused = zram_state(profile_of(kFirst).zram, FakeMachine::facts().memory_total_bytes);
  const auto refused = apply_text(kFirst);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().context,
            "zram: no such algorithm: Invalid argument; all values are as before");
  EXPECT_EQ(fake_.values(), before);
  EXPECT_FALSE(fake_.has_record());
}

TEST_F(Tuning, AValueTheKernelChangesIsAFailureAndIsPutBack) {
  const auto before = fake_.values();
  int times = 0;
  fake_.on_checkpoint = [&](std::string_view name) {
    if (name != "vm.swappiness") return;
    if (times++ == 0)
      fake_.swallow("proc/sys/vm/swappiness");
    else
      fake_.put("proc/sys/vm/swappiness", "");
  };
  const auto refused = apply_text(kFirst);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("after 150 was written"));
  EXPECT_THAT(refused.error().context, HasSubstr("all values are as before"));
  EXPECT_EQ(fake_.values(), before);
  EXPECT_FALSE(fake_.has_record());
}

TEST_F(Tuning, WhatCannotBePutBackStaysOnRecordUntilItCan) {
  const auto before = fake_.values();
  fake_.on_checkpoint = [&](std::string_view name) {
    if (name == "vm.swappiness") fake_.swallow("proc/sys/vm/swappiness");
  };
  const auto refused = apply_text(kFirst);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("try panal tune revert"));
  EXPECT_TRUE(fake_.has_record());
  EXPECT_TRUE(verify(fake_.machine())->interrupted);
  const auto still = revert_it();
  ASSERT_FALSE(still);
  EXPECT_THAT(still.error().context, HasSubstr("they stay on record, try again"));
  EXPECT_EQ(fake_.get("sys/kernel/mm/ksm/run"), "0") << "the rest is back all the same";
  fake_.on_checkpoint = {};
  fake_.put("proc/sys/vm/swappiness", "77\n");
  ASSERT_TRUE(revert_it());
  EXPECT_EQ(fake_.values(), before);
}

TEST_F(Tuning, AFailedChangeOfProfileLeavesTheOneBefore) {
  ASSERT_TRUE(apply_text(kFirst));
  const auto first = fake_.values();
  fake_.refused = "off";
  const auto refused = apply_text(kSecond);
  ASSERT_FALSE(refused);
  fake_.refused.clear();
  // The fake's zram went off in the attempt; it is brought back as well.
  EXPECT_EQ(fake_.values(), first);
  const auto verified = verify(fake_.machine());
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->profile, "first");
  EXPECT_TRUE(verified->good());
}

TEST_F(Tuning, AnOptionalSettingIsLeftOutAndSaid) {
  const auto before = fake_.values();
  fake_.no_zram = "this kernel has no zram";
  const std::string text = kFirst;
  const auto blocked = apply_text(text);
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().code, EBUSY);
  EXPECT_THAT(blocked.error().context, HasSubstr("this kernel has no zram; nothing was changed"));
  EXPECT_EQ(fake_.values(), before);
  const auto left_out = apply_text(text + "optional = true\n");
  ASSERT_TRUE(left_out) << left_out.error().message();
  EXPECT_THAT(*left_out, ElementsAre("zram left out: this kernel has no zram"));
  fake_.no_zram.clear();
  EXPECT_TRUE(verify(fake_.machine())->good());
  ASSERT_TRUE(revert_it());
  EXPECT_EQ(fake_.values(), before);
}

TEST_F(Tuning, UnmergingNeedsRoom) {
  fake_.put("sys/kernel/mm/ksm/run", "1\n");
  fake_.put("sys/kernel/mm/ksm/pages_sharing", "2000000\n");
  const Plan made = plan(kSecond);
  ASSERT_NE(made.blocked(), nullptr);
  EXPECT_THAT(made.blocked()->obstacle, HasSubstr("stop some desktops first"));
  fake_.put("sys/kernel/mm/ksm/pages_sharing", "0\n");
  EXPECT_EQ(plan(kSecond).blocked(), nullptr);
  fake_.put("sys/kernel/mm/ksm/ksm_zero_pages", "2000000\n");
  const Plan zeros = plan(kSecond);
  ASSERT_NE(zeros.blocked(), nullptr) << "pages of zeros come back too";
  EXPECT_THAT(zeros.blocked()->obstacle, HasSubstr("unmerging takes 7812 MiB"));
}

/// Kills at the first, second, ... thing that lasts, until one run gets through.
template <typename Prepare, typename Run>
void kill_everywhere(Prepare prepare, Run run) {
  int kills = 0;
  for (bool through = false; !through; ++kills) {
    ASSERT_LT(kills, 200);
    FakeMachine fake;
    const auto original = fake.values();
    prepare(fake);
    fake.checkpoints = 0;
    fake.kill_at = kills;
    try {
      run(fake);
      through = true;
    } catch (const Killed&) {
    }
    fake.kill_at = -1;
    if (fake.has_record()) {
      const auto done = revert(fake.machine(), fake.lock());
      ASSERT_TRUE(done) << kills << ": " << done.error().message();
    }
    EXPECT_EQ(fake.values(), original) << "killed at " << kills;
    EXPECT_FALSE(fake.has_record());
  }
  EXPECT_GT(kills, 5);
}

void apply_to(FakeMachine& fake, const char* text) {
  const auto lock = fake.lock();
  const auto settled = settle(fake.machine(), lock);
  ASSERT_TRUE(settled) << settled.error().message();
  const auto saved = read_saved(fake.machine());
  ASSERT_TRUE(saved);
  const Profile profile = profile_of(text);
  const auto plan =
      make_plan(profile, profile.desktops, FakeMachine::facts(), fake.machine(), *saved);
  ASSERT_TRUE(plan);
  const auto done = apply(*plan, *saved, fake.machine(), lock);
  ASSERT_TRUE(done) << done.error().message();
}

TEST(TuningKilled, InAnApply) {
  kill_everywhere([](FakeMachine&) {}, [](FakeMachine& fake) { apply_to(fake, kFirst); });
}

TEST(TuningKilled, InAChangeOfProfile) {
  kill_everywhere([](FakeMachine& fake) { apply_to(fake, kFirst); },
                  [](FakeMachine& fake) { apply_to(fake, kSecond); });
}

TEST(TuningKilled, InARevert) {
  kill_everywhere([](FakeMachine& fake) { apply_to(fake, kFirst); },
                  [](FakeMachine& fake) { (void)revert(fake.machine(), fake.lock()); });
}

TEST(TuningKilled, InAnApplyThatFails) {
  kill_everywhere([](FakeMachine&) {},
                  [](FakeMachine& fake) {
                    const auto lock = fake.lock();
                    const Profile profile = profile_of(kFirst);
                    const auto plan = make_plan(profile, profile.desktops, FakeMachine::facts(),
                                                fake.machine(), std::nullopt);
                    ASSERT_TRUE(plan);
                    fake.refused =
                        zram_state(profile.zram, FakeMachine::facts().memory_total_bytes);
                    const auto done = apply(*plan, std::nullopt, fake.machine(), lock);
                    EXPECT_FALSE(done);
                  });
}

TEST(TuningKilled, TheNextApplyTakesItBackFirst) {
  FakeMachine fake;
  const auto original = fake.values();
  fake.kill_at = 6;
  EXPECT_THROW(apply_to(fake, kFirst), Killed);
  fake.kill_at = -1;
  const auto half = verify(fake.machine());
  ASSERT_TRUE(half);
  EXPECT_TRUE(half->interrupted);
  EXPECT_FALSE(half->good());
  apply_to(fake, kSecond);
  EXPECT_TRUE(verify(fake.machine())->good());
  ASSERT_TRUE(revert(fake.machine(), fake.lock()));
  EXPECT_EQ(fake.values(), original);
}

TEST_F(Tuning, ABootTakesEverythingBackByItself) {
  ASSERT_TRUE(apply_text(kFirst));
  fake_.boot("second");
  fake_.put("proc/sys/vm/swappiness", "61\n");
  const auto verified = verify(fake_.machine());
  ASSERT_TRUE(verified);
  EXPECT_TRUE(verified->earlier_boot);
  EXPECT_FALSE(verified->good());
  const auto reverted = revert_it();
  ASSERT_TRUE(reverted) << reverted.error().message();
  EXPECT_TRUE(reverted->earlier_boot);
  EXPECT_EQ(fake_.get("proc/sys/vm/swappiness"), "61") << "nothing is written";
  EXPECT_FALSE(fake_.has_record());
}

TEST_F(Tuning, OneAtATime) {
  const auto lock = fake_.lock();
  const auto second = MachineLock::take(fake_.lock_file());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EBUSY);
  EXPECT_THAT(second.error().context, HasSubstr("try again when it has ended"));
}

TEST(SavedRecord, ReadsWhatItPrints) {
  FakeMachine fake;
  apply_to(fake, kFirst);
  const auto saved = read_saved(fake.machine());
  ASSERT_TRUE(saved && *saved);
  const std::string printed = print_saved(**saved);
  const auto again = parse_saved(printed, "again");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(print_saved(*again), printed);
}

TEST(SavedRecord, DamageIsToldAndNothingIsWrittenFromIt) {
  FakeMachine fake;
  apply_to(fake, kFirst);
  const std::string good = print_saved(**read_saved(fake.machine()));
  const auto swapped = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string("[1]"), good.substr(0, good.size() / 2),
        swapped("\"format\": 1", "\"format\": 2"), swapped("\"applied\"", "\"sleeping\""),
        swapped("sys/vm/swappiness", "sys/vm/../../../etc/passwd"),
        swapped("sys/vm/swappiness", "self/mem"), swapped("kernel/mm/ksm/run", "power/state"),
        swapped("\"format\": 1", "\"format\": 1.5"),
        swapped("\"format\": 1", "\"format\": 4294967297"),
        swapped("\"desktops\": 100", "\"desktops\": -1"),
        swapped("\"desktops\": 100", "\"desktops\": 1e30"),
        swapped("\"desktops\": 100", "\"desktops\": \"x\"")}) {
    const auto parsed = parse_saved(bad, "applied.json");
    const auto values = fake.values();
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code, EPROTO);
    fake.put("saved/applied.json", bad);
    const auto reverted = revert(fake.machine(), fake.lock());
    ASSERT_FALSE(reverted);
    EXPECT_THAT(reverted.error().context, HasSubstr("remove that file"));
    EXPECT_EQ(fake.values(), values);
  }
}

TEST(ZramState, IsReadAsItIsPrinted) {
  const std::string text = "algorithm=lzo-rle size=1073741824 limit=268435456 priority=100";
  const auto settings = parse_zram_state(text);
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(settings->disk_bytes, 1073741824U);
  EXPECT_EQ(settings->algorithm, "lzo-rle");
  EXPECT_EQ(print_zram_state(*settings), text);
  for (const char* bad :
       {"", "off", "half set up", "algorithm=lz4", "algorithm= size=1 limit=1 priority=1",
        "algorithm=lz4 size=x limit=1 priority=1", "algorithm=lz4 size=1 limit=1 priority=99999",
        "algorithm=lz4 size=1 limit=1 priority=1 size=2"})
    EXPECT_FALSE(parse_zram_state(bad)) << bad;
}

/// What the kernel would show, as files.
TEST(ZramStep, LeavesOthersSwapAloneAndKnowsWhereThereIsNone) {
  FakeMachine fake;
  const Machine machine = fake.machine();
  ZramStep step(machine.tree, machine.state_dir + "/zram");
  fake.put("sys/block/sda/size", "1\n");
  auto state = step.state("zram");
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, ENOENT);
  EXPECT_THAT(state.error().context, HasSubstr("no zram"));
  fake.put("sys/block/zram0/initstate", "0\n");
  state = step.state("zram");
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ(*state, "off");
  fake.put("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 1024 0 100\n");
  state = step.state("zram");
  ASSERT_FALSE(state);
  EXPECT_THAT(state.error().context, HasSubstr("swaps to /dev/zram0 already"));
  EXPECT_FALSE(step.bring("zram", "off")) << "it is not ours";
}

}  // namespace
}  // namespace panal::profile

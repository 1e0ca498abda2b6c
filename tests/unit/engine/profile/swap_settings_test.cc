// What is behind zram, and zswap: planned, applied, found drifted, reverted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/profile/apply.h"
#include "engine/profile/swap_room.h"
#include "engine/profile/swap_steps.h"
#include "engine/profile/units.h"
#include "tests/unit/engine/profile/fake_machine.h"

namespace panal::profile {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kZswapFiles = "sys/module/zswap/parameters/";

class SwapSettings : public ::testing::Test {
 protected:
  Plan plan(const std::string& text) {
    const auto profile = parse_profile(text, "test.toml");
    EXPECT_TRUE(profile) << profile.error().message();
    const auto saved = read_saved(fake_.machine());
    EXPECT_TRUE(saved);
    auto made = make_plan(profile.value_or(Profile{}), 1, FakeMachine::facts(), fake_.machine(),
                          saved.value_or(std::nullopt));
    EXPECT_TRUE(made) << made.error().message();
    return made.value_or(Plan{});
  }
  Result<std::vector<std::string>> apply_text(const std::string& text) {
    const Plan made = plan(text);
    return apply(made, *read_saved(fake_.machine()), fake_.machine(), fake_.lock());
  }
  static std::string wanted(const Plan& plan, const std::string& name) {
    for (const Setting& setting : plan.settings)
      if (setting.name == name) return setting.wanted;
    return "not planned";
  }
  /// A place that zram could write to, if this is root's machine.
  std::string place() const {
    fake_.put("place", std::string(2 << 20, '\0'));
    EXPECT_EQ(::chmod(fake_.path("place").c_str(), 0600), 0);
    return fake_.path("place");
  }
  std::string with_writeback(const std::string& place) const {
    return "name = \"a\"\n[zram]\nenabled = true\nwriteback = \"" + place + "\"\n";
  }

  FakeMachine fake_;
};

TEST_F(SwapSettings, WhereTheKernelCannotWriteBackZramIsSetUpWithoutAndItIsSaid) {
  const Plan made = plan(with_writeback("/nowhere/at/all"));
  EXPECT_EQ(made.blocked(), nullptr);
  EXPECT_THAT(made.notes, ElementsAre(HasSubstr("zram.writeback: no zram device here can")));
  EXPECT_THAT(wanted(made, "zram"), Not(HasSubstr("writeback")));
}

TEST_F(SwapSettings, APlaceThatIsNoneBlocks) {
  fake_.put("sys/block/zram0/backing_dev", "none\n");
  const Plan made = plan(with_writeback("/nowhere/at/all"));
  ASSERT_NE(made.blocked(), nullptr);
  EXPECT_THAT(made.blocked()->obstacle, HasSubstr("writeback: find /nowhere/at/all"));
  const auto refused = apply_text(with_writeback("/nowhere/at/all"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("nothing was changed"));
}

TEST_F(SwapSettings, APlaceIsPutBehindZramAndGoesWithIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "a place must be root's";
  fake_.put("sys/block/zram0/backing_dev", "none\n");
  const std::string text = with_writeback(place());
  const auto before = fake_.values();
  const Plan made = plan(text);
  EXPECT_THAT(made.notes, IsEmpty());
  EXPECT_THAT(wanted(made, "zram"), HasSubstr(" priority=100 writeback=" + place()));
  ASSERT_TRUE(apply_text(text));
  EXPECT_THAT(fake_.zram, HasSubstr("writeback=" + place()));
  EXPECT_TRUE(verify(fake_.machine())->good());
  EXPECT_EQ(plan(text).changes(), 0U) << "again";
  // Another profile without one: it is set up anew.
  ASSERT_TRUE(apply_text("name = \"b\"\n[zram]\nenabled = true\n"));
  EXPECT_THAT(fake_.zram, Not(HasSubstr("writeback")));
  ASSERT_TRUE(revert(fake_.machine(), fake_.lock()));
  EXPECT_EQ(fake_.values(), before);
}

TEST_F(SwapSettings, TheStepReadsThePlaceFromTheKernel) {
  fake_.put("saved/zram", "first\n 0 \n0\nlzo-rle\n");
  fake_.put("proc/swaps",
            "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 1024 0 100\n");
  fake_.put("sys/block/zram0/initstate", "1\n");
  fake_.put("sys/block/zram0/disksize", "1048576\n");
  fake_.put("sys/block/zram0/comp_algorithm", "lzo [lz4]\n");
  fake_.put("sys/block/zram0/mm_stat", "0 0 0 4096 0 0 0 0 0\n");
  const Machine machine = fake_.machine();
  ZramStep step(machine.tree, machine.state_dir + "/zram");
  const std::string plain = "algorithm=lz4 size=1048576 limit=4096 priority=100";
  EXPECT_EQ(step.state("zram").value(), plain) << "a kernel that cannot";
  fake_.put("sys/block/zram0/backing_dev", "none\n");
  EXPECT_EQ(step.state("zram").value(), plain);
  fake_.put("sys/block/zram0/backing_dev", "/d/nvme0n1p3\n");
  EXPECT_EQ(step.state("zram").value(), plain + " writeback=/d/nvme0n1p3");
}

TEST_F(SwapSettings, WhatIsSwappedOutStaysWhereItWouldNotFitBelowTheDesktopsLimit) {
  // A device that no machine has.
  const std::string device = "sys/block/zram7777/";
  fake_.put("saved/zram", "first\n 0 \n7777\nlzo-rle\n");
  fake_.put("proc/swaps",
            "Filename\tType\tSize\tUsed\tPriority\n/dev/zram7777 partition 4194304 1048576 100\n");
  fake_.put(device + "initstate", "1\n");
  fake_.put(device + "disksize", "4294967296\n");
  fake_.put(device + "comp_algorithm", "lzo [lz4]\n");
  fake_.put(device + "mm_stat", "1073741824 0 0 0 0 0 0 0 0\n");
  // Of 8 GiB one is the reserve, and half of one is kept besides.
  fake_.put("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 0 kB\nMemAvailable: 2097152 kB\n");
  const Machine machine = fake_.machine();
  ZramStep step(machine.tree, machine.state_dir + "/zram");
  const auto refused = step.bring("zram", "off");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOMEM);
  EXPECT_EQ(refused.error().context,
            "/dev/zram7777 holds 1024 MiB, and only 512 MiB are available to take them back: stop "
            "some desktops first");
}

TEST(RoomForSwapped, KeepsTheReserveAndSomeMore) {
  FakeMachine fake;
  const Machine machine = fake.machine();
  struct Case {
    const char* available_kib;
    std::uint64_t used_mib;
    bool fits;
  };
  for (const Case& one : {Case{"2097152", 512, true}, Case{"2097152", 513, false},
                          Case{"1048576", 0, true}, Case{"1048576", 1, false}}) {
    fake.put("proc/meminfo", std::string("MemTotal: 8388608 kB\nMemFree: 0 kB\nMemAvailable: ") +
                                 one.available_kib + " kB\n");
    SwapDevice swap;
    swap.used_bytes = one.used_mib * kMib;
    EXPECT_EQ(check_room_for_swapped(machine.tree, swap, "it").has_value(), one.fits)
        << one.available_kib << " " << one.used_mib;
  }
}

TEST(ZramStateWithAPlace, IsReadAsItIsPrinted) {
  const std::string text = "algorithm=lz4 size=1073741824 limit=0 priority=7 writeback=/var/swap";
  const auto settings = parse_zram_state(text);
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(settings->writeback, "/var/swap");
  EXPECT_EQ(print_zram_state(*settings), text);
  for (const char* bad :
       {"algorithm=lz4 size=1 limit=0 priority=7 writeback=",
        "algorithm=lz4 size=1 limit=0 writeback=/a priority=7",
        "algorithm=lz4 size=1 limit=0 priority=7 writeback=/a writeback=/b", "writeback=/a"})
    EXPECT_FALSE(parse_zram_state(bad)) << bad;
}

const char* const kZswapProfile = R"(
name = "z"
[zswap]
enabled = true
compressor = "zstd"
max_pool_percent = 30
shrinker_enabled = true
)";

class ZswapSettings : public SwapSettings {
 protected:
  void SetUp() override {
    for (const auto& [name, text] :
         {std::pair{"enabled", "N\n"}, std::pair{"compressor", "lzo\n"},
          std::pair{"max_pool_percent", "20\n"}, std::pair{"accept_threshold_percent", "90\n"}})
      fake_.put(std::string(kZswapFiles) + name, text);
  }
  std::string knob(const std::string& name) const { return fake_.get(kZswapFiles + name); }
};

TEST_F(ZswapSettings, AreAppliedVerifiedAndReverted) {
  const auto before = fake_.values();
  const Plan made = plan(kZswapProfile);
  EXPECT_THAT(made.notes, ElementsAre(HasSubstr("zswap.shrinker_enabled: this host has no such")))
      << "an older kernel";
  ASSERT_TRUE(apply_text(kZswapProfile));
  EXPECT_EQ(knob("enabled"), "Y");
  EXPECT_EQ(knob("compressor"), "zstd");
  EXPECT_EQ(knob("max_pool_percent"), "30");
  EXPECT_EQ(knob("accept_threshold_percent"), "90") << "not named";
  EXPECT_TRUE(verify(fake_.machine())->good());
  fake_.put(std::string(kZswapFiles) + "enabled", "N\n");
  const auto drifted = verify(fake_.machine());
  ASSERT_EQ(drifted->drift.size(), 1U);
  EXPECT_EQ(drifted->drift[0].name, "zswap.enabled");
  ASSERT_TRUE(revert(fake_.machine(), fake_.lock()));
  EXPECT_EQ(fake_.values(), before);
}

TEST_F(ZswapSettings, AnAlgorithmThatTheKernelLacksIsLeftOutAndTheRestIsNot) {
  fake_.on_checkpoint = [this](std::string_view name) {
    if (name != "zswap.compressor") return;
    const std::string file = std::string(kZswapFiles) + "compressor";
    if (fake_.get(file) == "lzo") return fake_.swallow(file);
    fake_.put(file, "lzo\n");
  };
  const auto left_out = apply_text(kZswapProfile);
  ASSERT_TRUE(left_out) << left_out.error().message();
  EXPECT_THAT(*left_out, Contains(HasSubstr("zswap.compressor left out")));
  EXPECT_EQ(knob("enabled"), "Y");
}

TEST_F(SwapSettings, WithoutZswapItIsSaidOrRefusedAsTheProfileHasIt) {
  const Plan without = plan(kZswapProfile);
  EXPECT_EQ(without.blocked(), nullptr);
  EXPECT_EQ(without.settings.size(), 0U);
  EXPECT_EQ(without.notes.size(), 4U);
  const Plan strict = plan(std::string(kZswapProfile) + "optional = false\n");
  ASSERT_NE(strict.blocked(), nullptr);
  EXPECT_EQ(strict.blocked()->name, "zswap.compressor");
}

const char* const kSwapFileProfile = R"(
name = "f"
[zram]
enabled = true
[zswap]
enabled = true
compressor = "zstd"
swap_percent = 50
)";

class SwapFileOfAProfile : public ZswapSettings {
 protected:
  /// Of a machine of 8 GiB.
  static constexpr const char* kHalf = "size=4227858432 priority=100";

  void SetUp() override {
    ZswapSettings::SetUp();
    facts_.swap_disk_free_bytes = std::uint64_t{100} << 30U;
  }
  Plan plan_file(const std::string& text = kSwapFileProfile) {
    const auto profile = parse_profile(text, "test.toml");
    EXPECT_TRUE(profile) << profile.error().message();
    auto made = make_plan(profile.value_or(Profile{}), 1, facts_, fake_.machine(),
                          *read_saved(fake_.machine()));
    EXPECT_TRUE(made) << made.error().message();
    return made.value_or(Plan{});
  }
  Result<std::vector<std::string>> apply_file(const std::string& text = kSwapFileProfile) {
    return apply(plan_file(text), *read_saved(fake_.machine()), fake_.machine(), fake_.lock());
  }
  void expect_zram(const std::string& reason) {
    const Plan made = plan_file();
    EXPECT_EQ(made.blocked(), nullptr);
    EXPECT_THAT(made.notes, ElementsAre("zswap: " + reason + "; zram instead"));
    EXPECT_THAT(wanted(made, "zram"), HasSubstr("algorithm="));
    EXPECT_EQ(wanted(made, "zswap.enabled"), "not planned");
    EXPECT_EQ(wanted(made, "swap_file"), "not planned");
  }

  HostFacts facts_ = FakeMachine::facts();
};

TEST_F(SwapFileOfAProfile, ZswapWithItsFileTakesZramsPlaceAndGoesWhole) {
  const auto before = fake_.values();
  const Plan made = plan_file();
  EXPECT_THAT(made.notes, IsEmpty());
  EXPECT_EQ(wanted(made, "swap_file"), kHalf);
  EXPECT_EQ(wanted(made, "zram"), "not planned");
  // The file is there before anything is compressed on its way to it.
  EXPECT_EQ(made.settings.back().name, "zswap.enabled");
  ASSERT_TRUE(apply_file());
  EXPECT_EQ(fake_.swap_file, kHalf);
  EXPECT_EQ(fake_.zram, "off");
  EXPECT_EQ(knob("enabled"), "Y");
  EXPECT_TRUE(verify(fake_.machine())->good());
  fake_.swap_file = "off";
  EXPECT_EQ(verify(fake_.machine())->drift.size(), 1U);
  ASSERT_TRUE(revert(fake_.machine(), fake_.lock()));
  EXPECT_EQ(fake_.values(), before);
}

TEST_F(SwapFileOfAProfile, OneThatIsThereKeepsItsSizeWhateverTheDiskHasFree) {
  facts_.swap_disk_free_bytes = std::uint64_t{13} << 30U;
  const std::string smaller = "size=3221225472 priority=100";
  ASSERT_TRUE(apply_file());
  EXPECT_EQ(fake_.swap_file, smaller);
  for (const std::uint64_t free_gib : {0U, 3U, 500U}) {
    facts_.swap_disk_free_bytes = free_gib << 30U;
    facts_.swap_disk_rotates = true;
    const Plan again = plan_file();
    EXPECT_EQ(again.changes(), 0U) << free_gib;
    EXPECT_EQ(wanted(again, "swap_file"), smaller) << free_gib;
  }
}

TEST_F(SwapFileOfAProfile, ZramIsForMachinesThatCannot) {
  facts_.swap_disk_rotates = true;
  expect_zram("the disk of " + fake_.machine().state_dir +
              " turns, and returning users would wait for it");
  facts_.swap_disk_rotates = false;
  facts_.swap_disk_free_bytes = std::uint64_t{11} << 30U;
  expect_zram("half of what is free on the disk of " + fake_.machine().state_dir +
              ", or all but 10 GiB, is 1024 MiB, too little for swap");
  facts_.swap_disk_free_bytes = std::uint64_t{5} << 30U;
  EXPECT_THAT(plan_file().notes, ElementsAre(HasSubstr("is 0 MiB, too little")));
  facts_.swap_disk_free_bytes = std::uint64_t{100} << 30U;
  fake_.no_swap_file = "a swap file wants ext4 or xfs";
  expect_zram("a swap file wants ext4 or xfs");
  fake_.no_swap_file.clear();
  fake_.put("proc/swaps",
            "Filename\tType\tSize\tUsed\tPriority\n/dev/zram3 partition 1024 0 100\n");
  expect_zram("the machine swaps to /dev/zram3 already, which Panal did not set up");
  fake_.remove("proc/swaps");
  fake_.remove(std::string(kZswapFiles) + "enabled");
  expect_zram("this kernel has none");
}

TEST_F(SwapFileOfAProfile, OfAProfileWithoutZramItIsLeftOutOrRefusedAsTheProfileHasIt) {
  const std::string alone = "name = \"f\"\n[zswap]\nenabled = true\nswap_percent = 50\n";
  facts_.swap_disk_rotates = true;
  EXPECT_EQ(plan_file(alone).blocked(), nullptr);
  const auto left_out = apply_file(alone);
  ASSERT_TRUE(left_out) << left_out.error().message();
  EXPECT_THAT(*left_out, Contains(HasSubstr("swap_file left out: the disk of ")));
  EXPECT_EQ(fake_.swap_file, "off");
  ASSERT_TRUE(revert(fake_.machine(), fake_.lock()));
  const Plan strict = plan_file(alone + "optional = false\n");
  ASSERT_NE(strict.blocked(), nullptr);
  EXPECT_THAT(strict.blocked()->obstacle, HasSubstr("turns"));
}

TEST_F(SwapFileOfAProfile, ASmallOneIsNoReasonForZram) {
  const Plan made = plan_file(
      "name = \"f\"\n[zram]\nenabled = true\n[zswap]\nenabled = true\nswap_percent = 10\n");
  EXPECT_THAT(made.notes, IsEmpty());
  EXPECT_EQ(wanted(made, "swap_file"), "size=805306368 priority=100");
}

TEST_F(SwapFileOfAProfile, OneThatCannotBeMadeLeavesTheMachineWithTheSwapItHad) {
  ASSERT_TRUE(apply_text("name = \"z\"\n[zram]\nenabled = true\n"));
  const auto before = fake_.values();
  fake_.refused = kHalf;
  EXPECT_FALSE(apply_file());
  EXPECT_EQ(fake_.values(), before);
  EXPECT_THAT(fake_.zram, HasSubstr("algorithm="));
}

TEST_F(SwapFileOfAProfile, OneOnNoRecordGoesAllTheSame) {
  fake_.swap_file = "half made";
  ASSERT_TRUE(apply_file());
  EXPECT_EQ(fake_.swap_file, kHalf);
  ASSERT_TRUE(revert(fake_.machine(), fake_.lock()));
  EXPECT_EQ(fake_.swap_file, "off");
}

TEST_F(SwapFileOfAProfile, WhatABootLeavesOfItIsRemoved) {
  fake_.boot("first");
  ASSERT_TRUE(apply_file());
  fake_.boot("second");
  fake_.swap_file = "a file that nobody swaps to";
  const auto reverted = revert(fake_.machine(), fake_.lock());
  ASSERT_TRUE(reverted) << reverted.error().message();
  EXPECT_TRUE(reverted->earlier_boot);
  EXPECT_THAT(reverted->notes, IsEmpty());
  EXPECT_EQ(fake_.swap_file, "off");
  EXPECT_FALSE(fake_.has_record());
}

TEST_F(SwapFileOfAProfile, AnotherProfileTakesItAwayAndSetsZramUp) {
  ASSERT_TRUE(apply_file());
  ASSERT_TRUE(apply_file("name = \"z\"\n[zram]\nenabled = true\n"));
  EXPECT_EQ(fake_.swap_file, "off");
  EXPECT_EQ(knob("enabled"), "N");
  EXPECT_THAT(fake_.zram, HasSubstr("algorithm="));
  ASSERT_TRUE(apply_file());
  EXPECT_EQ(fake_.swap_file, kHalf);
  EXPECT_EQ(fake_.zram, "off");
}

TEST(SwapFileState, IsReadAsItIsPrinted) {
  const auto settings = parse_swap_file_state("size=67108864 priority=100");
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(*settings, (profile::SwapFileSettings{67'108'864, 100}));
  for (const char* bad :
       {"", "off", "size=1", "size=0 priority=1", "size=1 priority=32768", "size=1 priority=-1",
        "size=1  priority=1", "size=01 priority=1", "priority=1 size=1", "size=1 priority=1 x=2",
        "size=18446744073709551616 priority=1"})
    EXPECT_FALSE(parse_swap_file_state(bad)) << bad;
}

TEST(SwapFileStep, KnowsItsOwnFileAndLeavesOthersSwapAlone) {
  FakeMachine fake;
  const Machine machine = fake.machine();
  SwapFileStep step(machine.tree, fake.path("swap"));
  const auto swaps = [&fake](const std::string& line) {
    fake.put("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n" + line);
  };
  const auto off = step.state(kSwapFileStep);  // or it lies on a file system that cannot
  EXPECT_TRUE(off ? *off == "off" : off.error().is_gone());
  fake.put("swap", std::string(64 << 10, '\0'));
  swaps("/elsewhere/swap file 60 0 7\n");
  EXPECT_EQ(step.state(kSwapFileStep).value_or("none"), "size=65536 priority=7")
      << "its path as another mount namespace sees it";
  swaps("/elsewhere/swap file 56 0 7\n");
  EXPECT_EQ(step.state(kSwapFileStep).value_or("off"), "half made") << "another's";
  fake.put("other/swap", "x");
  swaps(fake.path("other/swap") + " file 60 0 7\n");
  EXPECT_EQ(step.state(kSwapFileStep).value_or("off"), "half made") << "another's";
  swaps(fake.path("swap") + " file 60 0 9\n");
  EXPECT_EQ(step.state(kSwapFileStep).value_or("none"), "size=65536 priority=9");
}

TEST(SwapSettingsOfAProfile, ThatMakeNoSenseAreMistakes) {
  const auto wrong = [](const std::string& text) {
    const auto profile = parse_profile("name = \"a\"\n" + text, "a.toml");
    return profile ? std::string() : profile.error().context;
  };
  EXPECT_THAT(wrong("[zram]\nenabled = true\n[zswap]\nenabled = true\n"),
              HasSubstr("a.toml:5: zswap compresses"));
  EXPECT_EQ(wrong("[zram]\nenabled = true\n[zswap]\nenabled = false\n"), "");
  EXPECT_EQ(wrong("[zram]\nenabled = true\n[zswap]\nenabled = true\nswap_percent = 50\n"), "");
  EXPECT_THAT(wrong("[zswap]\nswap_percent = 401\n"), HasSubstr("0 to 400"));
  for (const char* place : {"swap", "/a b", "//a", "/a=b"})
    EXPECT_THAT(wrong(std::string("[zram]\nwriteback = \"") + place + "\"\n"),
                HasSubstr("a.toml:3: writeback must be the whole path"))
        << place;
  EXPECT_THAT(wrong("[zswap]\ncompressor = \"rot13\"\n"), HasSubstr("must be one of \"lzo\""));
  EXPECT_THAT(wrong("[zswap]\nmax_pool_percnt = 20\n"), HasSubstr("nearest known one is"));
  EXPECT_THAT(wrong("[zram]\nwriteback_after_seconds = 5\n"), HasSubstr("60 to"));
}

TEST(SwapSettingsOfAProfile, AreReadAsTheyArePrinted) {
  const auto profile =
      parse_profile(std::string(kZswapProfile) +
                        "[zram]\nwriteback = \"/var/swap\"\n"
                        "writeback_after_seconds = 600\nwriteback_mib_per_day = 9\n",
                    "a.toml");
  ASSERT_TRUE(profile) << profile.error().message();
  EXPECT_EQ(profile->zram.writeback_mib_per_day, 9U);
  EXPECT_EQ(profile->zswap.compressor, "zstd");
  const auto again = parse_profile(print_profile(*profile), "printed");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, *profile);
}

}  // namespace
}  // namespace panal::profile

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/profile/catalog.h"
#include "engine/profile/plan.h"
#include "engine/profile/profile.h"

namespace panal::profile {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kDirectory = PANAL_SOURCE_DIR "/engine/profile/";

Result<Profile> shipped(const std::string& name) {
  std::ifstream file(kDirectory + name + ".toml");
  std::ostringstream text;
  text << file.rdbuf();
  return parse_profile(text.str(), name + ".toml", shipped);
}

const SysctlRule* find(const Profile& profile, const std::string& name) {
  for (const SysctlRule& rule : profile.sysctls)
    if (rule.name == name) return &rule;
  return nullptr;
}

class Shipped : public ::testing::TestWithParam<const char*> {};

TEST_P(Shipped, IsReadAndPrintsTheSame) {
  const auto profile = shipped(GetParam());
  ASSERT_TRUE(profile) << profile.error().message();
  EXPECT_EQ(profile->name, GetParam());
  EXPECT_FALSE(profile->description.empty());
  const std::string printed = print_profile(*profile);
  const auto again = parse_profile(printed, "printed");
  ASSERT_TRUE(again) << again.error().message() << "\n" << printed;
  EXPECT_EQ(*again, *profile);
  const auto json = nlohmann::json::parse(print_profile_json(*profile), nullptr, false);
  EXPECT_EQ(json["name"], GetParam());
  EXPECT_EQ(json["class"]["idle"]["after_seconds"], profile->classes.idle.after_seconds);
}

INSTANTIATE_TEST_SUITE_P(Profiles, Shipped,
                         ::testing::Values("balanced", "dense", "strict", "laptop-demo"));

TEST(Profiles, BalancedMergesOnlyWithConsentAndRaisesWhatFourHundredDesktopsMeet) {
  const auto profile = shipped("balanced");
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->ksm.enlist, Enlist::kConsent);
  EXPECT_TRUE(profile->ksm.optional);
  EXPECT_TRUE(profile->address_randomisation);
  EXPECT_TRUE(profile->zram.enabled);
  EXPECT_GE(profile->desktops, 400U);
  // The host's reference/facts: these bite first.
  for (const char* name : {"fs.inotify.max_user_instances", "net.ipv4.neigh.default.gc_thresh3",
                           "kernel.keys.maxkeys", "kernel.pid_max", "kernel.pty.max"}) {
    const SysctlRule* rule = find(*profile, name);
    ASSERT_NE(rule, nullptr) << name;
    EXPECT_TRUE(rule->at_least) << name << ": what the machine allows is never lowered";
  }
}

TEST(Profiles, OnlyDenseStopsWhoDoesNothingAfterMinutes) {
  const auto dense = shipped("dense");
  ASSERT_TRUE(dense);
  EXPECT_EQ(dense->classes.frozen.quiet_after_seconds, 300U);
  EXPECT_GT(dense->classes.frozen.after_seconds, 3600U) << "a computation may end first";
  for (const char* name : {"balanced", "strict", "laptop-demo"})
    EXPECT_EQ(shipped(name)->classes.frozen.quiet_after_seconds, 0U) << name;
}

TEST(Profiles, TheGovernorSetsThePaceUnlessToldNotTo) {
  const auto governed = shipped("dense");
  ASSERT_TRUE(governed);
  EXPECT_TRUE(governed->ksm.governor);
  const auto left = parse_profile(
      "name = \"a\"\n[ksm]\nrun = \"scan\"\nenlist = \"all\"\ngovernor = false\n", "a.toml");
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_FALSE(left->ksm.governor);
  EXPECT_EQ(left->ksm.enlist, Enlist::kAll);
  const auto again = parse_profile(print_profile(*left), "printed");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, *left);
}

TEST(Profiles, DenseMergesAllAndDoesNotRandomise) {
  const auto profile = shipped("dense");
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->ksm.enlist, Enlist::kAll);
  EXPECT_EQ(profile->ksm.run, KsmRun::kRunning);
  EXPECT_FALSE(profile->ksm.optional) << "without KSM it is not worth its price";
  EXPECT_FALSE(profile->address_randomisation);
  EXPECT_NE(find(*profile, "kernel.pid_max"), nullptr) << "all that balanced raises";
}

TEST(Profiles, StrictSharesNothingAndIsNeverHalfStrict) {
  const auto profile = shipped("strict");
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->ksm.enlist, Enlist::kOff);
  EXPECT_EQ(profile->ksm.run, KsmRun::kUnmerging);
  EXPECT_FALSE(profile->ksm.optional);
  EXPECT_TRUE(profile->address_randomisation);
}

TEST(Profiles, LaptopDemoLeavesTheMachineAlone) {
  const auto profile = shipped("laptop-demo");
  ASSERT_TRUE(profile);
  EXPECT_FALSE(profile->zram.enabled);
  EXPECT_FALSE(profile->ksm.run);
  EXPECT_LE(profile->sysctls.size(), 2U);
}

TEST(Profiles, StartsAreGatedAsTheLawHasItButOnSomebodysLaptop) {
  for (const char* name : {"balanced", "dense", "strict"}) {
    const auto profile = shipped(name);
    ASSERT_TRUE(profile) << profile.error().message();
    EXPECT_EQ(profile->gate, Gate{}) << name;
  }
  const auto laptop = shipped("laptop-demo");
  ASSERT_TRUE(laptop) << laptop.error().message();
  EXPECT_EQ(laptop->gate.parallel_starts, 1U);
  EXPECT_LT(laptop->gate.cpu_some_percent, 100U);
  EXPECT_LT(laptop->gate.io_some_percent, 100U);
}

TEST(Profiles, BrowsersAreToldOfTheDesktopsMemoryAndKeepTheirCaches) {
  for (const char* name : {"balanced", "dense", "strict", "laptop-demo"}) {
    const auto profile = shipped(name);
    ASSERT_TRUE(profile) << profile.error().message();
    EXPECT_TRUE(profile->guest.mask_memory) << name;
    EXPECT_FALSE(profile->guest.cache_in_memory) << name << ": an operator's choice";
    EXPECT_EQ(profile->guest.cpus, 0U) << name;
  }
  EXPECT_EQ(shipped("dense")->guest.logs, ScratchPlace::kOff);
  EXPECT_EQ(shipped("balanced")->guest.logs, ScratchPlace::kMemory);
  EXPECT_EQ(shipped("laptop-demo")->guest.logs, ScratchPlace::kDisk);
}

TEST(Profiles, SayInWordsWhatDesktopsAreLikeInside) {
  EXPECT_TRUE(describe_guest({}).empty());
  const auto profile = parse_profile(
      "name = \"a\"\n[guest]\nmask_memory = true\ncpus = 2\nlogs = \"off\"\n"
      "var_tmp = \"memory\"\ncache = \"memory\"\ncache_percent = 7\nscratch_percent = 9\n",
      "a.toml");
  ASSERT_TRUE(profile) << profile.error().message();
  EXPECT_THAT(describe_guest(profile->guest),
              ::testing::ElementsAre(HasSubstr("memory limit"), HasSubstr("2 CPUs"),
                                     HasSubstr("/var/log"), HasSubstr("/var/tmp"),
                                     HasSubstr("at most 7 %"), HasSubstr("at most 9 %")));
  const auto again = parse_profile(print_profile(*profile), "printed");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, *profile);
}

TEST(ProfileText, SettingsAreWrittenWithQuotesOrAsTables) {
  const auto quoted =
      parse_profile("name = \"a\"\n[sysctl]\n\"vm.swappiness\" = { exactly = 60 }\n", "a");
  const auto tables =
      parse_profile("name = \"a\"\n[sysctl.vm]\nswappiness = { exactly = 60 }\n", "a");
  const auto dotted = parse_profile("name = \"a\"\nsysctl.vm.swappiness.exactly = 60\n", "a");
  ASSERT_TRUE(quoted && tables && dotted);
  EXPECT_EQ(*quoted, *tables);
  EXPECT_EQ(*quoted, *dotted);
}

TEST(ProfileText, ABasedOnProfileSaysOnlyWhatDiffers) {
  const auto base = [](const std::string& name) -> Result<Profile> {
    if (name != "balanced") return fail(ENOENT, "there is no profile " + name);
    return shipped("balanced");
  };
  const auto profile = parse_profile(
      "name = \"mine\"\nbased_on = \"balanced\"\n[sysctl]\n\"kernel.pty.max\" = { at_least = 9 }\n"
      "[ksm]\nrun = \"stop\"\nenlist = \"off\"\n",
      "mine.toml", base);
  ASSERT_TRUE(profile) << profile.error().message();
  EXPECT_EQ(find(*profile, "kernel.pty.max")->value, 9U);
  EXPECT_EQ(find(*profile, "kernel.pty.max")->per_desktop, 0U) << "replaced, not mixed";
  EXPECT_NE(find(*profile, "kernel.pid_max"), nullptr);
  EXPECT_TRUE(profile->description.empty()) << "the other's words are about the other";
  const auto unknown = parse_profile("name = \"a\"\nbased_on = \"b\"\n", "a.toml", base);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().context, "a.toml:2: based_on: there is no profile b");
}

struct Malformed {
  const char* text;
  const char* sentence;  ///< how it must begin, after "bad.toml:"
};

class MalformedProfile : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedProfile, IsRefusedWithItsPlace) {
  const auto profile = parse_profile(GetParam().text, "bad.toml");
  ASSERT_FALSE(profile) << GetParam().text;
  EXPECT_EQ(profile.error().code, EPROTO);
  EXPECT_THAT(profile.error().context, StartsWith(std::string("bad.toml:") + GetParam().sentence));
}

INSTANTIATE_TEST_SUITE_P(
    Table, MalformedProfile,
    ::testing::Values(
        Malformed{"", "1: name must be"}, Malformed{"name = ", "1: "},
        Malformed{"name = \"a\"\nname = \"b\"\n", "2: "},
        Malformed{"name = 3\n", "1: name must be text in quotes"},
        Malformed{"name = \"../a\"\n", "1: name must be 1 to 64 of a-z"},
        Malformed{"name = \"a\"\ndescripshun = \"b\"\n",
                  "2: unknown key descripshun in a profile; the nearest known one is description"},
        Malformed{"name = \"a\"\ndescription = \"b\\u001b[31m\"\n",
                  "2: description must be one line of at most 400 bytes"},
        Malformed{"name = \"a\"\nbased_on = \"b\"\n", "2: based_on cannot be used here"},
        Malformed{"name = \"a\"\ndesktops = 0\n",
                  "2: desktops = 0 is out of range; 1 to 100000 are allowed"},
        Malformed{"name = \"a\"\ndesktops = -1\n", "2: desktops = -1 is out of range"},
        Malformed{"name = \"a\"\ndesktops = 1.5\n", "2: desktops must be a whole number"},
        Malformed{"name = \"a\"\n[kms]\nrun = \"scan\"\n",
                  "2: unknown section kms in a profile; the nearest known one is ksm"},
        Malformed{"name = \"a\"\n[ksm]\nrnu = \"scan\"\n",
                  "3: unknown key rnu in [ksm]; the nearest known one is run"},
        Malformed{"name = \"a\"\n[ksm]\nxylophone = 1\n",
                  "3: unknown key xylophone in [ksm]; known: "},
        Malformed{"name = \"a\"\n[ksm]\nrun = \"always\"\n",
                  "3: run must be one of \"stop\", \"scan\", \"unmerge\""},
        Malformed{"name = \"a\"\n[ksm]\nenlist = \"all\"\n",
                  "3: enlist needs run = \"scan\": nothing is merged otherwise"},
        Malformed{"name = \"a\"\n[ksm]\nuse_zero_pages = 1\n",
                  "3: use_zero_pages must be true or false"},
        Malformed{"name = \"a\"\nksm = 3\n", "2: ksm must be a section: [ksm]"},
        Malformed{"name = \"a\"\nsysctl = 3\n", "2: sysctl must be a section: [sysctl]"},
        Malformed{
            "name = \"a\"\n[sysctl]\n\"vm.swappines\" = { exactly = 1 }\n",
            "3: unknown setting vm.swappines in [sysctl]; the nearest known one is vm.swappiness"},
        Malformed{"name = \"a\"\n[sysctl]\n\"kernel.core_pattern\" = { exactly = 1 }\n",
                  "3: unknown setting kernel.core_pattern"},
        Malformed{"name = \"a\"\n[sysctl]\n\"vm.swappiness\" = 1\n",
                  "3: vm.swappiness must say { at_least = N } or { exactly = N }"},
        Malformed{"name = \"a\"\n[sysctl]\n\"vm.swappiness\" = { exactly = 1, at_least = 1 }\n",
                  "3: vm.swappiness must say either at_least or exactly"},
        Malformed{"name = \"a\"\n[sysctl]\n\"vm.swappiness\" = { why = \"b\" }\n",
                  "3: vm.swappiness must say either at_least or exactly"},
        Malformed{"name = \"a\"\n[sysctl]\n\"vm.swappiness\" = { exactly = 201 }\n",
                  "3: vm.swappiness: exactly = 201 is out of range; 0 to 200 are allowed"},
        Malformed{"name = \"a\"\n[sysctl]\n\"vm.swappiness\" = { exactly = 1, per_desktop = 1 }\n",
                  "3: vm.swappiness: per_desktop goes with at_least only"},
        Malformed{
            "name = \"a\"\n[sysctl]\n\"vm.swappiness\" = { exactly = 1, perdesktop = 1 }\n",
            "3: unknown key perdesktop in vm.swappiness; the nearest known one is per_desktop"},
        Malformed{"name = \"a\"\n[sysctl]\n\"vm.swappiness\" = { exactly = 1 }\n"
                  "vm.swappiness = { exactly = 2 }\n",
                  "4: vm.swappiness stands here twice"},
        Malformed{
            "name = \"a\"\n[sysctl]\n"
            "\"net.ipv4.neigh.default.gc_thresh1\" = { at_least = 100 }\n"
            "\"net.ipv4.neigh.default.gc_thresh2\" = { at_least = 50 }\n",
            "4: net.ipv4.neigh.default.gc_thresh2 comes to 50, less than the threshold before"},
        Malformed{"name = \"a\"\n[zram]\nalgorithm = \"lz4\\nreset\"\n",
                  "3: algorithm must be one line"},
        Malformed{"name = \"a\"\n[zram]\nalgorithm = \"LZ4 x\"\n",
                  "3: algorithm must be the kernel's name"},
        Malformed{"name = \"a\"\n[huge_pages]\nenabled = \"yes\"\n",
                  "3: enabled must be one of \"always\", \"madvise\", \"never\""},
        Malformed{
            "name = \"a\"\n[class.idle]\nmemory_soft_percent = 90\nmemory_hard_percent = 80\n",
            "3: memory_soft_percent = 90 is above memory_hard_percent = 80"},
        Malformed{"name = \"a\"\n[class.active]\nshave_after_seconds = 1\n",
                  "3: unknown key shave_after_seconds in [class.active]; "},
        Malformed{"name = \"a\"\n[class.idle]\nactive_bytes_per_second = 1\n",
                  "3: unknown key active_bytes_per_second in [class.idle]"},
        Malformed{"name = \"a\"\n[class.active]\nactive_bytes_per_second = 1000000001\n",
                  "3: active_bytes_per_second = 1000000001 is out of range"},
        Malformed{"name = \"a\"\n[class.disconnected]\nquiet_after_seconds = 300\n",
                  "3: unknown key quiet_after_seconds in [class.disconnected]"},
        Malformed{"name = \"a\"\n[class.frozen]\nquiet_cpu_permille = 0\n",
                  "3: quiet_cpu_permille = 0 is out of range; 1 to 1000 are allowed"},
        Malformed{"name = \"a\"\n[class.frozen]\nquiet_bytes_per_second = 0\n",
                  "3: quiet_bytes_per_second = 0 is out of range"},
        Malformed{"name = \"a\"\n[class.asleep]\ncpu_weight = 1\n",
                  "2: unknown section class.asleep"},
        Malformed{"name = \"a\"\n[gate]\nparallel_starts = 65\n",
                  "3: parallel_starts = 65 is out of range"},
        Malformed{"name = \"a\"\n[gate]\nmemory_full_percent = 0\n",
                  "3: memory_full_percent = 0 is out of range"},
        Malformed{"name = \"a\"\n[gate]\nrunable_per_core = 8\n",
                  "3: unknown key runable_per_core in [gate]; the nearest known one is "
                  "runnable_per_core"},
        Malformed{"name = \"a\"\n[guest]\nmask_memory = 1\n",
                  "3: mask_memory must be true or false"},
        Malformed{"name = \"a\"\n[guest]\nmask_memry = true\n",
                  "3: unknown key mask_memry in [guest]; the nearest known one is mask_memory"},
        Malformed{"name = \"a\"\n[guest]\nlean_heap = 1\n", "3: lean_heap must be true or false"},
        Malformed{"name = \"a\"\n[gest]\nmask_memory = true\n",
                  "2: unknown section gest in a profile; the nearest known one is guest"},
        Malformed{"name = \"a\"\n[guest]\nlogs = \"home\"\n",
                  "3: logs must be one of \"disk\", \"memory\", \"off\""},
        Malformed{"name = \"a\"\n[guest]\nvar_tmp = \"off\"\n",
                  "3: var_tmp must be one of \"disk\", \"memory\""},
        Malformed{"name = \"a\"\n[guest]\ncache = false\n",
                  "3: cache must be one of \"home\", \"memory\""},
        Malformed{"name = \"a\"\n[guest]\ncache_percent = 51\n",
                  "3: cache_percent = 51 is out of range; 1 to 50 are allowed"},
        Malformed{"name = \"a\"\n[guest]\nscratch_percent = 0\n",
                  "3: scratch_percent = 0 is out of range"},
        Malformed{"name = \"a\"\n[guest]\ncpus = 1025\n", "3: cpus = 1025 is out of range"},
        // The first mistake of the file is the one that is told.
        Malformed{"name = \"a\"\ndesktops = 0\n[ksm]\nrun = 3\n", "2: desktops"},
        Malformed{"name = \"a\"\n[reserve]\nmemory_percent = 0\n[ksm]\nrun = 3\n",
                  "3: memory_percent"}));

TEST(ProfileText, AFileWithoutEndIsRefusedUnread) {
  const auto profile = parse_profile(std::string(300'000, '#'), "big.toml");
  ASSERT_FALSE(profile);
  EXPECT_THAT(profile.error().context, HasSubstr("at most 256 KiB"));
}

TEST(Catalogue, NamesAreOnceAndHaveAReason) {
  std::vector<std::string> names;
  for (const Sysctl& sysctl : sysctls()) {
    EXPECT_LT(sysctl.least, sysctl.most) << sysctl.name;
    EXPECT_FALSE(std::string(sysctl.why).empty()) << sysctl.name;
    names.emplace_back(sysctl.name);
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace panal::profile

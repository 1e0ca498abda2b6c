#include "runtime/cli/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace panal::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

using Files = std::map<std::string, std::string>;

class Host {
 public:
  explicit Host(const Files& files) {
    std::string pattern = fs::temp_directory_path() / "panal-doctor.XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    for (const char* part : {"proc/self", "sys", "cgroup"}) fs::create_directories(root_ / part);
    for (const auto& [name, text] : files) {
      fs::create_directories((root_ / name).parent_path());
      std::ofstream(root_ / name) << text;
    }
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host() { fs::remove_all(root_); }
  Tree tree() const { return std::move(*Tree::open_below(root_)); }
  fs::path path() const { return root_; }

 private:
  fs::path root_;
};

const Check* find(const std::vector<Check>& checks, const std::string& name) {
  for (const Check& check : checks)
    if (check.name == name) return &check;
  return nullptr;
}

// Whatever is not right must say how to mend it.
void expect_mends(const std::vector<Check>& checks) {
  for (const Check& check : checks) {
    EXPECT_FALSE(check.found.empty()) << check.name;
    EXPECT_EQ(check.verdict == Check::kOk, check.mend.empty()) << check.name;
  }
}

TEST(DoctorLimits, NamesTheSettingAndTheValueToSet) {
  const Host host(Files{{"proc/sys/fs/inotify/max_user_instances", "128\n"},
                        {"proc/sys/kernel/pid_max", "4194304\n"},
                        {"proc/sys/vm/swappiness", "60\n"}});
  profile::Profile profile;
  profile.name = "trial";
  profile.desktops = 100;
  profile.sysctls = {{"fs.inotify.max_user_instances", true, 24, 10, false, ""},
                     {"kernel.pid_max", true, 4'000'000, 0, false, ""},
                     {"kernel.pty.max", true, 4096, 0, false, ""},
                     {"vm.swappiness", false, 150, 0, false, ""}};
  const auto checks = check_limits(profile, host.tree());
  expect_mends(checks);
  const Check* inotify = find(checks, "fs.inotify.max_user_instances");
  ASSERT_NE(inotify, nullptr);
  EXPECT_EQ(inotify->verdict, Check::kWarning);
  EXPECT_THAT(inotify->found, HasSubstr("128"));
  EXPECT_THAT(inotify->mend, HasSubstr("panal tune apply trial (sets it to 1024;"));
  EXPECT_EQ(find(checks, "kernel.pid_max"), nullptr) << "high enough";
  EXPECT_EQ(find(checks, "kernel.pty.max"), nullptr) << "no such limit here";
  EXPECT_EQ(find(checks, "vm.swappiness"), nullptr) << "a wish, not a limit";
}

TEST(DoctorLimits, HighEnoughIsOneLine) {
  const Host host(Files{{"proc/sys/fs/inotify/max_user_instances", "4096\n"}});
  profile::Profile profile;
  profile.name = "trial";
  profile.sysctls = {{"fs.inotify.max_user_instances", true, 1024, 0, false, ""}};
  const auto checks = check_limits(profile, host.tree());
  expect_mends(checks);
  const Check* limits = find(checks, "kernel limits");
  ASSERT_NE(limits, nullptr);
  EXPECT_THAT(limits->found, HasSubstr("1 are high enough for 400 desktops (profile trial)"));
}

TEST(DoctorCgroups, KnowsTheCapturedHost) {
  const auto tree = Tree::open_below(PANAL_SOURCE_DIR "/tests/fixtures/hybrid-6.18");
  ASSERT_TRUE(tree);
  const auto checks = check_cgroups(*tree);
  expect_mends(checks);
  EXPECT_TRUE(healthy(checks));
  EXPECT_EQ(find(checks, "cgroups")->found, "hybrid");
}

TEST(DoctorCgroups, SaysWhatIsMissing) {
  const Host none(Files{{"proc/self/mountinfo", "1 0 0:1 / / rw - ext4 x rw\n"}});
  const auto without = check_cgroups(none.tree());
  expect_mends(without);
  EXPECT_FALSE(healthy(without));

  const Host poor(
      Files{{"proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
            {"cgroup/cgroup.controllers", "cpu pids\n"}});
  const auto checks = check_cgroups(poor.tree());
  expect_mends(checks);
  EXPECT_FALSE(healthy(checks));
  EXPECT_THAT(find(checks, "cgroups")->found, HasSubstr("without memory"));
  EXPECT_EQ(find(checks, "pressure (PSI)")->verdict, Check::kWarning);
}

TEST(DoctorAppArmor, WantsTheDesktopsProfile) {
  EXPECT_TRUE(check_apparmor(Host(Files{}).tree()).empty());
  const char* const enabled = "sys/module/apparmor/parameters/enabled";
  const char* const profiles = "sys/kernel/security/apparmor/profiles";
  EXPECT_TRUE(check_apparmor(Host(Files{{enabled, "N\n"}}).tree()).empty());
  for (const auto& [files, verdict] :
       {std::pair{Files{{enabled, "Y\n"}}, Check::kWarning},
        std::pair{Files{{enabled, "Y\n"}, {profiles, "other (enforce)\n"}}, Check::kWarning},
        std::pair{Files{{enabled, "Y\n"}, {profiles, "panal-desktop (enforce)\n"}}, Check::kOk}}) {
    const auto checks = check_apparmor(Host(files).tree());
    ASSERT_EQ(checks.size(), 1U);
    EXPECT_EQ(checks.front().verdict, verdict);
    expect_mends(checks);
  }
}

TEST(DoctorIds, CountsDesktops) {
  struct Case {
    const char *users, *groups;
    Check::Verdict verdict;
    const char* says;
  };
  config::Config config;
  for (const Case& c :
       {Case{"root:2000000:65536000\n", "root:2000000:65536000\n", Check::kOk, "998 desktops"},
        Case{"root:2000000:655360\n", "root:2000000:655360\n", Check::kWarning, "8 desktops"},
        Case{"root:2000000:65535\n", "root:2000000:65535\n", Check::kFailed, "65535"},
        Case{"", "root:2000000:65536000\n", Check::kFailed, "/etc/subuid"},
        Case{"root:2000000:65536000\n", "you:1:2\n", Check::kFailed, "/etc/subgid"},
        Case{"root:2000000:65536000\n", "root:3000000:65536000\n", Check::kFailed, "differ"}}) {
    const Check check = check_ids(config, c.users, c.groups);
    EXPECT_EQ(check.verdict, c.verdict) << c.users << c.groups;
    EXPECT_THAT(check.found, HasSubstr(c.says));
    expect_mends({check});
  }
  config.ids = {5'000'000, 65'536 * 200};
  EXPECT_THAT(check_ids(config, "", "").found, HasSubstr("198 desktops"));
}

TEST(DoctorMemory, WantsTheReserveAndAtLeastOneDesktop) {
  config::Config config;
  const auto verdict = [&](const char* total, const char* available) {
    const Host host(
        Files{{"proc/meminfo", std::string("MemTotal: ") + total + " kB\nMemFree: 1 kB\n" +
                                   "MemAvailable: " + available + " kB\n"}});
    const Check check = check_memory(config, host.tree());
    expect_mends({check});
    return check.verdict;
  };
  EXPECT_EQ(verdict("24684092", "23000000"), Check::kOk);
  EXPECT_EQ(verdict("24684092", "2000000"), Check::kWarning);
  EXPECT_EQ(verdict("1048576", "1000000"), Check::kFailed);
  config.memory_reserve_bytes = 1 << 20;
  EXPECT_EQ(verdict("1048576", "1000000"), Check::kOk);
}

TEST(DoctorDisk, CountsBytesAndInodes) {
  constexpr std::uint64_t kGib = std::uint64_t{1} << 30U;
  EXPECT_EQ(check_disk("/x", 100 * kGib, 1'000'000, 2'000'000).verdict, Check::kOk);
  EXPECT_EQ(check_disk("/x", 5 * kGib, 1'000'000, 2'000'000).verdict, Check::kWarning);
  EXPECT_EQ(check_disk("/x", kGib, 1'000'000, 2'000'000).verdict, Check::kFailed);
  EXPECT_EQ(check_disk("/x", 100 * kGib, 10, 2'000'000).verdict, Check::kFailed);
  EXPECT_EQ(check_disk("/x", 100 * kGib, 0, 0).verdict, Check::kOk) << "btrfs counts no inodes";
}

TEST(DoctorClock, RefusesAnotherCentury) {
  EXPECT_EQ(check_clock(0).verdict, Check::kFailed);
  EXPECT_EQ(check_clock(1'800'000'000).verdict, Check::kOk);
  EXPECT_EQ(check_clock(5'000'000'000).verdict, Check::kFailed);
}

TEST(DoctorPrograms, NamesThePackagesOfWhatIsMissing) {
  const Host host(Files{{"bin/mmdebstrap", ""}});
  const Check check = check_programs(host.path() / "bin");
  if (check.verdict == Check::kOk) GTEST_FAIL() << "an empty file that is not executable";
  EXPECT_THAT(check.found, HasSubstr("mmdebstrap"));
  EXPECT_THAT(check.mend, HasSubstr("apt-get install"));
  ::chmod((host.path() / "bin/mmdebstrap").c_str(), 0755);
  EXPECT_THAT(check_programs(host.path() / "bin").found, Not(HasSubstr("mmdebstrap")));
}

}  // namespace
}  // namespace panal::cli

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sandbox.h"

namespace panal::desktop {
namespace {

using std::chrono::milliseconds;
using ::testing::Each;
using testing::errno_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Sandbox;
using testing::value_of;

/// One desktop for all the looks from inside.
class Confinement : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox();
    const auto running = sandbox_->life().start(sandbox_->spec(7));
    ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
    report_ = sandbox_->report(7);
    init_ = running->init.pid();
  }
  static void TearDownTestSuite() {
    delete sandbox_;
    sandbox_ = nullptr;
  }

  static std::string of_init(const std::string& file) {
    std::ifstream in("/proc/" + std::to_string(init_) + "/" + file);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  /// What is mounted over the host's files and directories, as the desktop's configuration says: of
  /// those that this kernel has. Masked path (no leading slash) -> what covers it.
  static std::map<std::string, std::string> masks() {
    std::map<std::string, std::string> found;
    std::ifstream in(sandbox_->config.desktop_run_dir(7) + "/lxc.conf");
    for (std::string line; std::getline(in, line);) {
      std::istringstream words(line);
      std::string key, equals, source, target, type, options;
      words >> key >> equals >> source >> target >> type >> options;
      if (key == "lxc.mount.entry" && options.find("optional") != std::string::npos &&
          std::filesystem::exists("/" + target))
        found[target] = source;
    }
    return found;
  }

  static Sandbox* sandbox_;
  static std::vector<std::string> report_;
  static pid_t init_;
};

Sandbox* Confinement::sandbox_ = nullptr;
std::vector<std::string> Confinement::report_;
pid_t Confinement::init_ = -1;

TEST_F(Confinement, RefusedCallsAreRefusedFromInside) {
  struct Case {
    const char* name;
    int error;
  };
  const Case cases[] = {
      {"bpf", EPERM},
      {"perf_event_open", EPERM},
      {"userfaultfd", EPERM},
      {"keyctl", EPERM},
      {"add_key", EPERM},
      {"request_key", EPERM},
      {"io_uring_setup", ENOSYS},
      {"open_by_handle_at", EPERM},
      {"name_to_handle_at", EOPNOTSUPP},
      {"fanotify_init", EPERM},
      {"mount", EPERM},
      {"umount2", EPERM},
      {"move_mount", ENOSYS},
      {"fsopen", ENOSYS},
      {"fsmount", ENOSYS},
      {"open_tree", ENOSYS},
      {"mount_setattr", ENOSYS},
      {"pivot_root", EPERM},
      {"setns", EPERM},
      {"unshare_newuser", EPERM},
      {"clone_newuser", EPERM},
      {"clone3", ENOSYS},
      {"ptrace", EPERM},
      {"process_vm_readv", EPERM},
      {"process_madvise", EPERM},
      {"kexec_load", EPERM},
      {"init_module", EPERM},
      {"reboot", EPERM},
      {"swapon", EPERM},
      {"syslog", EPERM},
      {"quotactl", EPERM},
      {"memfd_secret", ENOSYS},
      {"modify_ldt", EPERM},
      {"x32_getpid", ENOSYS},
      {"int80_getpid", ENOSYS},
      {"newer_451", ENOSYS},
      {"newer_457", ENOSYS},
      {"newer_467", ENOSYS},
      {"newer_500", ENOSYS},
      {"madvise_mergeable", EINVAL},
      {"prctl_memory_merge", EINVAL},
      {"tiocsti", EPERM},
      {"btrfs_subvolume", EPERM},
      {"btrfs_snapshot", EPERM},
      {"socket_40", EAFNOSUPPORT},
      {"socket_38", EAFNOSUPPORT},
      {"socket_17", EAFNOSUPPORT},
      {"socket_29", EAFNOSUPPORT},
      {"socket_30", EAFNOSUPPORT},
      {"socket_21", EAFNOSUPPORT},
      {"socket_15", EAFNOSUPPORT},
      {"raw_socket", EPERM},
      {"mknod_null", EPERM},
      {"mknod_disk", EPERM},
      {"sethostname", EPERM},
      {"write_sysctl", EACCES},
      {"good_socket_1", 0},
      {"good_socket_2", 0},
      {"good_socket_10", 0},
      {"good_socket_16", 0},
      {"good_madvise", 0},
      {"good_open_tmp", 0},
      {"good_chown", 0},
      {"good_openpty", 0},
      {"good_become_user", 0},
      {"write_root", 0},
  };
  for (const Case& c : cases) EXPECT_EQ(errno_of(report_, c.name), c.error) << c.name;
  EXPECT_THAT(value_of(report_, "sysrq"), ::testing::AnyOf("masked", "errno 2", "errno 13"));
}

TEST_F(Confinement, InitHasOnlyTheCapabilitiesItNeeds) {
  // chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service.
  constexpr unsigned long kWanted =
      1UL << 0 | 1UL << 1 | 1UL << 3 | 1UL << 4 | 1UL << 5 | 1UL << 6 | 1UL << 7 | 1UL << 10;
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"})
    EXPECT_EQ(std::stoul(value_of(report_, set), nullptr, 16), kWanted) << set;
  for (const char* set : {"CapInh", "CapAmb"})
    EXPECT_EQ(std::stoul(value_of(report_, set), nullptr, 16), 0U) << set;
  EXPECT_EQ(value_of(report_, "NoNewPrivs"), "1");
  EXPECT_EQ(value_of(report_, "Seccomp"), "2");
  EXPECT_EQ(value_of(report_, "oom"), "500");
}

TEST_F(Confinement, OnTheHostItIsAnOrdinaryUser) {
  EXPECT_THAT(of_init("uid_map"), HasSubstr("2458752"));
  EXPECT_THAT(of_init("status"), HasSubstr("Uid:\t2458752\t2458752\t2458752\t2458752"));
  EXPECT_THAT(of_init("status"), Not(HasSubstr("Groups:\t0")));
}

TEST_F(Confinement, TheDeviceDirectoryIsMinimal) {
  std::vector<std::string> devices;
  for (const std::string& line : report_) {
    if (line.rfind("entry /dev ", 0) != 0) continue;
    std::istringstream words(line.substr(11));
    std::string name;
    std::string type;
    words >> name >> type;
    EXPECT_NE(type, "b") << name;
    devices.push_back(name);
  }
  std::sort(devices.begin(), devices.end());
  const std::vector<std::string> known = {
      ".lxc-boot-id", "console", "core", "fd",     "full",  "initctl", "mqueue", "null",    "ptmx",
      "pts",          "random",  "shm",  "stderr", "stdin", "stdout",  "tty",    "urandom", "zero"};
  for (const std::string& name : devices) EXPECT_THAT(known, ::testing::Contains(name));
  for (const char* name : {"null", "zero", "random", "urandom", "ptmx", "pts", "shm", "tty"})
    EXPECT_THAT(devices, ::testing::Contains(name));
}

TEST_F(Confinement, NoDescriptorCameFromOutside) {
  std::vector<std::string> open;
  for (const std::string& line : report_)
    if (line.rfind("entry /proc/self/fd ", 0) == 0) open.push_back(line);
  EXPECT_LE(open.size(), 4U) << "0, 1, 2 and the one that lists";
  EXPECT_THAT(open,
              Each(::testing::AnyOf(HasSubstr("/dev/"), HasSubstr("/proc/"), HasSubstr("pts"))));
}

TEST_F(Confinement, TheEnvironmentIsClean) {
  std::vector<std::string> names;
  for (const std::string& line : report_) {
    if (line.rfind("env ", 0) != 0) continue;
    names.push_back(line.substr(4, line.find('=') - 4));
  }
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("PATH", "container"));
}

TEST_F(Confinement, WhatTellsAboutTheHostIsMasked) {
  for (const std::string& line : report_) {
    EXPECT_THAT(line, Not(HasSubstr("entry /sys/kernel/mm "))) << "ksm, hugepages";
    if (line.rfind("masked ", 0) != 0) continue;
    const std::string size = line.substr(line.rfind(' ') + 1);
    EXPECT_TRUE(size == "0" || size == "7") << line;  // empty, or "errno 2"
  }
}

// The mounts are optional, as kernels differ in what they have: liblxc goes on when one fails.
TEST_F(Confinement, EveryMaskIsInPlace) {
  EXPECT_GE(masks().size(), 12U);
  for (const auto& [target, source] : masks()) {
    struct stat inside{};
    struct stat mask{};
    const std::string path = "/proc/" + std::to_string(init_) + "/root/" + target;
    ASSERT_EQ(::stat(path.c_str(), &inside), 0) << path;
    ASSERT_EQ(::stat(source.c_str(), &mask), 0) << source;
    EXPECT_EQ(inside.st_dev, mask.st_dev) << target;
    EXPECT_EQ(inside.st_ino, mask.st_ino) << target;
    EXPECT_EQ(inside.st_rdev, mask.st_rdev) << target;
  }
}

// The wall behind the masks: such files are host root's, who is nobody in there. Opened, not
// written.
TEST_F(Confinement, UnmaskedTheHostsFilesWouldRefuseItToo) {
  const UniqueFd users(::open(("/proc/" + std::to_string(init_) + "/ns/user").c_str(), O_RDONLY));
  ASSERT_TRUE(users.valid());
  for (const auto& [target, source] : masks()) {
    if (source != "/dev/null") continue;
    const std::string path = "/" + target;
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setns(users.get(), CLONE_NEWUSER) != 0 || ::setgroups(0, nullptr) != 0 ||
          ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
        ::_exit(255);
      ::_exit(::open(path.c_str(), O_WRONLY) < 0 ? errno : 0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_THAT(WEXITSTATUS(status), ::testing::AnyOf(EACCES, EPERM)) << target;
  }
}

TEST_F(Confinement, LinksAreTheDesktopsOwn) {
  std::vector<std::string> links;
  std::istringstream in(of_init("net/dev"));
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || line.find('|') != std::string::npos) continue;
    links.push_back(line.substr(line.find_first_not_of(' '), colon - line.find_first_not_of(' ')));
  }
  EXPECT_THAT(links, ::testing::UnorderedElementsAre("lo", "eth0"));
}

TEST_F(Confinement, MountsAreAsTheyShouldBe) {
  const std::string mounts = of_init("mounts");
  std::istringstream in(mounts);
  std::map<std::string, std::string> options;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string source;
    std::string target;
    std::string type;
    std::string flags;
    words >> source >> target >> type >> flags;
    options[target] = type + " " + flags;
    EXPECT_THAT(type, ::testing::AnyOf("overlay", "tmpfs", "proc", "sysfs", "ext4", "devtmpfs",
                                       "devpts", "xfs", "btrfs"))
        << line;
  }
  for (const char* target : {"/run/panal", "/home/alice", "/tmp", "/run", "/dev/shm"}) {
    EXPECT_THAT(options[target], HasSubstr("nosuid")) << target;
    EXPECT_THAT(options[target], HasSubstr("nodev")) << target;
  }
  EXPECT_THAT(options["/run/panal"], HasSubstr("noexec"));
  EXPECT_THAT(options["/run/panal"], HasSubstr("nosymfollow"));
  EXPECT_THAT(options["/.panal/panal-agent"], HasSubstr(" ro"));
  EXPECT_THAT(options["/sys"], HasSubstr(" ro"));
  EXPECT_THAT(options["/proc/sys"], HasSubstr(" ro"));
}

TEST_F(Confinement, TheGroupHasItsLimitsAndTheMonitorIsOutside) {
  const auto status = of_init("cgroup");
  EXPECT_THAT(status, HasSubstr("/panal/d7"));
  std::istringstream in(status);
  for (std::string line; std::getline(in, line);)
    EXPECT_THAT(line, HasSubstr(sandbox_->config.cgroup_parent + "/d7"));
  const bool hybrid = std::filesystem::exists("/sys/fs/cgroup/unified");
  const std::string v2 = hybrid ? "/sys/fs/cgroup/unified/" : "/sys/fs/cgroup/";
  std::ifstream monitors(v2 + sandbox_->config.cgroup_parent + "-monitor/d7/cgroup.procs");
  std::vector<pid_t> pids;
  for (pid_t pid = 0; monitors >> pid;) pids.push_back(pid);
  ASSERT_EQ(pids.size(), 1U);
  std::ifstream rollup("/proc/" + std::to_string(pids.front()) + "/smaps_rollup");
  for (std::string line; std::getline(rollup, line);)
    if (line.rfind("Pss:", 0) == 0 || line.rfind("Anonymous:", 0) == 0)
      std::printf("  monitor %s\n", line.c_str());
  std::ifstream memory((hybrid ? "/sys/fs/cgroup/memory/" : v2) + sandbox_->config.cgroup_parent +
                       "/d7/" + (hybrid ? "memory.limit_in_bytes" : "memory.max"));
  std::string value;
  memory >> value;
  EXPECT_EQ(value, "268435456");
}

TEST(ConfinementOnce, ThePidsLimitHolds) {
  Sandbox sandbox("forks");
  DesktopSpec spec = sandbox.spec(7);
  spec.limits.pids = 40;
  const auto running = sandbox.life().start(spec);
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  const std::string forks = value_of(sandbox.report(7), "forks");
  EXPECT_LE(std::stoi(forks), 40);
  EXPECT_GE(std::stoi(forks), 30);
  EXPECT_THAT(forks, HasSubstr("errno 11"));
}

TEST(ConfinementOnce, TheConsoleLogDoesNotFillTheDisk) {
  Sandbox sandbox("noise");
  const auto running = sandbox.life().start(sandbox.spec(7));
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  EXPECT_EQ(value_of(sandbox.report(7), "shouted"), "1");
  std::uintmax_t bytes = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(sandbox.config.desktop_state_dir(7) + "/log")) {
    const auto name = entry.path().filename().string();
    if (name.rfind("console", 0) == 0) bytes += entry.file_size();
  }
  EXPECT_GT(bytes, 1000U);
  EXPECT_LE(bytes, 2U * 65536);
}

// A user namespace made by host root would charge all desktops' instances to host root.
TEST(ConfinementOnce, InotifyInstancesAreEachDesktopsOwn) {
  // The kernel's 128, or the 1024 of Debian's lxc package.
  int limit = 0;
  std::ifstream("/proc/sys/fs/inotify/max_user_instances") >> limit;
  ASSERT_GT(limit, 0);
  Sandbox sandbox("inotify");
  for (const DesktopId id : {7, 8}) {
    const auto running = sandbox.life().start(sandbox.spec(id));
    ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
    const auto report = sandbox.report(id);
    const std::string made = value_of(report, "inotify");
    EXPECT_GE(std::stoi(made), limit * 9 / 10) << made;
    EXPECT_LE(std::stoi(made), limit) << made;
    EXPECT_THAT(made, HasSubstr("errno 24"));
    EXPECT_EQ(value_of(report, "refused_by"), "instances");
    EXPECT_EQ(errno_of(report, "inotify_as_user"), EMFILE) << "its users share one count";
  }
  const UniqueFd ours(::inotify_init1(IN_CLOEXEC));
  EXPECT_TRUE(ours.valid()) << "host root has its own";
}

TEST(ConfinementOnce, TheRealAgentRunsUnderBothFilters) {
  Sandbox sandbox;
  // The image cache of scripts/test-image.
  std::filesystem::path newest;
  std::error_code none;
  for (const auto& entry :
       std::filesystem::directory_iterator("/var/cache/panal/images/icewm", none))
    newest = std::max(newest, entry.path());
  if (newest.empty() || !std::filesystem::exists(newest / "root/usr"))
    GTEST_SKIP() << "no icewm image in /var/cache/panal/images; scripts/test-image makes one";
  sandbox.image = newest / "root";
  sandbox.open_pool(PANAL_BIN_DIR "/panal-agent");
  DesktopSpec spec = sandbox.spec(7);
  const auto running = sandbox.life().start(spec);
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  EXPECT_THAT(sandbox.gate.hello, ::testing::StartsWith("hello "));
  std::ifstream in("/proc/" + std::to_string(running->init.pid()) + "/status");
  std::stringstream status;
  status << in.rdbuf();
  EXPECT_THAT(status.str(), HasSubstr("Seccomp_filters:\t2"));
  const auto stopped = sandbox.life().stop(spec, milliseconds{2000});
  EXPECT_TRUE(stopped) << stopped.error().message();
  EXPECT_THAT(sandbox.traces(7), IsEmpty());
}

TEST(ConfinementOnce, ABrowserSandboxMayMakeUserNamespaces) {
  Sandbox sandbox("browser");
  DesktopSpec spec = sandbox.spec(7);
  spec.browser_sandbox = true;
  const auto running = sandbox.life().start(spec);
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  const auto report = sandbox.report(7);
  EXPECT_EQ(errno_of(report, "unshare_newuser"), 0);
  EXPECT_EQ(errno_of(report, "clone_newuser"), 0);
  EXPECT_EQ(errno_of(report, "mount"), EPERM);
  EXPECT_EQ(errno_of(report, "setns"), EPERM);
}

}  // namespace
}  // namespace panal::desktop

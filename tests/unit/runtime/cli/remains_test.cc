#include "runtime/cli/remains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace panal::cli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

/// A kernel made of files: a hybrid with the v1 memory hierarchy and v2 beside it.
class RemainsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "remains-XXXXXX";
    root_ = mkdtemp(pattern.data());
    config_.run_dir = root_ + "/run";
    config_.cgroup_parent = "lab/panal";
    fs::create_directories(root_ + "/sys");
    fs::create_directories(root_ + "/run");
    for (const char* hierarchy : {"memory", "unified"}) {
      fs::create_directories(root_ + "/cgroup/" + hierarchy + "/lab/other");
    }
    put("cgroup/unified/cgroup.controllers", "\n");
    put("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t1\t1\t1\n");
    put("proc/self/mountinfo",
        "1 0 0:1 / / rw - ext4 /dev/vda rw\n"
        "2 1 0:2 / /sys/fs/cgroup rw - tmpfs none rw\n"
        "3 2 0:3 / /sys/fs/cgroup/memory rw - cgroup none rw,memory\n"
        "4 2 0:4 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n");
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(root_ + "/" + name).parent_path());
    std::ofstream(root_ + "/" + name) << text;
  }
  Remains remains() {
    tree_ = *Tree::open_below(root_);
    return {tree_, config_};
  }

  std::string root_;
  config::Config config_;
  Tree tree_;
};

TEST_F(RemainsTest, ACleanHostHasNone) {
  EXPECT_THAT(remains().describe(), IsEmpty());
  fs::remove_all(root_ + "/run");
  EXPECT_THAT(remains().describe(), IsEmpty());
}

TEST_F(RemainsTest, GroupsDeepestFirstInEachHierarchy) {
  fs::create_directories(root_ + "/cgroup/memory/lab/panal/d1/inner");
  fs::create_directories(root_ + "/cgroup/unified/lab/panal");
  fs::create_directories(root_ + "/cgroup/unified/lab/panal-monitor/lxc.pivot");
  EXPECT_THAT(remains().groups(),
              ElementsAre(root_ + "/cgroup/memory/lab/panal/d1/inner",
                          root_ + "/cgroup/memory/lab/panal/d1", root_ + "/cgroup/memory/lab/panal",
                          root_ + "/cgroup/unified/lab/panal",
                          root_ + "/cgroup/unified/lab/panal-monitor/lxc.pivot",
                          root_ + "/cgroup/unified/lab/panal-monitor"));
}

TEST_F(RemainsTest, ProcessesOfTheGroupsButNotThisOneAndNotOthers) {
  put("cgroup/memory/lab/panal/d1/cgroup.procs", "12\n13\n");
  put("cgroup/unified/lab/panal/d1/cgroup.procs",
      "13\n0\njunk\n" + std::to_string(getpid()) + "\n");
  put("cgroup/memory/lab/other/cgroup.procs", "99\n");
  put("proc/12/comm", "nx\x1b\n");
  EXPECT_THAT(remains().processes(), ElementsAre(12, 13));
  EXPECT_THAT(remains().describe(), testing::Contains("process 12 (nx\\x1b)"));
}

TEST_F(RemainsTest, MountsBelowTheRunDirectoryLastFirst) {
  std::ofstream(root_ + "/proc/self/mountinfo", std::ios::app)
      << "5 1 0:5 / " << root_ << "/run/a rw - tmpfs none rw\n"
      << "6 5 0:6 / " << root_ << "/run/a/b rw - tmpfs none rw\n"
      << "7 1 0:7 / " << root_ << "/running rw - tmpfs none rw\n";
  EXPECT_THAT(remains().mounts(), ElementsAre(root_ + "/run/a/b", root_ + "/run/a"));
}

TEST_F(RemainsTest, KillsAndEmptiesTheRunDirectory) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    while (true) pause();
  }
  put("cgroup/memory/lab/panal/d1/cgroup.procs", std::to_string(child) + "\n");
  put("run/desktops/d1/lxc.conf", "x");
  fs::create_symlink("/etc", root_ + "/run/evil");
  remains().kill_processes(std::chrono::seconds(10));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  remains().remove();
  EXPECT_TRUE(fs::is_empty(root_ + "/run"));
  EXPECT_TRUE(fs::exists("/etc"));
}

}  // namespace
}  // namespace panal::cli

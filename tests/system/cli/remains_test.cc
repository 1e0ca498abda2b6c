#include "runtime/cli/remains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/kernel/cgroup_layout.h"
#include "engine/kernel/namespaces.h"

namespace panal::cli {
namespace {

namespace fs = std::filesystem;

/// What a node leaves when every one of its programs was killed: `panal down` must still end it.
TEST(Remains, OfAKilledNodeAreFoundAndRemoved) {
  const char* lab = std::getenv("PANAL_LAB_CGROUP");
  if (lab == nullptr) GTEST_SKIP() << "run it in scripts/lab";
  std::string pattern = testing::TempDir() + "remains-XXXXXX";
  config::Config config;
  config.run_dir = std::string(mkdtemp(pattern.data())) + "/run";
  config.cgroup_parent = std::string(lab) + "/panal";
  ASSERT_TRUE(kernel::ensure_pinned_namespaces(config.run_dir));
  const auto tree = Tree::open_system();
  ASSERT_TRUE(tree);

  // A helper in the mount namespace, and a desktop's process in its group, frozen where v1 can.
  const auto ns = kernel::open_namespace(config.mount_namespace_file());
  ASSERT_TRUE(ns);
  const pid_t helper = fork();
  if (helper == 0) {
    if (!kernel::enter_mount_namespace(*ns)) _exit(1);
    while (true) pause();
  }
  const pid_t desktop = fork();
  if (desktop == 0) {
    while (true) pause();
  }
  const auto layout = kernel::read_cgroup_layout(*tree);
  ASSERT_TRUE(layout);
  for (const auto& mount : layout->mounts) {
    const std::string group =
        tree->cgroup.path() + "/" + mount.directory + "/" + config.cgroup_parent + "/d1";
    fs::create_directories(group);
    if (!mount.has("cpuset")) std::ofstream(group + "/cgroup.procs") << desktop;
    if (mount.has("freezer")) std::ofstream(group + "/freezer.state") << "FROZEN";
  }
  fs::create_directories(config.run_dir + "/desktops/d1");

  {
    const Remains remains(*tree, config);
    for (int i = 0; i < 500 && !remains.processes().contains(helper); ++i) usleep(10'000);
    EXPECT_THAT(remains.processes(), testing::UnorderedElementsAre(helper, desktop));
    EXPECT_FALSE(remains.describe().empty());
    remains.kill_processes(std::chrono::seconds(20));
    for (const pid_t child : {helper, desktop}) {
      int status = 0;
      EXPECT_EQ(waitpid(child, &status, 0), child);
      EXPECT_TRUE(WIFSIGNALED(status));
    }
    EXPECT_TRUE(kernel::release_pinned_namespaces(config.run_dir));
    remains.remove();
    EXPECT_THAT(remains.describe(), testing::IsEmpty());
  }
  fs::remove_all(fs::path(config.run_dir).parent_path());
}

}  // namespace
}  // namespace panal::cli

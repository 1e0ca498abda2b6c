// A node whose configuration says how roots are made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "storage/compose/layer/layer_dir.h"
#include "tests/system/node/running_node.h"

namespace panal::node {
namespace {

namespace fs = std::filesystem;
using store::Desired;
using store::Observed;
using ::testing::HasSubstr;

/// Mounts of a desktop's root in panald's namespace.
int root_mounts(const RunningNode& node, DesktopId id) {
  std::ifstream table("/proc/" + std::to_string(node.panald_pid()) + "/mountinfo");
  const std::string root = node.config().desktop_run_dir(id) + "/root";
  int count = 0;
  for (std::string line; std::getline(table, line);)
    if (line.find(root) != std::string::npos) ++count;
  return count;
}

TEST(Roots, AreMadeAsConfiguredAndUnmadeByTheBackendThatMadeThem) {
  if (const auto why = RunningNode::why_not(); !why.empty()) GTEST_SKIP() << why;
  RunningNode node;
  node.end_panald(SIGTERM);
  node.configure("[compose]\nimages = { icewm = \"bind\" }\n");
  node.start_panald();
  const auto bound = node.new_desktop();
  node.want(bound.id, Desired::kRunning);
  node.await(bound.id, Observed::kRunning);
  EXPECT_GT(root_mounts(node, bound.id), 1) << "the root and /usr";
  const pid_t init = node.init_of(bound.id);
  ASSERT_GT(init, 0);

  // Another panald, told otherwise: the desktop lives on, the next one is made as it is told.
  node.end_panald(SIGKILL);
  node.configure("[compose]\nbackend = \"tmpfs\"\n");
  node.start_panald();
  EXPECT_EQ(node.init_of(bound.id), init);
  const auto light = node.new_desktop();
  node.want(light.id, Desired::kRunning);
  node.await(light.id, Observed::kRunning);
  EXPECT_EQ(root_mounts(node, light.id), 1);
  EXPECT_FALSE(fs::exists(node.config().desktop_state_dir(light.id) + "/upper"));
  for (const auto& desktop : {bound, light}) {
    node.want(desktop.id, Desired::kStopped);
    node.await(desktop.id, Observed::kStopped);
    EXPECT_EQ(root_mounts(node, desktop.id), 0);
    EXPECT_FALSE(fs::exists(node.config().desktop_run_dir(desktop.id)));
  }
  EXPECT_TRUE(fs::is_empty(node.config().desktop_state_dir(bound.id) + "/upper"));

  // What cannot be had fails that desktop, with the reason.
  const auto kept = node.new_desktop(true);
  node.want(kept.id, Desired::kRunning);
  EXPECT_THAT(node.await(kept.id, Observed::kFailed).reason, HasSubstr("tmpfs: it keeps nothing"));
  node.want(kept.id, Desired::kStopped);
}

TEST(Roots, APersistentOneStaysWithItsBackendAndWhatACrashLeftGoes) {
  if (const auto why = RunningNode::why_not(); !why.empty()) GTEST_SKIP() << why;
  RunningNode node;
  const auto kept = node.new_desktop(true);
  node.want(kept.id, Desired::kRunning);
  node.await(kept.id, Observed::kRunning);
  node.want(kept.id, Desired::kStopped);
  node.await(kept.id, Observed::kStopped);
  const std::string upper = node.config().desktop_state_dir(kept.id) + "/upper";
  EXPECT_EQ(storage::persistent_backend(upper), "overlay");

  node.end_panald(SIGTERM);
  // As a crash leaves it, of this desktop and of one that the store does not know any more.
  fs::create_directories(upper + "/trash-abcdef/volatile");
  const std::string other = node.config().desktop_state_dir(4711) + "/upper/volatile/upper";
  fs::create_directories(other);
  node.configure("[compose]\nbackend = \"copy\"\n");
  node.start_panald();
  EXPECT_FALSE(fs::exists(other));
  EXPECT_FALSE(fs::exists(upper + "/trash-abcdef"));
  EXPECT_TRUE(fs::exists(upper + "/persistent/upper"));
  node.want(kept.id, Desired::kRunning);
  node.await(kept.id, Observed::kRunning);
  EXPECT_FALSE(fs::exists(upper + "/copy-persistent"));
  node.want(kept.id, Desired::kStopped);
  node.await(kept.id, Observed::kStopped);
}

}  // namespace
}  // namespace panal::node

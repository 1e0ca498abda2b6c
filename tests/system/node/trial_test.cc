// Trial starts of versions: a throw-away desktop, a picture of it, and nothing left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "runtime/control/control.h"
#include "runtime/control/message.h"
#include "runtime/node/live_trial.h"
#include "storage/image/image_store.h"
#include "storage/image/trial_record.h"
#include "tests/support/patience.h"
#include "tests/system/node/running_node.h"

namespace panal::node {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class TrialTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = RunningNode::why_not(); !why.empty()) GTEST_SKIP() << why;
    node_ = std::make_unique<RunningNode>();
    const auto versions = storage::ImageStore(node_->config().images_dir).list();
    ASSERT_TRUE(versions);
    for (const auto& one : *versions)
      if (one.image == "icewm" && version_.empty()) version_ = one.version;
  }
  /// All that a trial makes.
  [[nodiscard]] std::vector<std::string> traces() const {
    const auto& config = node_->config();
    std::vector<std::string> out;
    for (const auto& path :
         {config.desktop_run_dir(kTrialDesktop), config.desktop_state_dir(kTrialDesktop)})
      if (fs::exists(path)) out.push_back(path);
    for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup"))
      for (const auto& parent : {config.cgroup_parent, config.cgroup_monitor_parent()}) {
        const std::string group =
            hierarchy.path().string() + "/" + parent + "/" + kernel_name(kTrialDesktop);
        std::error_code ignored;
        if (fs::exists(group, ignored)) out.push_back(group);
      }
    const std::string pure =
        "/sys/fs/cgroup/" + config.cgroup_parent + "/" + kernel_name(kTrialDesktop);
    if (fs::exists(pure)) out.push_back(pure);
    return out;
  }

  std::unique_ptr<RunningNode> node_;
  std::string version_;
};

TEST_F(TrialTest, TakesAPictureOfAnImageThatStartsAndLeavesNothing) {
  const json answer = node_->ask({{"op", "trial"}, {"image", "icewm"}, {"version", version_}});
  ASSERT_TRUE(answer.value("ok", false)) << answer.dump() << "\n" << node_->log();
  const auto record = storage::parse_trial(answer.value("record", ""), "answer");
  ASSERT_TRUE(record) << record.error().message();
  EXPECT_TRUE(record->good) << record->reason << "\n" << node_->log();
  EXPECT_TRUE(answer.value("good", false));
  EXPECT_GT(record->windows, 0U);
  EXPECT_GT(record->took_ms, 0);
  EXPECT_TRUE(record->pictured);
  // The cache of images cannot be written in a lab (e2e/trial.py has images of its own).
  const std::string& images = node_->config().images_dir;
  const auto kept = storage::read_trial(images, "icewm", version_);
  ASSERT_TRUE(kept) << kept.error().message();
  EXPECT_EQ(answer.value("kept", false), kept->has_value());
  EXPECT_EQ(answer.value("kept", false),
            fs::exists(storage::trial_picture(images, "icewm", version_)));
  EXPECT_THAT(traces(), testing::IsEmpty());
  const auto desktops = node_->admin().desktops();
  ASSERT_TRUE(desktops);
  EXPECT_TRUE(desktops->empty()) << "it is nobody's desktop";
  EXPECT_TRUE(node_->ask({{"op", "stats"}})["desktops"].empty());

  EXPECT_EQ(
      node_->ask({{"op", "trial"}, {"image", "icewm"}, {"version", "none"}}).value("status", 0),
      404);
  EXPECT_EQ(node_->ask({{"op", "trial"}}).value("status", 0), 404);
}

TEST_F(TrialTest, OfAPanaldThatIsKilledNothingIsLeftByTheNext) {
  const auto connection = control::Connection::connect(node_->config().node_socket());
  ASSERT_TRUE(connection);
  ASSERT_TRUE(connection->send({{"op", "trial"}, {"image", "icewm"}, {"version", version_}}));
  for (int i = 0; i < 600 * patience() && traces().size() < 4; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_GE(traces().size(), 3U) << "it is under way: " << node_->log();
  node_->end_panald(SIGKILL);
  EXPECT_FALSE(traces().empty());
  node_->start_panald();
  EXPECT_THAT(traces(), testing::IsEmpty());
  // And the next one is as good as any.
  const json answer = node_->ask({{"op", "trial"}, {"image", "icewm"}, {"version", version_}});
  EXPECT_TRUE(answer.value("good", false)) << answer.dump() << "\n" << node_->log();
}

TEST_F(TrialTest, OneThatIsUnderWayEndsWithPanald) {
  const auto connection = control::Connection::connect(node_->config().node_socket());
  ASSERT_TRUE(connection);
  ASSERT_TRUE(connection->send({{"op", "trial"}, {"image", "icewm"}, {"version", version_}}));
  for (int i = 0; i < 600 * patience() && traces().empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  node_->end_panald(SIGTERM);
  EXPECT_THAT(traces(), testing::IsEmpty());
  node_->start_panald();
}

}  // namespace
}  // namespace panal::node

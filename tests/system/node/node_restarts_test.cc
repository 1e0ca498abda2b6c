// What outlives panald, a desktop's init and a shutdown, and what is started again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "tests/system/node/node_fixture.h"

namespace panal::node {
namespace {

using nlohmann::json;
using store::Desired;
using store::Observed;
using ::testing::HasSubstr;

TEST_F(NodeTest, FindsRunningDesktopsAgain) {
  const auto first = new_desktop();
  const auto second = new_desktop();
  for (const auto& desktop : {first, second}) node_->want(desktop.id, Desired::kRunning);
  for (const auto& desktop : {first, second}) node_->await(desktop.id, Observed::kRunning);
  const pid_t before = node_->init_of(first.id);

  node_->end_panald(SIGKILL);
  const pid_t doomed = node_->row(second.id).id_slot ? 0 : -1;
  ASSERT_EQ(doomed, 0);
  node_->start_panald();
  EXPECT_EQ(node_->init_of(first.id), before) << "nothing is started twice";
  EXPECT_EQ(node_->row(first.id).observed, Observed::kRunning);
  // Its agent is back: it can be attached.
  const json granted = node_->ask({{"op", "attach"}, {"desktop", first.id}});
  EXPECT_TRUE(granted.value("ok", false)) << granted.dump() << node_->log();

  // Ended by SIGTERM, with a desktop that dies meanwhile.
  const pid_t other = node_->init_of(second.id);
  node_->end_panald(SIGTERM);
  EXPECT_EQ(::kill(before, 0), 0) << "desktops outlive panald";
  ASSERT_EQ(::kill(other, SIGKILL), 0);
  node_->start_panald();
  node_->await(
      second.id,
      [&](const auto& row) {
        return row.observed == Observed::kRunning && node_->init_of(second.id) > 0;
      },
      "running again");
  EXPECT_NE(node_->init_of(second.id), other);
  EXPECT_EQ(node_->init_of(first.id), before);
}

TEST_F(NodeTest, StartsACrashedDesktopAgainButNotForEver) {
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  pid_t last = -1;
  for (int crash = 0; crash < 2; ++crash) {
    node_->await(
        desktop.id,
        [&](const auto& row) {
          const pid_t now = row.observed == Observed::kRunning ? node_->init_of(desktop.id) : -1;
          return now > 0 && now != last;
        },
        "running");
    last = node_->init_of(desktop.id);
    ASSERT_EQ(::kill(last, SIGKILL), 0);
  }
  node_->await(
      desktop.id,
      [&](const auto& row) {
        const pid_t now = row.observed == Observed::kRunning ? node_->init_of(desktop.id) : -1;
        return now > 0 && now != last;
      },
      "running");
  ASSERT_EQ(::kill(node_->init_of(desktop.id), SIGKILL), 0);
  const auto failed = node_->await(desktop.id, Observed::kFailed);
  EXPECT_THAT(failed.reason, HasSubstr("init ended"));
  EXPECT_THAT(failed.reason, HasSubstr("not started again"));
  // A new request is a new chance.
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
}

TEST_F(NodeTest, StopsAllOnRequestAndWantsThemStill) {
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  const json down = node_->ask({{"op", "shutdown"}, {"stop_desktops", true}});
  EXPECT_TRUE(down.value("ok", false)) << down.dump();
  node_->end_panald(0);
  for (const auto& hierarchy : std::filesystem::directory_iterator("/sys/fs/cgroup"))
    EXPECT_FALSE(std::filesystem::exists(hierarchy.path() / node_->config().cgroup_warm_group()))
        << hierarchy.path();
  const auto row = node_->row(desktop.id);
  EXPECT_EQ(row.observed, Observed::kStopped);
  EXPECT_EQ(row.desired, Desired::kRunning);
  node_->start_panald();
  node_->await(desktop.id, Observed::kRunning);
}

}  // namespace
}  // namespace panal::node

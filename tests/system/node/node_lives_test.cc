// Desktops of a real panald: how they start, are counted and let users in, fail and end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <thread>

#include "runtime/control/control.h"
#include "runtime/control/message.h"
#include "tests/support/metrics_text.h"
#include "tests/system/node/node_fixture.h"

namespace panal::node {
namespace {

using nlohmann::json;
using store::Desired;
using store::Observed;
using ::testing::HasSubstr;

TEST_F(NodeTest, TakesDesktopsThroughTheirLives) {
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  const pid_t init = node_->init_of(desktop.id);
  ASSERT_GT(init, 0);
  node_->await(
      desktop.id, [](const auto& row) { return row.session_state == "suspended"; }, "pre-warmed");

  const json stats = node_->ask({{"op", "stats"}});
  ASSERT_EQ(stats["desktops"].size(), 1U);
  EXPECT_EQ(stats["desktops"][0]["class"], "disconnected");
  EXPECT_GT(stats["desktops"][0]["memory_bytes"], 0);
  EXPECT_GT(stats["host"]["parent_limit_bytes"], 0);
  EXPECT_GT(stats["host"]["cpu_busy_ns"], 0);
  EXPECT_GT(stats["host"]["objects"][0]["used"], 0);
  EXPECT_FALSE(stats["desktops"][0].contains("cost")) << "dear, and nobody asked";

  json cost;
  for (int i = 0; i < 100 && !cost.is_object(); ++i) {
    cost = node_->ask({{"op", "stats"}, {"cost", true}})["desktops"][0].value("cost", json());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  ASSERT_TRUE(cost.is_object()) << "not looked at within 10 s";
  EXPECT_GT(cost["pss_bytes"], 1 << 20);
  EXPECT_GT(cost["shared_bytes"], 0) << "programs of the image, mapped by several";
  EXPECT_GT(cost["kernel_bytes"], 0);
  EXPECT_GE(cost["total_bytes"].get<std::uint64_t>(), cost["pss_bytes"].get<std::uint64_t>());

  node_->want(desktop.id, Desired::kStopped);
  const auto stopped = node_->await(desktop.id, Observed::kStopped);
  EXPECT_FALSE(stopped.id_slot);
  EXPECT_EQ(::kill(init, 0), -1);
  EXPECT_FALSE(std::filesystem::exists(node_->config().desktop_run_dir(desktop.id)));
}

TEST_F(NodeTest, CountsWhatItDecides) {
  const auto desktop = new_desktop();
  const auto ask = [] {
    const json answer = node_->ask({{"op", "metrics"}});
    auto read = test::read_metrics(answer.value("text", ""));
    EXPECT_EQ(read.error, "") << answer.dump();
    return read;
  };
  const auto before = ask();
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  auto after = ask();
  const std::map<std::string, std::string> running{{"state", "running"}};
  // The database knows it before the loop has read it back.
  for (int i = 0; i < 100 && after.value("panal_node_desktops", running) ==
                                 before.value("panal_node_desktops", running);
       ++i) {
    ::usleep(50000);
    after = ask();
  }
  const auto grown = [&](const std::string& family,
                         const std::map<std::string, std::string>& labels = {}) {
    return after.value(family, labels) - before.value(family, labels);
  };
  EXPECT_EQ(grown("panal_starts_let_through_total"), 1);
  EXPECT_EQ(grown("panal_starts_ended_total", {{"result", "running"}}), 1);
  EXPECT_EQ(grown("panal_starts_ended_total", {{"result", "failed"}}), 0);
  EXPECT_GE(after.value("panal_node_tenant_desktops", {{"tenant", desktop.tenant}}), 1);
  // Where the kernel can enlist nobody, nobody is asked.
  EXPECT_EQ(grown("panal_ksm_enlistments_refused_total", {{"reason", "no_consent"}}) +
                grown("panal_ksm_enlistments_refused_total", {{"reason", "not_allowed"}}),
            1)
      << "balanced enlists nobody who has not agreed";
  EXPECT_EQ(grown("panal_node_desktops", running), 1);
  EXPECT_GT(grown("panal_node_cpu_seconds_total"), 0);
  EXPECT_GT(after.value("panal_memory_available_bytes"), 0);
  EXPECT_GT(after.value("panal_memory_limit_bytes"), after.value("panal_memory_desktops_bytes"));
  EXPECT_GT(after.value("panal_optimiser_looks_total"), 0);

  // Whom it is, and the same as JSON.
  EXPECT_EQ(after.families.at("panal_node_build_info").samples.at(0).labels.at("node"), "lab");
  const json families = node_->ask({{"op", "metrics"}, {"format", "json"}})["families"];
  EXPECT_EQ(families.size(), after.families.size());
}

TEST_F(NodeTest, LetsUsersInOneAtATime) {
  const auto desktop = new_desktop();
  const json attach = {{"op", "attach"}, {"desktop", desktop.id}, {"geometry", "1024x700"},
                       {"link", "lan"},  {"client", "linux"},     {"takeover", true}};
  EXPECT_EQ(node_->ask(attach).value("status", 0), 503) << "it does not run";
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  // In the middle of pre-warming, or before it.
  const json granted = node_->ask(attach);
  ASSERT_TRUE(granted.value("ok", false)) << granted.dump() << "\n" << node_->log();
  EXPECT_EQ(granted.value("cookie", "").size(), 32U);
  const json open = {{"op", "open"}, {"desktop", desktop.id}, {"attach", granted["attach"]}};

  const json later = node_->ask(attach);
  ASSERT_TRUE(later.value("ok", false)) << later.dump();
  EXPECT_NE(later["cookie"], granted["cookie"]);
  EXPECT_EQ(node_->ask(open).value("status", 0), 409) << "taken over";

  auto connection = control::Connection::connect(node_->config().node_socket());
  ASSERT_TRUE(connection);
  ASSERT_TRUE(
      connection->send({{"op", "open"}, {"desktop", desktop.id}, {"attach", later["attach"]}}));
  const auto answer = connection->receive(std::chrono::seconds(30));
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_TRUE(answer->body.value("ok", false)) << answer->body.dump();
  EXPECT_TRUE(answer->descriptor);
  EXPECT_EQ(node_->ask({{"op", "attach"}, {"desktop", desktop.id}, {"geometry", "a b"}})
                .value("status", 0),
            400);
  EXPECT_EQ(node_->ask({{"op", "dance"}}).value("status", 0), 400);
}

TEST_F(NodeTest, SaysWhyAStartFailed) {
  const auto desktop = new_desktop();
  // Somebody else has the home's place.
  const std::string home = node_->config().homes_dir + "/default/" + desktop.home;
  std::filesystem::create_directories(node_->config().homes_dir + "/default");
  std::filesystem::create_symlink("/nonexistent", home);
  node_->want(desktop.id, Desired::kRunning);
  const auto failed = node_->await(desktop.id, Observed::kFailed);
  EXPECT_THAT(failed.reason, HasSubstr("home"));
  std::filesystem::remove(home);
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
}

TEST_F(NodeTest, LeavesAVersionThatHasExpiredAndComesBackAfterARollback) {
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  const std::string good = node_->await(desktop.id, Observed::kRunning).running_version;
  // Registered, but not on this node: its start must fail, and say why.
  store::Version absent;
  absent.image = "icewm";
  absent.version = "absent";
  absent.session = {"icewm-session"};
  ASSERT_TRUE(node_->admin().add_version(absent, ""));
  store::TagChange change{
      "icewm", store::kDefaultTag, "absent", good, store::TagMoveKind::kPublish, "test", {}};
  change.deadlines.hard = std::chrono::seconds(0);
  const auto published = node_->admin().move_tag(change);
  ASSERT_TRUE(published) << published.error().message();
  EXPECT_LE(node_->row(desktop.id).hard_left_ms.value_or(1), 0);
  const auto failed = node_->await(desktop.id, Observed::kFailed);
  EXPECT_THAT(failed.reason, HasSubstr("absent"));
  EXPECT_EQ(failed.desired, Desired::kRunning) << "what is wanted is the user's to say";

  change = {"icewm", store::kDefaultTag, good, "absent", store::TagMoveKind::kRollback, "test", {}};
  ASSERT_TRUE(node_->admin().move_tag(change));
  node_->want(desktop.id, Desired::kRunning);
  EXPECT_EQ(node_->await(desktop.id, Observed::kRunning).running_version, good);
  EXPECT_TRUE(node_->admin().remove_version("icewm", "absent", "test"));
}

}  // namespace
}  // namespace panal::node

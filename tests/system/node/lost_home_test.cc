#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "tests/support/tiny_fuse.h"
#include "tests/system/node/running_node.h"

namespace panal::node {
namespace {

using nlohmann::json;
using store::Desired;
using store::Observed;
using ::testing::HasSubstr;
using testing_support::TinyFuse;

// A server that hangs under a living desktop, and is back later.
TEST(LostHome, FailsItsDesktopAndNotTheNode) {
  if (const std::string why = RunningNode::why_not(); !why.empty()) GTEST_SKIP() << why;
  if (::access(PANAL_BIN_DIR "/panal-home", X_OK) != 0) GTEST_SKIP() << "panal-home is not built";
  RunningNode node(
      "[homes]\nremote = \"yes\"\nlimit = \"64 MiB\"\nanswer_seconds = 1\n"
      "lost_after_seconds = 10\n");
  const auto desktop = node.new_desktop();
  node.want(desktop.id, Desired::kRunning);
  node.await(desktop.id, Observed::kRunning);
  const std::string& homes = node.config().homes_dir;
  EXPECT_TRUE(std::filesystem::exists(homes + "/default/." + desktop.home + ".img"))
      << "a home of which files cannot be shown under other ids is a file system in a file";

  auto server = std::make_unique<TinyFuse>(homes, node.config().mount_namespace_file());
  if (!server->mounted()) GTEST_SKIP() << "no FUSE here: " << std::strerror(server->error());
  server->hang();
  const auto failed = node.await(desktop.id, Observed::kFailed);
  EXPECT_THAT(failed.reason, HasSubstr("the home is lost: no answer for"));
  EXPECT_EQ(node.init_of(desktop.id), -1);

  // The node answers, and another start ends with a sentence within seconds.
  EXPECT_EQ(node.ask({{"op", "status"}})["running"], 0);
  const auto second = node.new_desktop();
  node.want(second.id, Desired::kRunning);
  EXPECT_THAT(node.await(second.id, Observed::kFailed).reason,
              HasSubstr("did not answer within 1 s"));

  server.reset();
  for (const DesktopId id : {desktop.id, second.id}) {
    node.want(id, Desired::kRunning);
    node.await(id, Observed::kRunning);
  }
}

}  // namespace
}  // namespace panal::node

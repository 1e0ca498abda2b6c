// What panald learns of the pages that an image's desktops need, and keeps in memory.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "storage/warm/hot_pages.h"
#include "tests/support/metrics_text.h"
#include "tests/system/node/node_fixture.h"

namespace panal::node {
namespace {

using nlohmann::json;
using store::Desired;

/// The lab's images cannot be written to, so records are in the state directory.
std::string recorded_version(const RunningNode& node) {
  std::error_code none;
  const std::string directory = node.config().state_dir + "/warm/icewm";
  for (const auto& entry : std::filesystem::directory_iterator(directory, none))
    if (std::filesystem::exists(entry.path() / storage::kHotPagesFile)) return entry.path();
  return {};
}

TEST_F(NodeTest, RecordsWhatADesktopUsesOfItsImageAndKeepsItWarm) {
  // Within 30 s of the first desktop the version is cooled; the next one shows what it needs.
  std::string version = recorded_version(*node_);
  for (int desktops = 0; desktops < 4 && version.empty(); ++desktops) {
    const auto desktop = new_desktop();
    node_->want(desktop.id, Desired::kRunning);
    node_->await(
        desktop.id, [](const auto& row) { return row.session_state == "suspended"; }, "pre-warmed");
    for (int i = 0; i < 700 && version.empty(); ++i) {
      ::usleep(50000);
      version = recorded_version(*node_);
    }
  }
  ASSERT_FALSE(version.empty()) << node_->log();
  const auto pages = storage::read_hot_pages(version);
  ASSERT_TRUE(pages) << pages.error().message();
  EXPECT_EQ(pages->generation, 0U);
  EXPECT_GT(pages->bytes(), std::uint64_t{10} << 20) << "less than an IceWM desktop needs";
  EXPECT_LT(pages->bytes(), std::uint64_t{300} << 20) << "nearly all of the image";
  EXPECT_TRUE(std::any_of(pages->files.begin(), pages->files.end(), [](const auto& file) {
    return file.path.find("nxagent") != std::string::npos;
  }));
  double touched = 0;
  for (int i = 0; i < 300 && touched == 0; ++i) {
    ::usleep(50000);
    const json answer = node_->ask({{"op", "metrics"}});
    touched = test::read_metrics(answer.value("text", ""))
                  .value("panal_warm_runs_total", {{"act", "touch"}});
  }
  EXPECT_GT(touched, 0) << node_->log();
}

}  // namespace
}  // namespace panal::node

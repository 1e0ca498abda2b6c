#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/runtime/cli/commands_fixture.h"

namespace panal::cli {
namespace {

using testing::HasSubstr;

TEST_F(Commands, ComposeSaysWhichBackendsThereAreAndWhy) {
  std::ofstream(directory_ + "/panal.toml", std::ios::app)
      << "[compose]\nimages = { xfce = \"aufs\", icewm = \"auto\" }\n";
  // An image that cannot have what is configured makes it 1, so that scripts see it.
  EXPECT_EQ(panal({"compose", "--json"}), ExitCode::kFailed) << err();
  const auto found = json();
  const auto& backends = found["backends"];
  const auto lvm = std::find_if(backends.begin(), backends.end(),
                                [](const auto& one) { return one["name"] == "lvm"; });
  ASSERT_NE(lvm, backends.end());
  EXPECT_EQ((*lvm)["usable"], false);
  EXPECT_NE((*lvm)["why_not"], "");
  int refused = 0;
  for (const auto& one : found["images"]) {
    EXPECT_FALSE(one["reasons"].empty());
    if (one["image"] != "xfce") continue;
    ++refused;
    EXPECT_TRUE(one["backend"].is_null());
    EXPECT_THAT(one["reasons"][0].get<std::string>(), HasSubstr("use overlay"));
  }
  EXPECT_EQ(refused, 2) << "volatile and persistent";
  EXPECT_EQ(panal({"compose", "xfce"}), ExitCode::kFailed);
  EXPECT_THAT(out(), HasSubstr("none"));
  EXPECT_EQ(panal({"compose", "no-such"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("there is no image no-such on this node"));
}

TEST_F(Commands, ComposeFindsABackendThatIsNone) {
  std::ofstream(directory_ + "/panal.toml", std::ios::app)
      << "[compose]\nbackend = \"overlayfs\"\n";
  EXPECT_NE(panal({"compose"}), ExitCode::kOk);
  EXPECT_THAT(err(), HasSubstr("backend in [compose]"));
  EXPECT_THAT(err(), HasSubstr("auto, overlay"));
}

}  // namespace
}  // namespace panal::cli

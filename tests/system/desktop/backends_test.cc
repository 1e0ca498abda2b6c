// Whole desktops on roots of other kinds than overlay's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "sandbox.h"

namespace panal::desktop {
namespace {

using std::chrono::milliseconds;
using ::testing::IsEmpty;
using testing::Sandbox;
namespace fs = std::filesystem;

class Roots : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(All, Roots,
                         ::testing::Values("tmpfs", "bind", "copy", "fuse-overlayfs",
                                           "unionfs-fuse"),
                         [](const auto& one) {
                           std::string name = one.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

TEST_P(Roots, ADesktopStartsAndStopLeavesNothing) {
  Sandbox sandbox;
  DesktopSpec spec = sandbox.spec(7);
  spec.compose = GetParam();
  const auto running = sandbox.life().start(spec);
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  EXPECT_EQ(sandbox.life().was_composed_by(7), GetParam());
  const auto stopped = sandbox.life().stop(spec, milliseconds{5000});
  ASSERT_TRUE(stopped) << stopped.error().message();
  EXPECT_THAT(sandbox.traces(7), IsEmpty());
  const std::string upper = sandbox.config.desktop_state_dir(7) + "/upper";
  if (fs::exists(upper)) {
    EXPECT_TRUE(fs::is_empty(upper));
  }
}

TEST_P(Roots, WhatNobodyKnowsAnythingOfIsClearedAway) {
  Sandbox sandbox;
  DesktopSpec spec = sandbox.spec(7);
  spec.compose = GetParam();
  ASSERT_TRUE(sandbox.life().start(spec));
  fs::remove(sandbox.config.desktop_run_dir(7) + "/saved");
  const auto recovered = sandbox.life().recover({});
  ASSERT_TRUE(recovered) << recovered.error().message();
  EXPECT_THAT(sandbox.traces(7), IsEmpty());
  const std::string upper = sandbox.config.desktop_state_dir(7) + "/upper";
  if (fs::exists(upper)) {
    EXPECT_TRUE(fs::is_empty(upper)) << "its layer was volatile: its name says so";
  }
}

}  // namespace
}  // namespace panal::desktop

// The guard before a stand-in for nxagent (tests/support/fake_nxagent.cc).
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "runtime/agent/guard_bytes.h"

namespace panal::agent {
namespace {

class ResumeGuard : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = std::filesystem::temp_directory_path() / "resume-guard-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    directory_ = path;
    std::ofstream(directory_ / "guard.so", std::ios::binary) << resume_guard();
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  /// Everything that is said, to the end of the last process.
  std::string resume(const std::string& what) const {
    const std::string command = "LD_PRELOAD=" + (directory_ / "guard.so").string() + " '" +
                                PANAL_FAKE_NXAGENT + "' " + what + " 2>&1";
    FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return "popen failed";
    std::string said;
    char bytes[512];
    for (std::size_t got = 0; (got = std::fread(bytes, 1, sizeof bytes, pipe)) > 0;)
      said.append(bytes, got);
    ::pclose(pipe);
    return said;
  }

 private:
  std::filesystem::path directory_;
};

bool has(const std::string& said, const char* words) {
  return said.find(words) != std::string::npos;
}

TEST_F(ResumeGuard, TheCopyThatHasResumedGoesOn) {
  const std::string said = resume("good");
  EXPECT_TRUE(has(said, "panal: nxagent goes on as ")) << said;
  EXPECT_TRUE(has(said, "\nresumed\n")) << said;
  EXPECT_FALSE(has(said, "suspended\n")) << said;
}

TEST_F(ResumeGuard, ADyingCopyLeavesTheFirstSuspended) {
  const std::string said = resume("crash");
  EXPECT_TRUE(has(said, "Error: a resume died by signal 9")) << said;
  EXPECT_TRUE(has(said, "\nsuspended\n")) << said;
  EXPECT_FALSE(has(said, "goes on as")) << said;
}

TEST_F(ResumeGuard, ACopyThatLostItsLinkIsNeverTheHeir) {
  // It would carry on, with what it did not get, and every later resume would die of that.
  const std::string said = resume("lost");
  EXPECT_FALSE(has(said, "goes on as")) << said;
  EXPECT_FALSE(has(said, "Session: Session resumed")) << said;
  EXPECT_TRUE(has(said, "Error: a resume lost its link")) << said;
  EXPECT_TRUE(has(said, "\nsuspended\n")) << said;
}

TEST_F(ResumeGuard, AnErrorOfTheDisplayLeftBehindIsNone) {
  const std::string said = resume("old");
  EXPECT_TRUE(has(said, "panal: nxagent goes on as ")) << said;
  EXPECT_TRUE(has(said, "\nresumed\n")) << said;
}

}  // namespace
}  // namespace panal::agent

// Which programs the guard takes out of merging, as the kernel shows it of them. The part about
// screens needs an X server: tests/e2e/session_guard.py.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "engine/base/prctl_numbers.h"
#include "runtime/agent/guard_bytes.h"

namespace panal::agent {
namespace {

std::string program(const char* path) { return std::filesystem::canonical(path).filename(); }

class SessionGuard : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = std::filesystem::temp_directory_path() / "session-guard-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    directory_ = path;
    std::ofstream(directory_ / "guard.so", std::ios::binary) << session_guard();
    if (merging("").empty()) GTEST_SKIP() << "this kernel does not say whose memory is merged";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  /// "yes" or "no", of a grep that a shell starts in an enlisted process.
  std::string merging(const std::string& apart, bool enlisted = true) const {
    int ends[2];
    if (::pipe(ends) != 0) return "pipe failed";
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(ends[1], 1);
      if (enlisted && ::prctl(kSetMemoryMerge, 1, 0, 0, 0) != 0) ::_exit(2);
      ::setenv("LD_PRELOAD", (directory_ / "guard.so").c_str(), 1);
      if (!apart.empty()) ::setenv("PANAL_APART", apart.c_str(), 1);
      // Not the last command, so that the shell stays and grep is its child.
      ::execl("/bin/sh", "sh", "-c", "grep merge_any /proc/self/ksm_stat; true", nullptr);
      ::_exit(3);
    }
    ::close(ends[1]);
    std::string said;
    char bytes[256];
    for (ssize_t got = 0; (got = ::read(ends[0], bytes, sizeof bytes)) > 0;)
      said.append(bytes, static_cast<std::size_t>(got));
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    const std::string key = "ksm_merge_any: ";
    const std::size_t at = said.find(key);
    return at == std::string::npos
               ? ""
               : said.substr(at + key.size(), said.find('\n', at) - at - key.size());
  }

  std::filesystem::path directory_;
};

TEST_F(SessionGuard, TakesOutWhoIsNamedAndNobodyElse) {
  const std::string grep = program("/bin/grep");
  EXPECT_EQ(merging(""), "yes");
  EXPECT_EQ(merging(grep), "no");
  EXPECT_EQ(merging("a:" + grep + ":b"), "no");
  EXPECT_EQ(merging("a:" + grep), "no");
  EXPECT_EQ(merging(grep + "x:x" + grep + ":" + grep.substr(1)), "yes") << "no part of a name";
  EXPECT_EQ(merging(":"), "yes");
}

TEST_F(SessionGuard, WhatAnExcludedProgramStartsIsMergedAgain) {
  EXPECT_EQ(merging(program("/bin/sh")), "yes");
  EXPECT_EQ(merging(program("/bin/sh") + ":" + program("/bin/grep")), "no");
}

}  // namespace
}  // namespace panal::agent

// Which programs the guard takes out of merging, as the kernel shows it of them, and what it tells
// them of memory. The part about screens needs an X server: tests/e2e/session_guard.py.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/base/prctl_numbers.h"
#include "runtime/agent/guard_bytes.h"

namespace panal::agent {
namespace {

std::string program(const char* path) { return std::filesystem::canonical(path).filename(); }

class SessionGuardFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = std::filesystem::temp_directory_path() / "session-guard-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    directory_ = path;
    std::ofstream(directory_ / "guard.so", std::ios::binary) << session_guard();
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_;
};

class SessionGuard : public SessionGuardFile {
 protected:
  void SetUp() override {
    SessionGuardFile::SetUp();
    if (merging("").empty()) GTEST_SKIP() << "this kernel does not say whose memory is merged";
  }

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

/// What programs are told of memory where the desktop's files tell of its own.
class SessionGuardMemory : public SessionGuardFile {
 protected:
  /// What getconf(1) says with PANAL_MEMORY_KIB set to `kib`; nullptr: unset.
  std::uint64_t conf(const char* name, const char* kib) const {
    int ends[2];
    if (::pipe(ends) != 0) return 0;
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(ends[1], 1);
      ::setenv("LD_PRELOAD", (directory_ / "guard.so").c_str(), 1);
      if (kib != nullptr)
        ::setenv("PANAL_MEMORY_KIB", kib, 1);
      else
        ::unsetenv("PANAL_MEMORY_KIB");
      ::execlp("getconf", "getconf", name, nullptr);
      ::_exit(3);
    }
    ::close(ends[1]);
    char bytes[64] = {};
    (void)!::read(ends[0], bytes, sizeof bytes - 1);
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    return std::strtoull(bytes, nullptr, 10);
  }
  const std::uint64_t page_ = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t pages_ = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
};

TEST_F(SessionGuardMemory, IsTheDesktopsWhereItIsLess) {
  EXPECT_EQ(conf("_PHYS_PAGES", "65536"), 65536 * 1024 / page_);
  EXPECT_LE(conf("_AVPHYS_PAGES", "65536"), 32768 * 1024 / page_);
  EXPECT_GT(conf("_AVPHYS_PAGES", "65536"), 0U);
  EXPECT_EQ(conf("PAGESIZE", "65536"), page_) << "everything else is glibc's";
}

TEST_F(SessionGuardMemory, IsTheKernelsWhereNobodySaysOrItIsLess) {
  EXPECT_EQ(conf("_PHYS_PAGES", nullptr), pages_);
  for (const char* kib : {"", "0", "many", "-1", "9007199254740991", "18446744073709551615"})
    EXPECT_EQ(conf("_PHYS_PAGES", kib), pages_) << kib;
}

}  // namespace
}  // namespace panal::agent

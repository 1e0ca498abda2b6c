#include "runtime/optimiser/ksmd.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace panal::optimiser {
namespace {

class KsmdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "panal-ksmd-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    for (const char* part : {"proc/1", "shown", "empty", "sys", "cgroup"})
      std::filesystem::create_directories(root_ / part);
    std::ofstream(root_ / "proc/1/stat") << "1 (init) S 0 1 1\n";
    std::ofstream(root_ / "shown/schedstat") << "1234567 8 9\n";
    tree_ = std::move(*Tree::open_below(root_));
    ::unsetenv(kKsmdVariable);
  }
  void TearDown() override {
    ::unsetenv(kKsmdVariable);
    std::filesystem::remove_all(root_);
  }

  std::filesystem::path root_;
  Tree tree_;
};

TEST_F(KsmdTest, IsFoundAmongTheProcessesFirst) {
  std::filesystem::create_directories(root_ / "proc/72");
  std::ofstream(root_ / "proc/72/stat") << "72 (ksmd) S 2 0 0\n";
  std::ofstream(root_ / "proc/72/schedstat") << "42 0 1\n";
  ::setenv(kKsmdVariable, (root_ / "shown").c_str(), 1);
  const auto ksmd = find_ksmd(tree_);
  ASSERT_TRUE(ksmd);
  EXPECT_EQ(*ksmd->cpu_ns(), 42U);
}

TEST_F(KsmdTest, IsFoundWhereTheEnvironmentShowsIt) {
  EXPECT_FALSE(find_ksmd(tree_));
  ::setenv(kKsmdVariable, (root_ / "empty").c_str(), 1);
  EXPECT_FALSE(find_ksmd(tree_)) << "nothing to read there";
  ::setenv(kKsmdVariable, (root_ / "no-such").c_str(), 1);
  EXPECT_FALSE(find_ksmd(tree_));
  ::setenv(kKsmdVariable, (root_ / "shown").c_str(), 1);
  const auto ksmd = find_ksmd(tree_);
  ASSERT_TRUE(ksmd);
  EXPECT_EQ(*ksmd->cpu_ns(), 1234567U);
}

}  // namespace
}  // namespace panal::optimiser

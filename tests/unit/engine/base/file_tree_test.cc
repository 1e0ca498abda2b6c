#include "engine/base/file_tree.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace panal {
namespace {

namespace fs = std::filesystem;

class FileTree : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "tree.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { (void)remove_tree(dir_); }
  std::string dir_;
};

TEST_F(FileTree, RemovesLinksNotTheirTargets) {
  fs::create_directories(dir_ + "/keep");
  std::ofstream(dir_ + "/keep/file") << "x";
  fs::create_directories(dir_ + "/gone/a/b");
  fs::create_directory_symlink(dir_ + "/keep", dir_ + "/gone/a/link");
  fs::create_symlink("nowhere", dir_ + "/gone/broken");
  ASSERT_TRUE(remove_tree(dir_ + "/gone"));
  EXPECT_FALSE(fs::exists(dir_ + "/gone"));
  EXPECT_TRUE(fs::exists(dir_ + "/keep/file"));
  EXPECT_TRUE(remove_tree(dir_ + "/gone")) << "nothing there is not an error";
  fs::create_directory_symlink(dir_ + "/keep", dir_ + "/link");
  ASSERT_TRUE(remove_tree(dir_ + "/link"));
  EXPECT_TRUE(fs::exists(dir_ + "/keep/file"));
}

TEST_F(FileTree, RemovesWhatIsDeeperThanAnyPathAndThanItsDescriptors) {
  ASSERT_EQ(::mkdir((dir_ + "/deep").c_str(), 0700), 0);
  int at = ::open((dir_ + "/deep").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::string name(200, 'n');
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(::mkdirat(at, name.c_str(), 0700), 0);
    const int next = ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ASSERT_GE(next, 0);
    ::close(at);
    at = next;
  }
  ::close(at);
  const auto removed = remove_tree(dir_ + "/deep");
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_FALSE(fs::exists(dir_ + "/deep"));
}

TEST_F(FileTree, WalksParentsFirst) {
  fs::create_directories(dir_ + "/a/b");
  std::ofstream(dir_ + "/a/b/c") << "x";
  fs::create_directory_symlink("/", dir_ + "/a/root");
  std::vector<std::string> seen;
  ASSERT_TRUE(walk_tree(dir_, [&](const TreeEntry& entry) -> Result<void> {
    seen.push_back(entry.path);
    return {};
  }));
  EXPECT_THAT(seen, ::testing::UnorderedElementsAre("a", "a/b", "a/b/c", "a/root"));
  EXPECT_EQ(seen.front(), "a");
  const auto stopped =
      walk_tree(dir_, [](const TreeEntry&) -> Result<void> { return fail(EPERM, "stop"); });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, EPERM);
  EXPECT_FALSE(walk_tree(dir_ + "/nothing", [](const TreeEntry&) -> Result<void> { return {}; }));
}

}  // namespace
}  // namespace panal

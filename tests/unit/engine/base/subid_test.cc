#include "engine/base/subid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace panal {
namespace {

TEST(FindSubid, TakesTheFirstLineOfTheOwner) {
  const char* text = "alice:100000:65536\nroot:1000000:65536000\nroot:5:5\n";
  EXPECT_EQ(find_subid(text, "root"), (SubidLine{"root", 1'000'000, 65'536'000}));
  EXPECT_EQ(find_subid(text, "bob"), std::nullopt);
  EXPECT_EQ(find_subid(text, "roo"), std::nullopt);
}

TEST(FindSubid, SkipsLinesThatDoNotParse) {
  for (const char* text :
       {"", "\n", ":", "::", "root", "root:", "root:1", "root:1:", "root:x:1", "root:1:x",
        "root:1:0", "root:-1:5", "root:99999999999:5", "root:1:2:3", "root: 1:2", "#root:1:2\n"})
    EXPECT_EQ(find_subid(text, "root"), std::nullopt) << text;
  EXPECT_TRUE(find_subid("root:x:1\nroot:7:1", "root"));
}

TEST(ChooseSubidStart, IsPastAllOthers) {
  EXPECT_EQ(choose_subid_start("", "", 65536).value(), kSubidLeast);
  EXPECT_EQ(choose_subid_start("a:100000:65536\n", "", 65536).value(), kSubidLeast);
  EXPECT_EQ(choose_subid_start("a:2000000:10\n", "b:3000000:10\n", 65536).value(), 3'000'010U);
  EXPECT_EQ(choose_subid_start("a:4294900000:60000\n", "", 65'536'000).error().code, ENOSPC);
}

class EnsureSubid : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "subid.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
  }
  static std::string read(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::string dir_;
};

TEST_F(EnsureSubid, AppendsOnceAndKeepsOthers) {
  const std::string uid = dir_ + "/subuid";
  const std::string gid = dir_ + "/subgid";
  write(uid, "alice:1000000:65536");  // no newline at the end
  const auto made = ensure_subid_lines(uid, gid);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(*made, (SubidLine{"root", 1'065'536, kSubidWanted}));
  EXPECT_EQ(read(uid), "alice:1000000:65536\nroot:1065536:268435456\n");
  EXPECT_EQ(read(gid), "root:1065536:268435456\n");
  EXPECT_EQ(ensure_subid_lines(uid, gid).value(), *made);
  EXPECT_EQ(read(gid), "root:1065536:268435456\n");
}

TEST_F(EnsureSubid, CompletesAHalf) {
  const std::string uid = dir_ + "/subuid";
  const std::string gid = dir_ + "/subgid";
  write(uid, "root:200000:131072\n");
  EXPECT_EQ(ensure_subid_lines(uid, gid).value(), (SubidLine{"root", 200'000, 131'072}));
  EXPECT_EQ(read(gid), "root:200000:131072\n");
}

TEST_F(EnsureSubid, GrowsWhatItOnceAskedFor) {
  const std::string uid = dir_ + "/subuid";
  const std::string gid = dir_ + "/subgid";
  const SubidLine grown{"root", 1'000'000, kSubidWanted};
  const std::string around[] = {"alice:100000:65536\n# a line\n", "bob:400000000:65536"};
  const std::string once = around[0] + "root:1000000:65536000\n" + around[1];
  const std::string now = around[0] + "root:1000000:268435456\n" + around[1];
  struct Case {
    std::string users, groups;
  };
  // The last two: killed between the files.
  for (const Case& one : {Case{once, once}, Case{now, once}, Case{once, now}}) {
    write(uid, one.users);
    write(gid, one.groups);
    EXPECT_EQ(ensure_subid_lines(uid, gid).value(), grown);
    EXPECT_EQ(read(uid), now);
    EXPECT_EQ(read(gid), now);
  }
}

TEST_F(EnsureSubid, LeavesARangeAloneThatCannotGrowOrIsNotOurs) {
  const std::string uid = dir_ + "/subuid";
  const std::string gid = dir_ + "/subgid";
  for (const char* text :
       {"root:1000000:65536000\nbob:66536000:65536\n", "root:4229000000:65536000\n",
        "root:100000:65536000\n", "root:1000000:65536\n", "root:1000000:1000000000\n"}) {
    write(uid, text);
    write(gid, text);
    EXPECT_EQ(ensure_subid_lines(uid, gid).value(), *find_subid(text, "root")) << text;
    EXPECT_EQ(read(uid), text);
    EXPECT_EQ(read(gid), text);
  }
  write(gid, "root:1000000:65536000\n");
  write(uid, "root:1000000:65536000\nbob:66536000:65536\n");
  EXPECT_EQ(ensure_subid_lines(uid, gid).value().count, kSubidWantedOnce) << "of either file";
}

TEST_F(EnsureSubid, RefusesRangesThatDiffer) {
  const std::string uid = dir_ + "/subuid";
  const std::string gid = dir_ + "/subgid";
  write(uid, "root:200000:65536\n");
  write(gid, "root:300000:65536\n");
  EXPECT_EQ(ensure_subid_lines(uid, gid).error().code, EINVAL);
}

}  // namespace
}  // namespace panal

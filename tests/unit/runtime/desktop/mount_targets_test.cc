#include "runtime/desktop/lxc/mount_targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace panal::desktop::lxc {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class MountTargets : public ::testing::Test {
 protected:
  MountTargets() {
    std::string pattern = (fs::temp_directory_path() / "targets-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    for (const char* name : {"dev", "proc", "sys", "tmp", "run", "home", "etc"})
      fs::create_directory(root_ / name);
  }
  ~MountTargets() override { fs::remove_all(root_); }
  Result<void> check() const { return check_mount_targets(root_, "/home/alice"); }

  fs::path root_;
};

TEST_F(MountTargets, MayBeDirectoriesOrAbsent) {
  EXPECT_TRUE(check());
  fs::create_directories(root_ / "home/alice");
  fs::create_directory(root_ / ".panal");
  EXPECT_TRUE(check());
  std::ofstream(root_ / ".panal/panal-agent") << "";
  EXPECT_TRUE(check());
  fs::remove(root_ / "tmp");
  EXPECT_TRUE(check());
  // Below what is mounted, and where nothing is: not met.
  fs::create_symlink("/", root_ / "dev/shm");
  fs::create_symlink("/", root_ / "etc/mtab");
  EXPECT_TRUE(check());
}

TEST_F(MountTargets, AreNoLinks) {
  for (const char* name :
       {"dev", "proc", "sys", "tmp", "run", "home", "home/alice", ".panal", ".panal/panal-agent"}) {
    fs::remove_all(root_ / name);
    fs::create_directories((root_ / name).parent_path());
    fs::create_directory_symlink(root_ / "etc", root_ / name);
    const auto checked = check();
    ASSERT_FALSE(checked) << name;
    EXPECT_EQ(checked.error().code, ELOOP) << name;
    EXPECT_THAT(checked.error().context, HasSubstr("/" + std::string(name) + " of the desktop's"));
    fs::remove(root_ / name);
  }
}

TEST_F(MountTargets, OfScratchAreLookedAtWhereTheyAreWanted) {
  fs::create_directory(root_ / "var");
  fs::create_directory_symlink("/etc", root_ / "var/log");
  EXPECT_TRUE(check());
  const auto checked = check_mount_targets(root_, "/home/alice", {"var/tmp", "var/log"});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ELOOP);
  EXPECT_THAT(checked.error().context, HasSubstr("/var/log of the desktop's"));
  fs::remove_all(root_ / "var");
  EXPECT_TRUE(check_mount_targets(root_, "/home/alice", {"var/tmp", "var/log"})) << "made there";
}

TEST_F(MountTargets, AreNothingElse) {
  fs::create_directory(root_ / ".panal");
  fs::create_directory(root_ / ".panal/panal-agent");
  EXPECT_EQ(check().error().code, EISDIR);
  fs::remove(root_ / ".panal/panal-agent");
  ASSERT_EQ(::mkfifo((root_ / ".panal/panal-agent").c_str(), 0600), 0);
  EXPECT_EQ(check().error().code, EISDIR);
  fs::remove_all(root_ / ".panal");
  fs::remove(root_ / "run");
  ASSERT_EQ(::mkfifo((root_ / "run").c_str(), 0600), 0);
  EXPECT_EQ(check().error().code, ENOTDIR);
  fs::remove(root_ / "run");
  std::ofstream(root_ / "run") << "";
  EXPECT_EQ(check().error().code, ENOTDIR);
}

}  // namespace
}  // namespace panal::desktop::lxc

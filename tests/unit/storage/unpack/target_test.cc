#include "storage/unpack/target.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "storage/unpack/finish.h"
#include "tests/unit/storage/unpack/scratch.h"

namespace panal::storage::unpack {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class TargetTest : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    root_ = make_dir("root");
  }
  [[nodiscard]] Target target(bool layered = false) const {
    return Target(open_dir(root_), layered);
  }
  /// Tests run as whoever runs them.
  static Attributes mine(mode_t mode) {
    Attributes attributes;
    attributes.uid = ::geteuid();
    attributes.gid = ::getegid();
    attributes.mode = mode;
    attributes.modified.tv_sec = 1000;
    return attributes;
  }
  static Result<void> put(Target& target, const std::string& path, const std::string& text) {
    PANAL_ASSIGN(const UniqueFd file, target.make_file(path));
    if (::write(file.get(), text.data(), text.size()) < 0) return fail_errno("write");
    return Target::seal(file, path, mine(0644));
  }
  [[nodiscard]] std::string text(const std::string& path) const {
    return read_file(root_ + "/" + path);
  }
  [[nodiscard]] bool exists(const std::string& path) const {
    return fs::symlink_status(root_ + "/" + path).type() != fs::file_type::not_found;
  }

  std::string root_;
};

TEST_F(TargetTest, MakesWhatIsAskedForAndParents) {
  Target tree = target();
  ASSERT_TRUE(put(tree, "a/b/file", "x"));
  ASSERT_TRUE(tree.make_directory("a/b", mine(0750)));
  ASSERT_TRUE(tree.make_symlink("a/link", "/anywhere", mine(0777)));
  ASSERT_TRUE(tree.make_hard_link("other", "a/b/file"));
  EXPECT_EQ(text("other"), "x");
  struct stat info{};
  ASSERT_EQ(::stat((root_ + "/a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0750U);
  ASSERT_TRUE(tree.set_directory_times());
  ASSERT_EQ(::stat((root_ + "/a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mtim.tv_sec, 1000);
}

TEST_F(TargetTest, ReplacesInsteadOfWritingThrough) {
  std::ofstream(dir_ + "/outside") << "untouched";
  Target tree = target();
  ASSERT_TRUE(tree.make_symlink("name", dir_ + "/outside", mine(0777)));
  ASSERT_TRUE(put(tree, "name", "new"));
  EXPECT_EQ(read_file(dir_ + "/outside"), "untouched");
  EXPECT_EQ(text("name"), "new");
  ASSERT_TRUE(tree.make_hard_link("twin", "name"));
  ASSERT_TRUE(put(tree, "name", "newer"));
  EXPECT_EQ(text("twin"), "new");
  ASSERT_TRUE(tree.make_hard_link("twin", "twin"));
  EXPECT_EQ(text("twin"), "new");
  ASSERT_TRUE(tree.make_directory("name", mine(0755)));
  ASSERT_TRUE(put(tree, "name/in", "x"));
  ASSERT_TRUE(put(tree, "name", "a file again"));
  EXPECT_EQ(text("name"), "a file again");
  ASSERT_TRUE(tree.make_symlink("dirlink", "..", mine(0777)));
  ASSERT_TRUE(tree.make_directory("dirlink", mine(0755)));
  EXPECT_TRUE(fs::is_directory(fs::symlink_status(root_ + "/dirlink")));
}

TEST_F(TargetTest, FollowsLinksInsideOnly) {
  Target tree = target();
  ASSERT_TRUE(tree.make_directory("usr/bin", mine(0755)));
  ASSERT_TRUE(tree.make_symlink("bin", "usr/bin", mine(0777)));
  ASSERT_TRUE(put(tree, "bin/sh", "x"));
  EXPECT_EQ(text("usr/bin/sh"), "x");
  ASSERT_TRUE(tree.make_symlink("absolute", dir_, mine(0777)));
  ASSERT_TRUE(tree.make_symlink("up", "../", mine(0777)));
  ASSERT_TRUE(tree.make_symlink("usr/far", "bin/../../../x", mine(0777)));
  ASSERT_TRUE(tree.make_symlink("loop", "loop", mine(0777)));
  ASSERT_TRUE(tree.make_symlink("dangling", "nowhere", mine(0777)));
  ASSERT_TRUE(put(tree, "plain", "x"));
  for (const char* through : {"absolute/f", "up/f", "usr/far/f", "absolute/new/f"}) {
    for (const auto& done :
         {put(tree, through, "x"), tree.make_directory(through, mine(0755)),
          tree.make_symlink(through, "x", mine(0777)), tree.make_hard_link(through, "plain"),
          tree.make_hard_link("new", through)}) {
      ASSERT_FALSE(done) << through;
      EXPECT_EQ(done.error().code, EPERM) << done.error().context;
      EXPECT_THAT(done.error().context, HasSubstr("leads out"));
    }
  }
  EXPECT_EQ(put(tree, "loop/f", "x").error().code, ELOOP);
  EXPECT_FALSE(put(tree, "dangling/f", "x"));
  EXPECT_EQ(put(tree, "plain/f", "x").error().code, ENOTDIR);
  EXPECT_FALSE(fs::exists(dir_ + "/f"));
  EXPECT_EQ(tree.make_hard_link("new", "none").error().code, ENOENT);
  EXPECT_EQ(tree.make_hard_link("new", "usr").error().code, EPERM);
}

TEST_F(TargetTest, WhiteoutsAreForLowerLayers) {
  Target tree = target(true);
  for (const char* path : {"d/a", "d/b", "d/sub/c", "e", "f/g"})
    ASSERT_TRUE(put(tree, path, "low"));
  ASSERT_TRUE(tree.make_symlink("link", "d", mine(0777)));
  tree.begin_layer();
  ASSERT_TRUE(put(tree, "link/new", "high"));
  ASSERT_TRUE(put(tree, "d/sub/new", "high"));
  ASSERT_TRUE(tree.make_opaque("d"));
  EXPECT_FALSE(exists("d/a"));
  EXPECT_FALSE(exists("d/sub/c"));
  EXPECT_EQ(text("d/new"), "high");
  EXPECT_EQ(text("d/sub/new"), "high");
  ASSERT_TRUE(tree.whiteout("e"));
  EXPECT_FALSE(exists("e"));
  ASSERT_TRUE(put(tree, "e", "high"));
  ASSERT_TRUE(tree.whiteout("e"));
  EXPECT_EQ(text("e"), "high");
  ASSERT_TRUE(tree.whiteout("f"));
  EXPECT_FALSE(exists("f"));
  EXPECT_TRUE(tree.whiteout("none"));
  EXPECT_TRUE(tree.whiteout("none/deeper"));
  EXPECT_TRUE(tree.whiteout("e/below-a-file"));
  EXPECT_TRUE(tree.make_opaque("none"));
  ASSERT_TRUE(tree.whiteout("link"));
  EXPECT_FALSE(exists("link"));
  EXPECT_TRUE(exists("d"));
  tree.begin_layer();
  ASSERT_TRUE(tree.make_opaque(""));
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(TargetTest, LinksAreLookedAtInTheEnd) {
  Target tree = target();
  for (const char* good : {"/etc/passwd", "../usr", "x/../../y", "."})
    ASSERT_TRUE(
        tree.make_symlink("a/good" + std::to_string(std::string(good).size()), good, mine(0777)));
  EXPECT_TRUE(check_links(root_));
  ASSERT_TRUE(tree.make_symlink("a/bad", "../../x", mine(0777)));
  const auto bad = check_links(root_);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, EPERM);
  EXPECT_THAT(bad.error().context, HasSubstr("\"a/bad\""));
}

TEST_F(TargetTest, ARootIsFound) {
  EXPECT_THAT(find_root(root_).error().context, HasSubstr("no files"));
  Target tree = target();
  ASSERT_TRUE(put(tree, "hooks/prestart", "x"));
  EXPECT_THAT(find_root(root_).error().context, HasSubstr("\"hooks\""));
  ASSERT_TRUE(tree.make_symlink("rootfs", "hooks", mine(0777)));
  EXPECT_FALSE(find_root(root_));
  ASSERT_TRUE(tree.make_directory("rootfs/sbin", mine(0755))) << "through the link";
  EXPECT_FALSE(find_root(root_)) << "a link is not followed";
  fs::remove(root_ + "/rootfs");
  ASSERT_TRUE(tree.make_directory("rootfs/sbin", mine(0755)));
  EXPECT_EQ(*find_root(root_), "rootfs");
  ASSERT_TRUE(tree.make_directory("usr", mine(0755)));
  EXPECT_EQ(*find_root(root_), "");
  fs::remove(root_ + "/usr");
  fs::remove_all(root_ + "/rootfs");
  ASSERT_TRUE(put(tree, "manifest.json", "[]"));
  EXPECT_THAT(find_root(root_).error().context, HasSubstr("skopeo"));
}

}  // namespace
}  // namespace panal::storage::unpack

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench/versions/package_updates.h"
#include "bench/versions/tree_file.h"
#include "bench/versions/weekly.h"
#include "engine/base/tree.h"
#include "tests/support/test_files.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using test::TestFiles;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(PackageList, HasPathsAsTheyLieInAMergedUsr) {
  EXPECT_THAT(parse_package_list("/.\n/usr\n/bin/bash\n/usr/bin/x\n/lib64/ld.so\n/library/y\n"),
              ElementsAre("usr", "usr/bin/bash", "usr/bin/x", "usr/lib64/ld.so", "library/y"));
  // The directory itself is a link there.
  EXPECT_THAT(parse_package_list("/bin\n"), ElementsAre("bin"));
  EXPECT_THAT(parse_package_list("/etc/last"), ElementsAre("etc/last"));
}

TEST(PackageList, PassesOverWhatIsNoPathOfTheTree) {
  for (const std::string& text :
       {std::string(), std::string("\n\n"), std::string("usr/bin/x\n"), std::string("/\n"),
        std::string("/../etc/passwd\n"), std::string("/usr/../../x\n"), std::string("/usr/..\n"),
        std::string("/..\n"), std::string("/usr/a\0b\n", 9), std::string("//\n")})
    EXPECT_THAT(parse_package_list(text), IsEmpty()) << text;
  EXPECT_THAT(parse_package_list("/usr/..x/y\n"), ElementsAre("usr/..x/y"));
}

TEST(DrawnPackages, AreOtherOnesEachWeekAndTheSameAgain) {
  const auto first = draw_packages(300, 4, 1);
  EXPECT_EQ(first.size(), 4U);
  EXPECT_TRUE(std::is_sorted(first.begin(), first.end()));
  EXPECT_EQ(first, draw_packages(300, 4, 1));
  EXPECT_NE(first, draw_packages(300, 4, 2));
  EXPECT_THAT(draw_packages(2, 4, 1), ElementsAre(0U, 1U));
  EXPECT_THAT(draw_packages(0, 4, 1), IsEmpty());
}

class PackageUpdates : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(::mkdtemp(base_.data()), nullptr);
    for (const char* one : {"/root/var/lib/dpkg/info", "/root/usr/bin"})
      ASSERT_TRUE(std::filesystem::create_directories(base_ + one));
    TestFiles::write(base_ + "/root/var/lib/dpkg/info/one:amd64.list",
                     "/.\n/usr\n/bin/one\n/usr/link\n/etc/absent\n/usr/one.gz\n");
    TestFiles::write(base_ + "/root/var/lib/dpkg/info/one:amd64.md5sums", "sums");
    TestFiles::write(base_ + "/root/var/lib/dpkg/info/two.list", "/usr/two\n");
    TestFiles::write(base_ + "/root/var/lib/dpkg/info/two.postinst", "true");
    TestFiles::write(base_ + "/root/var/lib/dpkg/status", std::string(10'000, 's'));
    TestFiles::write(base_ + "/root/usr/bin/one",
                     "\x7f"
                     "ELF" +
                         std::string(9000, 'e'));
    TestFiles::write(base_ + "/root/usr/one.gz", "packed");
    TestFiles::write(base_ + "/root/usr/two", "two");
    ASSERT_EQ(::symlink("/etc/passwd", (root() + "/usr/link").c_str()), 0);
  }
  void TearDown() override { std::filesystem::remove_all(base_); }
  [[nodiscard]] std::string root() const { return base_ + "/root"; }
  [[nodiscard]] std::string text(const std::string& path) const {
    const auto tree = Dir::open(root());
    const auto file = take_file(tree->fd(), path);
    return file && *file ? (*file)->bytes : "none";
  }

  std::string base_ = testing::TempDir() + "panal-versions-XXXXXX";
};

TEST_F(PackageUpdates, AreOfThePackagesThatAreThere) {
  const auto packages = packages_of(root());
  ASSERT_TRUE(packages) << packages.error().message();
  ASSERT_EQ(packages->size(), 2U);
  EXPECT_EQ(packages->front().name, "one:amd64");
  EXPECT_THAT(packages->back().files, ElementsAre("usr/two"));
  EXPECT_EQ(packages_of(base_).error().code, ENOENT);
}

TEST_F(PackageUpdates, ReplaceWhatARebuildMakesAnew) {
  // As the repository has it: the version's file is another name of its own.
  const std::string kept = base_ + "/object";
  ASSERT_EQ(::link((root() + "/usr/bin/one").c_str(), kept.c_str()), 0);
  ASSERT_EQ(::chmod((root() + "/usr/bin/one").c_str(), 04755), 0);
  const auto packages = packages_of(root());
  const auto update = update_packages(root(), *packages, {0}, 7);
  ASSERT_TRUE(update) << update.error().message();
  EXPECT_THAT(update->packages, ElementsAre("one:amd64"));
  EXPECT_THAT(update->written, Contains("usr/bin/one"));
  EXPECT_THAT(update->written, Contains("usr/one.gz"));
  EXPECT_THAT(update->written, Contains("var/lib/dpkg/info/one:amd64.md5sums"));
  EXPECT_THAT(update->written, Contains("var/lib/dpkg/status"));
  EXPECT_THAT(update->written, Not(Contains("usr/link")));
  EXPECT_THAT(update->written, Not(Contains("usr/two")));
  EXPECT_GE(update->changed, 4U);
  EXPECT_LE(update->changed, update->written.size());
  EXPECT_LE(update->changed_bytes, update->written_bytes);

  const std::string now = text("usr/bin/one");
  EXPECT_THAT(now, testing::StartsWith("\x7f"
                                       "ELF"));
  EXPECT_EQ(now.size(), 9004U);
  EXPECT_NE(now,
            "\x7f"
            "ELF" +
                std::string(9000, 'e'));
  struct stat info{};
  ASSERT_EQ(::stat((root() + "/usr/bin/one").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 04755U);
  EXPECT_EQ(info.st_nlink, 1U);
  // The other name's content is what it was.
  ASSERT_EQ(::stat(kept.c_str(), &info), 0);
  EXPECT_EQ(info.st_size, 9004);
  EXPECT_EQ(info.st_nlink, 1U);
  EXPECT_EQ(TestFiles::read(kept),
            "\x7f"
            "ELF" +
                std::string(9000, 'e'));
}

TEST(VersionsTable, SaysWhatWasNotHere) {
  json result = {{"image", {{"name", "icewm 1"}, {"bytes", 300 << 20}, {"packages", 200}}},
                 {"count", 100},
                 {"packages_each_week", 4},
                 {"update_mib", {{"written", 5.0}, {"changed", 4.0}}},
                 {"repository", {{"mib", 700.0}, {"trees_mib", 100.0}, {"archive_mib", 250.0}}},
                 {"tarballs", {{"gz_mib", 10000.0}, {"zst_mib", 9000.0}}},
                 {"qcow2", {{"skipped", "no qemu-img"}}},
                 {"to_repository", {{"tarballs_gz", 40.0}, {"tarballs_zst", 36.0}}}};
  EXPECT_THAT(versions_table(result), HasSubstr("| qcow2 chain | not here: no qemu-img | |"));
  EXPECT_THAT(versions_table(result), HasSubstr("| tarballs, gzip -6 | 10000 | 40.00x |"));
  EXPECT_THAT(versions_table(result), HasSubstr("trees | 800 |"));
  result["qcow2"] = {{"mib", 1600.0}};
  result["to_repository"]["qcow2"] = 2.0;
  EXPECT_THAT(versions_table(result), HasSubstr("| qcow2 chain | 1600 | 2.00x |"));
}

}  // namespace
}  // namespace panal::bench

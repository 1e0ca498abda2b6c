#include "storage/lint/repair.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/base/file_tree.h"

namespace panal::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A version's tree, what a desktop has written over it, and a store. Of whoever runs the tests:
/// owners are looked at in tests/system/storage.
class LintTreesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "lint.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
    fs::create_directories(root());
    fs::create_directories(upper());
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(dir_)); }

  [[nodiscard]] std::string root() const { return dir_ + "/root"; }
  [[nodiscard]] std::string upper() const { return dir_ + "/upper"; }
  static void put(const std::string& file, const std::string& text) {
    fs::create_directories(fs::path(file).parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  static std::string get(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  static struct stat stat_of(const std::string& file) {
    struct stat info{};
    EXPECT_EQ(::lstat(file.c_str(), &info), 0) << file;
    return info;
  }
  [[nodiscard]] LintTree image(const ScanBudget& budget = {}) const {
    auto tree = scan_image(root(), budget, {});
    EXPECT_TRUE(tree) << tree.error().message();
    return tree.value_or(LintTree{});
  }
  [[nodiscard]] LintTree desktop(const ScanBudget& budget = {}) const {
    auto tree = scan_desktop(upper(), root(), budget, {});
    EXPECT_TRUE(tree) << tree.error().message();
    return tree.value_or(LintTree{});
  }

  std::string dir_;
};

std::string old_pyc(const std::string& code) {
  return std::string("\xa7\x0d\x0d\x0a\0\0\0\0\1\2\3\4", 12) + std::string("\5\0\0\0", 4) + code;
}

TEST_F(LintTreesTest, EqualFilesAreFoundByContentModeAndPlace) {
  const std::string text(10'000, 'x');
  for (const char* path : {"/usr/share/a", "/usr/share/b", "/usr/lib/c", "/etc/d", "/usr/share/e"})
    put(root() + path, text);
  ASSERT_EQ(::chmod((root() + "/usr/share/e").c_str(), 0755), 0);
  put(root() + "/usr/share/f", std::string(10'000, 'y'));
  put(root() + "/usr/share/small", "x");
  put(root() + "/usr/share/small2", "x");
  fs::create_hard_link(root() + "/usr/share/a", root() + "/usr/share/g");
  const LintTree tree = image();
  EXPECT_EQ(tree.cut_short, "");
  ASSERT_THAT(tree.equal, SizeIs(1));
  std::vector<std::string> names;
  for (const std::size_t index : tree.equal[0]) names.push_back(tree.files[index].path);
  EXPECT_THAT(names, ElementsAre("/usr/lib/c", "/usr/share/a", "/usr/share/b", "/usr/share/g"));
}

TEST_F(LintTreesTest, ABudgetCutsALookShortAndSaysSo) {
  for (int i = 0; i < 20; ++i)
    put(root() + "/usr/share/f" + std::to_string(i), std::string(8192, 'x'));
  ScanBudget budget;
  budget.most_files = 5;
  EXPECT_THAT(image(budget).cut_short, HasSubstr("more than 5 files"));
  EXPECT_THAT(image(budget).files, SizeIs(5));
  budget = {};
  budget.most_read_bytes = 200'000;
  EXPECT_THAT(image(budget).cut_short, HasSubstr("compared"));
  budget = {};
  budget.most_time = std::chrono::seconds(0);
  EXPECT_THAT(image(budget).cut_short, HasSubstr("longer than 0 s"));
  const std::atomic<bool> cancelled{true};
  budget = {};
  budget.cancelled = &cancelled;
  EXPECT_EQ(scan_image(root(), budget, {}).error().code, ECANCELED);
  EXPECT_EQ(scan_image(root() + "/gone", {}, {}).error().code, ENOENT);
  EXPECT_EQ(scan_desktop(upper(), root() + "/gone", {}, {}).error().code, ENOENT);
}

TEST_F(LintTreesTest, WhatADesktopHasWrittenIsComparedWithTheVersion) {
  const std::string library = "\177ELF" + std::string(300'000, 'x');
  for (const char* path : {"/usr/lib/same.so", "/usr/lib/other.so", "/usr/lib/longer.so"})
    put(root() + path, library);
  put(upper() + "/usr/lib/same.so", library);
  put(upper() + "/usr/lib/other.so", "\177ELF" + std::string(299'999, 'x') + "y");
  put(upper() + "/usr/lib/longer.so", library + "z");
  put(upper() + "/usr/lib/new.so", library);
  ASSERT_EQ(::mkfifo((upper() + "/fifo").c_str(), 0600), 0);
  fs::create_symlink("/etc/shadow", upper() + "/link");
  // A link in the version is no file to compare with.
  put(upper() + "/usr/bin/sh", library);
  fs::create_directories(root() + "/usr/bin");
  fs::create_symlink("/usr/lib/same.so", root() + "/usr/bin/sh");
  const LintTree tree = desktop();
  const auto below = [&tree](const std::string& path) {
    const LintFile* file = tree.find(path);
    return file == nullptr ? -1 : static_cast<int>(file->below);
  };
  EXPECT_THAT(tree.files, SizeIs(5));
  EXPECT_EQ(below("/usr/lib/same.so"), static_cast<int>(LintBelow::kSame));
  EXPECT_EQ(below("/usr/lib/other.so"), static_cast<int>(LintBelow::kOther));
  EXPECT_EQ(below("/usr/lib/longer.so"), static_cast<int>(LintBelow::kOther));
  EXPECT_EQ(below("/usr/lib/new.so"), static_cast<int>(LintBelow::kNone));
  EXPECT_EQ(below("/usr/bin/sh"), static_cast<int>(LintBelow::kNone));
  EXPECT_TRUE(tree.find("/usr/lib/new.so")->elf);
  ScanBudget budget;
  budget.most_read_bytes = 1;
  const LintTree cut = desktop(budget);
  EXPECT_THAT(cut.cut_short, HasSubstr("compared"));
  EXPECT_EQ(static_cast<int>(cut.find("/usr/lib/same.so")->below),
            static_cast<int>(LintBelow::kNotCompared));
}

TEST_F(LintTreesTest, ATreeTooDeepToEnterIsCutShort) {
  std::string path = upper();
  for (int i = 0; i < 80; ++i) path += "/d";
  put(path + "/x", "x");
  EXPECT_THAT(desktop().cut_short, HasSubstr("too deep"));
}

TEST_F(LintTreesTest, ACopyIsTheSameTree) {
  put(root() + "/usr/bin/a", "program");
  ASSERT_EQ(::chmod((root() + "/usr/bin/a").c_str(), 0555), 0);
  fs::create_hard_link(root() + "/usr/bin/a", root() + "/usr/bin/b");
  fs::create_symlink("../x", root() + "/usr/link");
  put(root() + "/empty", "");
  put(root() + "/big", std::string(3'000'000, 'x'));
  const timespec times[2] = {{5, 0}, {7, 9}};
  for (const char* path : {"/usr/bin", "/usr/link", "/empty"})
    ASSERT_EQ(::utimensat(AT_FDCWD, (root() + path).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  const std::string copy = dir_ + "/copy";
  fs::create_directories(copy);
  const auto copied = copy_image_tree(root(), copy, nullptr, {});
  ASSERT_TRUE(copied) << copied.error().message();
  EXPECT_EQ(get(copy + "/usr/bin/a"), "program");
  EXPECT_EQ(get(copy + "/big"), get(root() + "/big"));
  EXPECT_EQ(stat_of(copy + "/usr/bin/a").st_mode & 07777U, 0555U);
  EXPECT_EQ(stat_of(copy + "/usr/bin/a").st_ino, stat_of(copy + "/usr/bin/b").st_ino);
  EXPECT_NE(stat_of(copy + "/usr/bin/a").st_ino, stat_of(root() + "/usr/bin/a").st_ino);
  EXPECT_EQ(fs::read_symlink(copy + "/usr/link"), "../x");
  for (const char* path : {"/usr/bin", "/usr/link", "/empty"}) {
    EXPECT_EQ(stat_of(copy + path).st_mtim.tv_sec, 7) << path;
    EXPECT_EQ(stat_of(copy + path).st_mtim.tv_nsec, 9) << path;
  }
  ASSERT_EQ(::mkfifo((root() + "/fifo").c_str(), 0600), 0);
  fs::create_directories(dir_ + "/second");
  EXPECT_EQ(copy_image_tree(root(), dir_ + "/second", nullptr, {}).error().code, EPERM);
  const std::atomic<bool> cancelled{true};
  fs::create_directories(dir_ + "/third");
  EXPECT_EQ(copy_image_tree(root(), dir_ + "/third", &cancelled, {}).error().code, ECANCELED);
}

TEST_F(LintTreesTest, RepairsAreCarriedOutOnlyOnWhatIsAsItWas) {
  const std::string text(9000, 'x');
  put(root() + "/usr/a", text);
  put(root() + "/usr/b", text);
  put(root() + "/usr/changed", text + "y");
  put(root() + "/usr/__pycache__/m.cpython-311.pyc", old_pyc("code"));
  put(root() + "/usr/__pycache__/n.cpython-311.pyc", "no header");
  put(root() + "/var/log/x", "log");
  put(dir_ + "/outside", "kept");
  fs::create_directory_symlink(dir_, root() + "/out");
  const auto done =
      repair_tree(root(), {{LintRepair::kRemove, "/var/log/x", {}},
                           {LintRepair::kRemove, "/var/log/gone", {}},
                           {LintRepair::kRemove, "/out/outside", {}},
                           {LintRepair::kRemove, "/var/log", {}},
                           {LintRepair::kTrustPyc, "/usr/__pycache__/m.cpython-311.pyc", {}},
                           {LintRepair::kTrustPyc, "/usr/__pycache__/n.cpython-311.pyc", {}},
                           {LintRepair::kLink, "/usr/b", "/usr/a"},
                           {LintRepair::kLink, "/usr/changed", "/usr/a"},
                           {LintRepair::kLink, "/usr/a", "/out/outside"},
                           {LintRepair::kNone, "/usr/a", {}}});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(*done, 3U);
  EXPECT_FALSE(fs::exists(root() + "/var/log/x"));
  EXPECT_TRUE(fs::exists(root() + "/var/log"));
  EXPECT_EQ(get(dir_ + "/outside"), "kept");
  EXPECT_EQ(stat_of(root() + "/usr/a").st_ino, stat_of(root() + "/usr/b").st_ino);
  EXPECT_EQ(get(root() + "/usr/changed"), text + "y");
  const std::string pyc = get(root() + "/usr/__pycache__/m.cpython-311.pyc");
  const auto header = parse_pyc_header(pyc);
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->by_hash && !header->checks_source);
  EXPECT_EQ(pyc.substr(16), "code");
  EXPECT_EQ(get(root() + "/usr/__pycache__/n.cpython-311.pyc"), "no header");
  for (const auto& entry : fs::directory_iterator(root() + "/usr"))
    EXPECT_NE(entry.path().filename(), ".panal-link");
}

TEST_F(LintTreesTest, ARepairedVersionIsANewOneAndTheFormerStays) {
  ImageStore store(dir_ + "/images");
  const auto staging = store.new_staging("icewm");
  ASSERT_TRUE(staging) << staging.error().message();
  const std::string text(9000, 'x');
  put(*staging + "/root/usr/share/a", text);
  put(*staging + "/root/usr/share/b", text);
  put(*staging + "/root/var/log/dpkg.log", "installed");
  VersionManifest manifest;
  manifest.image = "icewm";
  manifest.recipe_digest = "abc";
  manifest.session = {"icewm-session"};
  manifest.size_bytes = 18'009;
  const auto first = store.commit(*staging, manifest);
  ASSERT_TRUE(first) << first.error().message();
  const std::string former = store.root_of("icewm", first->version);
  const auto tree = scan_image(former, {}, {});
  ASSERT_TRUE(tree);
  const auto steps = lint_repairs(*tree);
  EXPECT_THAT(steps, Contains(LintStep{LintRepair::kRemove, "/var/log/dpkg.log", {}}));

  const auto made = repair_version(store, *first, steps, nullptr, {});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_NE(made->version, first->version);
  EXPECT_EQ(made->session, first->session);
  EXPECT_EQ(made->recipe_digest, "") << "the recipe makes the former";
  EXPECT_EQ(made->size_bytes, 9000U);
  const std::string next = store.root_of("icewm", made->version);
  EXPECT_FALSE(fs::exists(next + "/var/log/dpkg.log"));
  EXPECT_EQ(stat_of(next + "/usr/share/a").st_ino, stat_of(next + "/usr/share/b").st_ino);
  EXPECT_EQ(get(former + "/var/log/dpkg.log"), "installed");
  const auto again = scan_image(next, {}, {});
  ASSERT_TRUE(again);
  EXPECT_THAT(lint_tree(*again), IsEmpty());
  VersionManifest none = *first;
  none.version = "7";
  EXPECT_EQ(repair_version(store, none, {}, nullptr, {}).error().code, ENOENT);
  EXPECT_TRUE(!fs::exists(dir_ + "/images/.staging") || fs::is_empty(dir_ + "/images/.staging"));
}

}  // namespace
}  // namespace panal::storage

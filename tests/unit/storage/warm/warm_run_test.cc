#include "storage/warm/warm_run.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/base/file_tree.h"
#include "engine/base/open_beneath.h"
#include "storage/warm/record.h"
#include "storage/warm/residency.h"

namespace panal::storage {
namespace {

namespace fs = std::filesystem;

/// A small tree. What is in the page cache is the machine's affair: tests/system/storage evicts.
class WarmRunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = ::testing::TempDir() + "warm.XXXXXX";
    ASSERT_NE(::mkdtemp(root_.data()), nullptr);
    fs::create_directories(root_ + "/usr/bin");
    write("/usr/bin/a", 10 * page_);
    write("/usr/bin/b", 3 * page_ + 1);
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(root_)); }

  void write(const std::string& path, std::uint64_t bytes) {
    std::ofstream(root_ + path) << std::string(bytes, 'x');
  }
  [[nodiscard]] HotPages record(std::vector<HotFile> files) const {
    HotPages pages;
    pages.page_bytes = static_cast<std::uint32_t>(page_);
    pages.files = std::move(files);
    return pages;
  }
  [[nodiscard]] WarmReport warm(HotPages pages, std::uint64_t most = UINT64_MAX,
                                std::uint64_t step = 1 << 20) const {
    auto run = WarmRun::begin(root_, std::move(pages), most);
    EXPECT_TRUE(run) << run.error().message();
    double before = 0;
    for (int i = 0; i < 1000 && !run->done(); ++i) {
      (void)run->step(step);
      EXPECT_GE(run->fraction(), before);
      before = run->fraction();
    }
    EXPECT_TRUE(run->done());
    EXPECT_EQ(run->fraction(), 1);
    return run->report();
  }

  std::string root_;
  std::uint64_t page_ = kernel_page_bytes();
};

TEST_F(WarmRunTest, WhatIsRecordedIsThereAfterwards) {
  const WarmReport report = warm(record(
      {{"/usr/bin/a", 10 * page_, {{0, 2}, {5, 3}}}, {"/usr/bin/b", 3 * page_ + 1, {{3, 1}}}}));
  EXPECT_EQ(report.hot_bytes, 6 * page_);
  EXPECT_EQ(report.resident_bytes + report.read_bytes, 6 * page_);
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(report.missing_files + report.failed_files, 0U);
  const auto recorded = record_hot_pages(root_, nullptr);
  ASSERT_TRUE(recorded) << recorded.error().message();
  EXPECT_GE(recorded->bytes(), 6 * page_);
  EXPECT_EQ(recorded->files.size(), 2U);
  EXPECT_EQ(warm(*recorded).read_bytes, 0U);
}

TEST_F(WarmRunTest, ARecordOfAnotherVersionIsTakenAsFarAsItFits) {
  const WarmReport report = warm(record({{"/usr/bin/a", 90 * page_, {{8, 80}}},
                                         {"/usr/bin/b", 90 * page_, {{50, 2}}},
                                         {"/usr/bin/gone", page_, {{0, 1}}}}));
  EXPECT_EQ(report.hot_bytes, 2 * page_);
  EXPECT_EQ(report.missing_files, 1U);
  EXPECT_TRUE(report.complete);
}

TEST_F(WarmRunTest, PagesOfAnotherSizeAreTheSameBytes) {
  HotPages pages = record({{"/usr/bin/a", 10 * page_, {{0, 1}}}});
  pages.page_bytes = static_cast<std::uint32_t>(page_ * 4);
  EXPECT_EQ(warm(pages).hot_bytes, 4 * page_);
}

TEST_F(WarmRunTest, EndsAtItsBudget) {
  const HotPages pages =
      record({{"/usr/bin/a", 10 * page_, {{0, 10}}}, {"/usr/bin/b", 3 * page_ + 1, {{0, 4}}}});
  const WarmReport none = warm(pages, page_ - 1);
  EXPECT_EQ(none.hot_bytes, 0U);
  EXPECT_FALSE(none.complete);
  const WarmReport cut = warm(pages, 7 * page_ + 5);
  EXPECT_EQ(cut.hot_bytes, 7 * page_);
  EXPECT_FALSE(cut.complete);
  EXPECT_TRUE(warm(pages, 14 * page_).complete);
}

TEST_F(WarmRunTest, NoLinkIsFollowedAndNothingBesideAFileIsRead) {
  const std::string outside = root_ + ".outside";
  std::ofstream(outside) << std::string(page_, 'x');
  fs::create_symlink(outside, root_ + "/usr/bin/link");
  fs::create_directory_symlink("/usr", root_ + "/usr/lib");
  ASSERT_EQ(::mkfifo((root_ + "/usr/bin/fifo").c_str(), 0600), 0);
  const WarmReport report = warm(record({{"/usr/bin", page_, {{0, 1}}},
                                         {"/usr/bin/fifo", page_, {{0, 1}}},
                                         {"/usr/bin/link", page_, {{0, 1}}},
                                         {"/usr/lib/x", page_, {{0, 1}}}}));
  EXPECT_EQ(report.missing_files, 4U);
  EXPECT_EQ(report.hot_bytes, 0U);
  fs::remove(outside);

  const UniqueFd top(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(open_beneath(top.get(), "/usr/bin/link").error().code, ELOOP);
  EXPECT_EQ(open_beneath(top.get(), "/usr/bin/fifo").error().code, EINVAL);
  EXPECT_EQ(open_beneath(top.get(), "../x").error().code, EXDEV);
  EXPECT_EQ(open_beneath(top.get(), "/").error().code, EINVAL);
  EXPECT_EQ(open_beneath(top.get(), "/usr/bin/gone").error().code, ENOENT);
}

TEST_F(WarmRunTest, AFileOfTwoNamesIsRecordedOnce) {
  fs::create_hard_link(root_ + "/usr/bin/a", root_ + "/usr/bin/again");
  (void)warm(record({{"/usr/bin/a", 10 * page_, {{0, 10}}}}));
  const auto recorded = record_hot_pages(root_, nullptr);
  ASSERT_TRUE(recorded);
  EXPECT_LE(recorded->bytes(), 14 * page_);
}

TEST_F(WarmRunTest, LooksAtATreeUntilItIsCancelled) {
  const std::atomic<bool> cancelled{true};
  EXPECT_EQ(record_hot_pages(root_, &cancelled).error().code, ECANCELED);
  EXPECT_EQ(cool_tree(root_, &cancelled).error().code, ECANCELED);
  EXPECT_EQ(record_hot_pages(root_ + "/gone", nullptr).error().code, ENOENT);
  EXPECT_TRUE(cool_tree(root_, nullptr));
}

}  // namespace
}  // namespace panal::storage

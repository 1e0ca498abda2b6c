#include "runtime/optimiser/hot_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "runtime/optimiser/hot_book.h"
#include "runtime/optimiser/wake_plan.h"
#include "tests/unit/engine/kernel/fixture_tree.h"

namespace panal::optimiser {
namespace {

using kernel::AddressRange;

HotMemory example() {
  return {{{42, 9000, true, {{0x5000, 0x1000}, {0x7f0000000000, 0x20000}}},
           {43, 9001, false, {{0x10000, 0x3000}}}}};
}

TEST(HotMemory, IsTheSameAfterPrintingAndParsing) {
  const SavedHotMemory saved{"3f-boot", example()};
  const auto parsed = parse_hot_memory(print_hot_memory(saved));
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(*parsed, saved);
  EXPECT_EQ(saved.hot.ranges(), 3U);
  EXPECT_EQ(saved.hot.bytes(), 0x1000U + 0x20000 + 0x3000);
  EXPECT_EQ(parse_hot_memory("panal-hot-1 b\n")->hot, HotMemory{}) << "nobody touched anything";
}

TEST(HotMemory, MalformedTablesAreErrors) {
  const std::string head = "panal-hot-1 boot\n";
  const std::string process = head + "process 42 9000 display\n";
  const std::pair<const char*, std::string> cases[] = {
      {"nothing", ""},
      {"another format", "panal-hot-2 boot\n"},
      {"no boot", "panal-hot-1\n"},
      {"words behind the boot", "panal-hot-1 a b\n"},
      {"a range of nobody", head + "1000 1000\n"},
      {"no number", head + "process x 9000 display\n"},
      {"process 0", head + "process 0 9000 display\n"},
      {"a negative process", head + "process -1 9000 display\n"},
      {"a process too large", head + "process 4294967296 9000 display\n"},
      {"a time that overflows", head + "process 42 99999999999999999999 display\n"},
      {"another kind", head + "process 42 9000 panel\n"},
      {"a word too few", head + "process 42 9000\n"},
      {"a word too many", head + "process 42 9000 display x\n"},
      {"an empty line", process + "\n1000 1000\n"},
      {"half a page", process + "1000 800\n"},
      {"not at a page", process + "1001 1000\n"},
      {"no bytes", process + "1000 0\n"},
      {"no end", process + "1000\n"},
      {"three numbers", process + "1000 1000 1000\n"},
      {"0x", process + "0x1000 1000\n"},
      {"the kernel's half", process + "ffff800000000000 1000\n"},
      {"over the end", process + "7ffffffff000 2000\n"},
      {"a length that wraps around", process + "1000 fffffffffffff000\n"},
      {"out of order", process + "4000 1000\n1000 1000\n"},
      {"one over the other", process + "1000 2000\n2000 1000\n"},
  };
  for (const auto& [what, text] : cases) {
    const auto parsed = parse_hot_memory(text);
    ASSERT_FALSE(parsed) << what;
    EXPECT_EQ(parsed.error().code, EPROTO) << what;
  }
}

TEST(HotMemory, TablesLargerThanTheirBoundsAreErrors) {
  std::string ranges = "panal-hot-1 boot\nprocess 42 9000 other\n";
  for (std::size_t i = 0; i < kMostHotRanges; ++i)
    ranges += std::to_string(100 + 2 * i) + "000 1000\n";
  EXPECT_TRUE(parse_hot_memory(ranges));
  EXPECT_FALSE(parse_hot_memory(ranges + "7f0000000000 1000\n"));
  EXPECT_FALSE(parse_hot_memory(ranges + "process 43 9000 other\n1000 1000\n")) << "in all";
  std::string processes = "panal-hot-1 boot\n";
  for (std::size_t i = 1; i <= kMostHotProcesses; ++i)
    processes += "process " + std::to_string(i) + " 1 other\n";
  EXPECT_TRUE(parse_hot_memory(processes));
  EXPECT_FALSE(parse_hot_memory(processes + "process 9999 1 other\n"));
}

TEST(HotRecord, TellsNothingWhenMostWasNeverPagedOut) {
  HotRecord record;
  record.complete = true;
  record.hot_bytes = 4096;
  EXPECT_FALSE(record.tells()) << "nothing is out";
  record.swapped_bytes = 8192;
  EXPECT_TRUE(record.tells());
  record.complete = false;
  EXPECT_FALSE(record.tells());
  record = {};
  record.complete = true;
  record.swapped_bytes = 8192;
  EXPECT_FALSE(record.tells()) << "nobody came back";
}

TEST(WakePlan, FetchesWhatIsKnownAndElseWhatDraws) {
  const auto known = std::make_shared<const HotMemory>(example());
  const WakePlan by_ranges = plan_wake(Prefetch::kRecorded, known, 0);
  EXPECT_EQ(by_ranges.hot, known);
  ASSERT_EQ(by_ranges.ranges.before_thaw.size(), 2U);
  EXPECT_EQ(by_ranges.ranges.before_thaw[0], (MemoryRange{42, 0x5000, 0x1000}));
  ASSERT_EQ(by_ranges.ranges.after_thaw.size(), 1U);
  EXPECT_EQ(by_ranges.ranges.after_thaw[0].pid, 43);
  EXPECT_FALSE(plan_wake(Prefetch::kRecorded, nullptr, 0).hot);
  EXPECT_TRUE(plan_wake(Prefetch::kRecorded, nullptr, 0).fetches);
  EXPECT_FALSE(plan_wake(Prefetch::kRecorded, nullptr, 0).fetches_rest);
  EXPECT_TRUE(plan_wake(Prefetch::kDrawing, nullptr, 0).fetches_rest);
  EXPECT_FALSE(plan_wake(Prefetch::kDrawing, known, 0).hot);
  EXPECT_FALSE(plan_wake(Prefetch::kNothing, known, 0).fetches);
  for (const Prefetch one : {Prefetch::kRecorded, Prefetch::kDrawing, Prefetch::kNothing})
    EXPECT_EQ(parse_prefetch(to_string(one)), one);
  EXPECT_FALSE(parse_prefetch("everything"));
}

class HotBookTest : public ::testing::Test {
 protected:
  HotBookTest()
      : fixture_(kernel::FixtureFiles{
            {"proc/42/stat", "42 (nxagent) S 1 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9000 0 0\n"},
            {"proc/sys/kernel/random/boot_id", "this-boot\n"}}),
        tree_(fixture_.tree()),
        directory_(::testing::TempDir() + "panal-hot-" + std::to_string(::getpid())) {
    std::filesystem::remove_all(directory_);
  }
  ~HotBookTest() override { std::filesystem::remove_all(directory_); }
  void put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(directory_);
    std::ofstream(directory_ + "/" + name) << text;
  }
  bool has(const std::string& name) const {
    return std::filesystem::exists(directory_ + "/" + name);
  }

  kernel::FixtureTree fixture_;
  Tree tree_;
  std::string directory_;
};

TEST_F(HotBookTest, ANewPanaldKnowsWhatTheFormerOneKept) {
  {
    HotBook book(tree_, directory_);
    ASSERT_TRUE(book.load()) << "a directory that is not there yet is no error";
    EXPECT_FALSE(book.find(7));
    ASSERT_TRUE(book.keep(7, HotMemory{}));
    ASSERT_TRUE(book.keep(7, example())) << "what is newer counts";
  }
  HotBook book(tree_, directory_);
  ASSERT_TRUE(book.load());
  ASSERT_TRUE(book.find(7));
  EXPECT_EQ(*book.find(7), example());
  EXPECT_FALSE(has("7.new"));
  book.forget(7);
  EXPECT_FALSE(book.find(7));
  EXPECT_FALSE(has("7"));
}

TEST_F(HotBookTest, WhatIsDamagedOrOfOthersIsRemoved) {
  SavedHotMemory saved{"this-boot", example()};
  put("1", print_hot_memory(saved));
  put("2", "panal-hot-1 this-boot\nprocess 42 9000 display\n1 2 3\n");
  saved.boot = "former-boot";
  put("3", print_hot_memory(saved));
  saved.boot = "this-boot";
  saved.hot.processes[0].started = 8999;
  put("4", print_hot_memory(saved));
  put("5.new", "half");
  put("6", std::string(200 << 10, 'x'));
  HotBook book(tree_, directory_);
  ASSERT_TRUE(book.load());
  EXPECT_TRUE(book.find(1));
  for (const DesktopId id : {2, 3, 4, 6}) {
    EXPECT_FALSE(book.find(id)) << id;
    EXPECT_FALSE(has(std::to_string(id))) << id;
  }
  EXPECT_FALSE(has("5.new"));
  EXPECT_TRUE(has("1"));
}

TEST_F(HotBookTest, WithoutADirectoryItIsInMemoryOnly) {
  HotBook book(tree_, "");
  ASSERT_TRUE(book.load());
  ASSERT_TRUE(book.keep(7, example()));
  EXPECT_TRUE(book.find(7));
  book.forget(7);
  EXPECT_FALSE(book.find(7));
}

TEST_F(HotBookTest, WhatCannotBeWrittenIsKnownAllTheSame) {
  std::ofstream(directory_) << "a file where the directory should be";
  HotBook book(tree_, directory_);
  const auto kept = book.keep(7, example());
  ASSERT_FALSE(kept);
  EXPECT_NE(kept.error().code, 0);
  EXPECT_TRUE(book.find(7));
}

}  // namespace
}  // namespace panal::optimiser

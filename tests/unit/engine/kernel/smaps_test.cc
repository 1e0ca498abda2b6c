#include "engine/kernel/smaps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/kernel/group_processes.h"
#include "tests/unit/engine/kernel/fixture_tree.h"
#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

const char* const kRollup =
    "559308d59000-7ffec71ff000 ---p 00000000 00:00 0                          [rollup]\n"
    "Rss:                1632 kB\nPss:                 241 kB\nPss_Dirty:           112 kB\n"
    "Pss_Anon:            100 kB\nPss_File:            129 kB\nPss_Shmem:            12 kB\n"
    "Anonymous:           110 kB\nKSM:                   8 kB\nSwap:                 20 kB\n"
    "SwapPss:              10 kB\nLocked:                0 kB\n";

const char* const kSmaps =
    "00400000-00402000 r-xp 00000000 fd:00 12 /usr/bin/odd: name\n"
    "Size:                  8 kB\nRss:                   8 kB\nAnonymous:             0 kB\n"
    "Swap:                  0 kB\nTHPeligible:           0\nVmFlags: rd ex mr mw me \n"
    "01000000-01800000 rw-p 00000000 00:00 0                  [heap]\n"
    "Size:               8192 kB\nRss:                 400 kB\nAnonymous:           400 kB\n"
    "KSM:                  40 kB\nSwap:                100 kB\nSwapPss:              50 kB\n"
    "VmFlags: rd wr mr mw me ac \n"
    "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
    "Rss:                   4 kB\nAnonymous:             4 kB\nVmFlags: rd wr lo \n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]\n"
    "Rss:                   0 kB\nAnonymous:             0 kB\nVmFlags: ex \n";

const MemoryMapping kHeap{0x1000000, 8 << 20, 400 << 10, 400 << 10, 100 << 10, 40 << 10, false};
const MemoryMapping kLocked{0x7f0000000000, 4096, 4096, 4096, 0, 0, true};

SmapsBudget plenty() { return {.deadline = std::chrono::steady_clock::now() + 1h}; }

TEST(SmapsRollup, ReadsSums) {
  const auto rollup = parse_smaps_rollup(kRollup);
  ASSERT_TRUE(rollup) << rollup.error().message();
  constexpr std::uint64_t kKib = 1024;
  const SmapsRollup wanted{.rss = 1632 * kKib,
                           .pss = 241 * kKib,
                           .pss_anon = 100 * kKib,
                           .pss_file = 129 * kKib,
                           .pss_shmem = 12 * kKib,
                           .pss_dirty = 112 * kKib,
                           .anon = 110 * kKib,
                           .swap = 20 * kKib,
                           .swap_pss = 10 * kKib,
                           .ksm = 8 * kKib};
  EXPECT_EQ(*rollup, wanted);
  SmapsRollup sum = wanted;
  add(sum, wanted);
  EXPECT_EQ(sum.pss, 2 * wanted.pss);
  EXPECT_EQ(sum.ksm, 2 * wanted.ksm);
}

TEST(SmapsRollup, RefusesMalformedText) {
  EXPECT_EQ(code(parse_smaps_rollup("Rss: 1 kB\nPss: 1 kB\nNew one: x\n")), 0);
  for (const char* text :
       {"", "Rss: 1 kB\n", "Pss: 1 kB\n", "Rss: 1 kB\nPss:", "Rss: 1 kB\nPss: kB\n",
        "Rss: 1 kB\nPss: 4 MB\n", "Rss: 1 kB\nPss: -4 kB\n", "Rss: 1 kB\nPss: 4\n",
        "Rss: 18446744073709551615 kB\nPss: 4 kB\n", "Rss: 1 kB\nPss: 1 kB\nSwap: 1 kB 2\n"})
    EXPECT_EQ(code(parse_smaps_rollup(text)), EPROTO) << text;
}

TEST(SmapsParser, ReadsTextCutAnywhere) {
  const std::string text = kSmaps;
  for (std::size_t size = 1; size < text.size(); size = size * 2 + 1) {
    SmapsParser parser;
    std::vector<MemoryMapping> mappings;
    for (std::size_t at = 0; at < text.size(); at += size) {
      const auto fed = parser.feed(std::string_view(text).substr(at, size));
      ASSERT_TRUE(fed) << fed.error().message();
      for (const MemoryMapping& one : parser.take()) mappings.push_back(one);
    }
    ASSERT_TRUE(parser.finish());
    for (const MemoryMapping& one : parser.take()) mappings.push_back(one);
    ASSERT_EQ(mappings.size(), 4U) << size;
    EXPECT_EQ(mappings[0].rss, 8192U);
    EXPECT_EQ(mappings[1], kHeap);
    EXPECT_EQ(mappings[2], kLocked);
    EXPECT_EQ(mappings[3].start, 0xffffffffff600000U);
  }
}

TEST(SmapsParser, RefusesMalformedText) {
  const std::string range = "1000-2000 rw-p 0 00:00 0\n";
  for (const std::string& text :
       {std::string("Rss: 4 kB\n"), std::string("1000 rw-p\n"), std::string("1000-x rw-p\n"),
        std::string("2000-1000 rw-p\n"), std::string("-\n"), std::string("\n"),
        std::string("10000000000000000-20000000000000000 rw-p\n"), range + "Rss: 4\n",
        range + "Rss: x kB\n", range + "Swap: 18446744073709551615 kB\n", range + "what is this\n",
        std::string(40000, 'x')}) {
    SmapsParser parser;
    EXPECT_EQ(code(parser.feed(text)), EPROTO) << text.substr(0, 80);
  }
  SmapsParser parser;
  ASSERT_TRUE(parser.feed(range + "Rss: 4 k"));
  EXPECT_EQ(code(parser.finish()), EPROTO) << "half a line";
}

TEST(SmapsWalk, KeepsMappingsWithAnonymousMemory) {
  const FixtureTree fixture({{"proc/42/smaps", kSmaps}, {"proc/43/smaps", ""}});
  const Tree tree = fixture.tree();
  const auto walk = walk_smaps(tree, 42, plenty());
  ASSERT_TRUE(walk) << walk.error().message();
  EXPECT_TRUE(walk->complete);
  EXPECT_EQ(walk->text_bytes, std::string_view(kSmaps).size());
  EXPECT_THAT(walk->mappings, ElementsAre(kHeap, kLocked));
  SmapsBudget large = plenty();
  large.least_bytes = 500 << 10;
  EXPECT_THAT(walk_smaps(tree, 42, large)->mappings, ElementsAre(kHeap)) << "anon and swap count";
  EXPECT_EQ(code(walk_smaps(tree, 43, plenty())), ESRCH) << "a zombie";
  EXPECT_EQ(code(walk_smaps(tree, 44, plenty())), ENOENT);
}

TEST(SmapsWalk, StopsAtItsBudgetAndGoesOn) {
  std::string text;
  for (std::uint64_t i = 1; i <= 2000; ++i) {
    char line[128];
    std::snprintf(line, sizeof line, "%lx-%lx rw-p 0 00:00 0\nRss: 4 kB\nAnonymous: 4 kB\n",
                  i * 8192, i * 8192 + 4096);
    text += line;
  }
  const FixtureTree fixture({{"proc/42/smaps", text}});
  const Tree tree = fixture.tree();
  SmapsBudget budget = plenty();
  budget.text_bytes = 40000;
  const auto first = walk_smaps(tree, 42, budget);
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_FALSE(first->complete);
  ASSERT_FALSE(first->mappings.empty());
  ASSERT_LT(first->mappings.size(), 2000U);
  EXPECT_EQ(first->next_address, first->mappings.back().start + first->mappings.back().bytes);
  SmapsBudget rest = plenty();
  rest.from_address = first->next_address;
  const auto second = walk_smaps(tree, 42, rest);
  ASSERT_TRUE(second && second->complete);
  EXPECT_EQ(first->mappings.size() + second->mappings.size(), 2000U);
  EXPECT_EQ(second->mappings.front().start, first->mappings.back().start + 8192);

  SmapsBudget late = plenty();
  late.deadline = std::chrono::steady_clock::now() - 1s;
  const auto nothing = walk_smaps(tree, 42, late);
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(nothing->complete);
  EXPECT_EQ(nothing->text_bytes, 0U);
}

TEST(GroupProcesses, AddsUpWhoIsThere) {
  const FixtureTree fixture({{"proc/1/smaps_rollup", kRollup},
                             {"proc/1/ksm_stat", "ksm_rmap_items 5\nksm_merging_pages 2\n"},
                             {"proc/2/smaps_rollup", ""},  // a zombie
                             {"proc/4/smaps_rollup", kRollup}});
  const Tree tree = fixture.tree();
  const std::vector<pid_t> pids = {1, 2, 3, 4};
  const auto read = read_group_processes(tree, pids, {std::chrono::steady_clock::now() + 1h});
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->next, 4U);
  EXPECT_EQ(read->sum.processes, 2U);
  EXPECT_EQ(read->sum.maps.rss, 2U * 1632 * 1024);
  EXPECT_EQ(read->sum.ksm.rmap_items, 5U);
  const auto late = read_group_processes(tree, pids, {std::chrono::steady_clock::now(), 2});
  ASSERT_TRUE(late);
  EXPECT_EQ(late->next, 2U);
  fixture.write("proc/4/smaps_rollup", "Rss: x kB\n");
  EXPECT_EQ(code(read_group_processes(tree, pids, {std::chrono::steady_clock::now() + 1h})),
            EPROTO);
}

}  // namespace
}  // namespace panal::kernel

#include "engine/kernel/page_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/engine/kernel/fixture_tree.h"
#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kPresent = std::uint64_t{1} << 63;
constexpr std::uint64_t kSwapped = std::uint64_t{1} << 62;
constexpr std::uint64_t kFile = std::uint64_t{1} << 61;

/// The pagemap of a process: nothing, but from page 2 on these entries.
std::string pagemap(const std::vector<std::uint64_t>& entries) {
  std::vector<std::uint64_t> all(2);
  all.insert(all.end(), entries.begin(), entries.end());
  return {reinterpret_cast<const char*>(all.data()), all.size() * sizeof all[0]};
}

PageMapBudget plenty_of_time() { return {.deadline = std::chrono::steady_clock::now() + 1h}; }

TEST(PageMap, JoinsNeighboursAndLeavesFilesOut) {
  PageMap map;
  const std::vector<std::uint64_t> entries = {
      kPresent | 7, kPresent, kSwapped, 0, kPresent, kPresent | kFile, kSwapped | kFile, kSwapped};
  add_page_entries(entries, 0x10000, map);
  EXPECT_THAT(map.present,
              ElementsAre(AddressRange{0x10000, 2 * kPage}, AddressRange{0x14000, kPage}));
  EXPECT_THAT(map.swapped, ElementsAre(AddressRange{0x12000, kPage}, AddressRange{0x17000, kPage}));
  EXPECT_EQ(map.present_bytes, 3 * kPage);
  EXPECT_EQ(map.swapped_bytes, 2 * kPage);
  add_page_entries(std::vector<std::uint64_t>{kSwapped}, 0x18000, map);
  EXPECT_EQ(map.swapped.back(), (AddressRange{0x17000, 2 * kPage})) << "across two reads";
}

TEST(PageMap, TellsWhatNobodyElseMaps) {
  constexpr std::uint64_t kOwn = kPresent | std::uint64_t{1} << 56;
  PageMap map;
  add_page_entries(std::vector<std::uint64_t>{kOwn, kPresent, kOwn, kOwn, kOwn | kFile, kSwapped},
                   0x10000, map);
  EXPECT_THAT(map.own, ElementsAre(AddressRange{0x10000, kPage}, AddressRange{0x12000, 2 * kPage}));
  EXPECT_EQ(map.own_bytes, 3 * kPage);
  EXPECT_EQ(map.present_bytes, 4 * kPage);
}

TEST(PageMap, LooksAtRangesAndStopsAtItsBudget) {
  const FixtureTree fixture(
      FixtureFiles{{"proc/42/pagemap", pagemap({kPresent, kSwapped, kPresent, kPresent})}});
  const Tree tree = fixture.tree();
  const std::vector<AddressRange> ranges = {{2 * kPage, 2 * kPage}, {4 * kPage, 2 * kPage}};
  const auto all = read_page_map(tree, 42, ranges, plenty_of_time());
  ASSERT_TRUE(all) << all.error().message();
  EXPECT_TRUE(all->complete);
  EXPECT_EQ(all->present_bytes, 3 * kPage);
  EXPECT_THAT(all->swapped, ElementsAre(AddressRange{3 * kPage, kPage}));

  PageMapBudget few = plenty_of_time();
  few.pages = 3;
  const auto part = read_page_map(tree, 42, ranges, few);
  ASSERT_TRUE(part);
  EXPECT_FALSE(part->complete);
  EXPECT_EQ(part->next_index, 1U);
  EXPECT_EQ(part->next, (AddressRange{5 * kPage, kPage}));
  EXPECT_EQ(part->present_bytes, 2 * kPage);

  PageMapBudget late = plenty_of_time();
  late.deadline = std::chrono::steady_clock::now() - 1s;
  const auto nothing = read_page_map(tree, 42, ranges, late);
  ASSERT_TRUE(nothing);
  EXPECT_EQ(nothing->next, ranges[0]);
  EXPECT_THAT(nothing->present, IsEmpty());

  const std::vector<AddressRange> beyond = {{100 * kPage, kPage}, {2 * kPage, kPage}};
  EXPECT_EQ(read_page_map(tree, 42, beyond, plenty_of_time())->present_bytes, kPage);
  EXPECT_EQ(read_page_map(tree, 43, ranges, plenty_of_time()).error().code, ENOENT);
}

}  // namespace
}  // namespace panal::kernel

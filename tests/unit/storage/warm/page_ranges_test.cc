#include "storage/warm/page_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::storage {
namespace {

TEST(PageRanges, ALastPartOfAPageIsAPage) {
  EXPECT_EQ(pages_of(0, 4096), 0U);
  EXPECT_EQ(pages_of(1, 4096), 1U);
  EXPECT_EQ(pages_of(4096, 4096), 1U);
  EXPECT_EQ(pages_of(4097, 4096), 2U);
  EXPECT_EQ(pages_of(UINT64_MAX, 4096), std::uint64_t{1} << 52);
}

TEST(PageRanges, NeighboursBecomeOneRange) {
  PageRanges ranges;
  for (const std::uint64_t page : {0U, 1U, 2U, 5U, 6U, 9U}) append_page(ranges, page);
  EXPECT_EQ(ranges, (PageRanges{{0, 3}, {5, 2}, {9, 1}}));
  EXPECT_EQ(page_count(ranges), 6U);
}

TEST(PageRanges, AreClippedAtTheEndOfAFile) {
  const PageRanges ranges{{0, 3}, {5, 4}};
  EXPECT_EQ(clipped(ranges, 100), ranges);
  EXPECT_EQ(clipped(ranges, 7), (PageRanges{{0, 3}, {5, 2}}));
  EXPECT_EQ(clipped(ranges, 5), (PageRanges{{0, 3}}));
  EXPECT_EQ(clipped(ranges, 0), PageRanges{});
}

TEST(PageRanges, WhatIsThereIsNotWanted) {
  struct Without {
    PageRanges all, taken, rest;
  };
  for (const Without& one : std::vector<Without>{
           {{{0, 10}}, {}, {{0, 10}}},
           {{{0, 10}}, {{0, 10}}, {}},
           {{{2, 3}}, {{0, 100}}, {}},
           {{{0, 10}}, {{3, 2}}, {{0, 3}, {5, 5}}},
           {{{0, 10}}, {{0, 1}, {4, 2}, {9, 5}}, {{1, 3}, {6, 3}}},
           {{{0, 2}, {4, 2}, {8, 2}}, {{1, 8}}, {{0, 1}, {9, 1}}},
           {{{5, 2}}, {{0, 2}, {8, 2}}, {{5, 2}}},
           {{}, {{0, 2}}, {}},
       })
    EXPECT_EQ(without(one.all, one.taken), one.rest);
}

TEST(PageRanges, SmallGapsAreFilled) {
  const PageRanges ranges{{0, 2}, {4, 1}, {10, 1}};
  EXPECT_EQ(joined(ranges, 0), ranges);
  EXPECT_EQ(joined(ranges, 2), (PageRanges{{0, 5}, {10, 1}}));
  EXPECT_EQ(joined(ranges, 5), (PageRanges{{0, 11}}));
  EXPECT_EQ(joined({}, 5), PageRanges{});
}

}  // namespace
}  // namespace panal::storage

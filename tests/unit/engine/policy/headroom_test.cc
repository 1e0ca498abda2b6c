#include "engine/policy/headroom.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

MemoryStatistics group(std::uint64_t usage_mib, std::uint64_t limit_mib) {
  MemoryStatistics one;
  one.usage_bytes = usage_mib * kMib;
  one.limit_bytes = limit_mib * kMib;
  one.anon_bytes = usage_mib * kMib;
  return one;
}

TEST(Headroom, AGroupWithoutLimitNeverEnds) {
  MemoryStatistics none = group(100, 0);
  none.limit_bytes = 9223372036854771712ULL;  // v1's word for none
  EXPECT_GT(group_headroom(none, {}).reserves(), 1000);
  none.limit_bytes = UINT64_MAX;
  EXPECT_GT(group_headroom(none, {}).reserves(), 1000);
}

TEST(Headroom, TheReserveGrowsWithTheLimitWithinBounds) {
  EXPECT_EQ(group_headroom(group(0, 256), {}).reserve_bytes, 32 * kMib);
  EXPECT_EQ(group_headroom(group(0, 4096), {}).reserve_bytes, 256 * kMib);
  EXPECT_EQ(group_headroom(group(0, 20480), {}).reserve_bytes, 512 * kMib);
}

TEST(Headroom, WhereAllMustWaitForReclaimMemoryHasEnded) {
  MemoryStatistics one = group(900, 2048);
  one.high_bytes = 1024 * kMib;
  EXPECT_EQ(group_headroom(one, {}).certain_bytes, 124 * kMib);
  EXPECT_EQ(group_headroom(one, {}).reserve_bytes, 64 * kMib);
  one.usage_bytes = 1100 * kMib;
  EXPECT_EQ(group_headroom(one, {}).available_bytes, 0U);
  one.limit_bytes = UINT64_MAX;
  EXPECT_EQ(group_headroom(one, {}).reserve_bytes, 64 * kMib) << "also where nothing is hard";
}

TEST(Headroom, PageCacheCountsAndSharedMemoryDoesNot) {
  MemoryStatistics one = group(900, 1024);
  EXPECT_EQ(group_headroom(one, {}).available_bytes, 124 * kMib);
  one.file_bytes = 400 * kMib;
  one.shmem_bytes = 100 * kMib;
  EXPECT_EQ(group_headroom(one, {}).available_bytes, (124 + 300 - 64) * kMib);
}

TEST(Headroom, WhatIsCertainIsCountedAndNotFromStatistics) {
  MemoryStatistics one = group(900, 1024);
  one.file_bytes = 400 * kMib;
  EXPECT_EQ(group_headroom(one, {4096 * kMib, 0.25}).certain_bytes, 124 * kMib);
  one.usage_bytes = 1025 * kMib;
  EXPECT_EQ(group_headroom(one, {}).certain_bytes, 0U);
  const Headroom host = host_headroom({.available = 3000 * kMib}, 1000 * kMib);
  EXPECT_EQ(host.certain_bytes, host.available_bytes);
}

TEST(Headroom, SwapTakesHalfOfWhatIsAnonymousAtItsPrice) {
  EXPECT_EQ(group_headroom(group(1000, 1024), {4096 * kMib, 0.25}).available_bytes,
            (24 + 375) * kMib);
  EXPECT_EQ(group_headroom(group(1000, 1024), {80 * kMib, 0.25}).available_bytes, (24 + 60) * kMib);
  EXPECT_EQ(group_headroom(group(1000, 1024), {80 * kMib, 1}).available_bytes, 24 * kMib);
}

TEST(Headroom, WhatAGroupMayNotSwapIsNoRoom) {
  MemoryStatistics one = group(1000, 1024);
  one.swap_left_bytes = 80 * kMib;
  EXPECT_EQ(group_headroom(one, {4096 * kMib, 0.25}).available_bytes, (24 + 60) * kMib);
  one.swap_left_bytes = 0;
  EXPECT_EQ(group_headroom(one, {4096 * kMib, 0.25}).available_bytes, 24 * kMib);
}

TEST(Headroom, ZramIsFullWhenItsLimitIs) {
  HostMemory host;
  host.swap_free = 8192 * kMib;
  EXPECT_EQ(swap_room(host, {}).bytes, 8192 * kMib);
  EXPECT_EQ(swap_room(host, {}).cost, 0);
  ZramStatistics zram;
  zram.original = 1000 * kMib;
  zram.used = 250 * kMib;
  zram.limit = 350 * kMib;
  EXPECT_EQ(swap_room(host, zram).bytes, 400 * kMib);
  zram.used = 400 * kMib;
  EXPECT_EQ(swap_room(host, zram).bytes, 0U);
}

TEST(Headroom, SwapBehindZswapCostsWhatThePoolTakes) {
  HostMemory host;
  host.swap_total = 8192 * kMib;
  host.swap_free = 6144 * kMib;
  EXPECT_EQ(swap_room(host, {}).cost, 0) << "a disk alone";
  host.zswap_pool = 512 * kMib;
  host.zswap_original = 1500 * kMib;
  EXPECT_EQ(swap_room(host, {}).cost, 0.25) << "a quarter of what is out, wherever it is";
  EXPECT_EQ(swap_room(host, {}).bytes, 6144 * kMib);
  host.swap_free = host.swap_total - 10 * kMib;
  EXPECT_EQ(swap_room(host, {}).cost, 0.5) << "too little to judge by";
}

TEST(Headroom, TheNearestToItsEndHasTheFewestReserves) {
  const Headroom host = host_headroom({.available = 3000 * kMib}, 1000 * kMib);
  const Headroom small = group_headroom(group(1000, 1064), {});
  EXPECT_LT(small.reserves(), host.reserves());
  EXPECT_GT(Headroom{}.reserves(), host.reserves());
}

}  // namespace
}  // namespace panal::policy

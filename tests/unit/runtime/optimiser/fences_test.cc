#include "runtime/optimiser/fences.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

using policy::kMib;

constexpr std::uint64_t kShare = 500 * kMib;

/// Of which nothing is page cache.
FenceCharge has(std::uint64_t mib) { return {mib * kMib, 0}; }
policy::Headroom room(std::uint64_t available_mib) { return {available_mib * kMib, 100 * kMib}; }

TEST(Fences, ThereIsNoneWhileThereIsEnough) {
  EXPECT_EQ(fence_bytes(2048 * kMib, has(100), room(2073), kShare), 2048 * kMib);
  EXPECT_EQ(fence_bytes(kUnlimited, has(100), {UINT64_MAX / 4, 0}, kShare),
            100 * kMib + (UINT64_MAX / 4 / kMib + 1) * kMib);
}

TEST(Fences, OneMayTakeAllButAQuarterOfTheReserve) {
  EXPECT_EQ(fence_bytes(2048 * kMib, has(100), room(400), kShare), 475 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, has(1900), room(400), kShare), 2048 * kMib);
}

TEST(Fences, WhatItHasIsNeverTaken) {
  EXPECT_EQ(fence_bytes(2048 * kMib, has(100), room(0), kShare), 116 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, has(100), room(40), kShare), 116 * kMib);
}

TEST(Fences, WhoIsAboveAnEqualShareIsNotGivenTheLastOfIt) {
  EXPECT_EQ(fence_bytes(2048 * kMib, has(500), room(0), kShare), 516 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, has(501), room(0), kShare), 501 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, has(501), room(20), kShare), 511 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, has(501), room(35), kShare), 517 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, {501 * kMib + 1, 0}, room(0), kShare), 502 * kMib);
}

TEST(Fences, OwnPageCacheIsCountedOnce) {
  // Of the 620 that are left to all, 480 are its own page cache, which it may fill otherwise.
  EXPECT_EQ(fence_bytes(2048 * kMib, {500 * kMib, 480 * kMib}, room(620), kShare), 615 * kMib);
  // It may have all of what is left: 16 more than it has are below the limit of all, or are
  // others'.
  EXPECT_EQ(fence_bytes(2048 * kMib, {500 * kMib, 480 * kMib}, room(480), kShare), 516 * kMib);
}

TEST(Fences, OwnGrowthIsNoReasonToMoveOne) {
  constexpr MonotonicNs kTenth = 100'000'000;
  FenceHistory history;
  MonotonicNs now = 5 * kTenth;
  EXPECT_EQ(history.lowest(600, now), 600);
  // Statistics that stand still while it grows: the sum of both is too much.
  for (std::uint64_t i = 0; i < 15; ++i)
    EXPECT_EQ(history.lowest(600 + 40 * i, now += kTenth), 600);
  EXPECT_EQ(history.lowest(590, now += kTenth), 590) << "down at once";
  for (int i = 0; i < 20; ++i) EXPECT_EQ(history.lowest(700, now += kTenth), 590);
  for (int i = 0; i < 20; ++i) (void)history.lowest(700, now += kTenth);
  EXPECT_EQ(history.lowest(700, now += kTenth), 700) << "what is true for long is believed";
  EXPECT_EQ(history.lowest(900, now += 100 * kTenth), 900) << "nobody looked for long";
}

}  // namespace
}  // namespace panal::optimiser

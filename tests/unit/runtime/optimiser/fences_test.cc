#include "runtime/optimiser/fences.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

using policy::kMib;

constexpr std::uint64_t kShare = 500 * kMib;

policy::Headroom room(std::uint64_t available_mib) { return {available_mib * kMib, 100 * kMib}; }

TEST(Fences, ThereIsNoneWhileThereIsEnough) {
  EXPECT_EQ(fence_bytes(2048 * kMib, 100 * kMib, room(2073), kShare), 2048 * kMib);
  EXPECT_EQ(fence_bytes(kUnlimited, 100 * kMib, {UINT64_MAX / 4, 0}, kShare),
            100 * kMib + (UINT64_MAX / 4 / kMib + 1) * kMib);
}

TEST(Fences, OneMayTakeAllButAQuarterOfTheReserve) {
  EXPECT_EQ(fence_bytes(2048 * kMib, 100 * kMib, room(400), kShare), 475 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, 1900 * kMib, room(400), kShare), 2048 * kMib);
}

TEST(Fences, WhatItHasIsNeverTaken) {
  EXPECT_EQ(fence_bytes(2048 * kMib, 100 * kMib, room(0), kShare), 116 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, 100 * kMib, room(40), kShare), 116 * kMib);
}

TEST(Fences, WhoIsAboveAnEqualShareIsNotGivenTheLastOfIt) {
  EXPECT_EQ(fence_bytes(2048 * kMib, 500 * kMib, room(0), kShare), 516 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, 501 * kMib, room(0), kShare), 501 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, 501 * kMib, room(20), kShare), 511 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, 501 * kMib, room(35), kShare), 517 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, 501 * kMib + 1, room(0), kShare), 502 * kMib);
}

}  // namespace
}  // namespace panal::optimiser

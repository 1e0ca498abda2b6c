#include "runtime/optimiser/fences.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

using policy::kMib;

policy::Headroom room(std::uint64_t available_mib) { return {available_mib * kMib, 100 * kMib}; }

TEST(Fences, ThereIsNoneWhileThereIsEnough) {
  EXPECT_EQ(fence_bytes(2048 * kMib, 100 * kMib, room(2073)), 2048 * kMib);
  EXPECT_EQ(fence_bytes(kUnlimited, 100 * kMib, {UINT64_MAX / 4, 0}),
            100 * kMib + UINT64_MAX / 4 / kMib * kMib);
}

TEST(Fences, OneMayTakeAllButAQuarterOfTheReserve) {
  EXPECT_EQ(fence_bytes(2048 * kMib, 100 * kMib, room(400)), 475 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, 1900 * kMib, room(400)), 2048 * kMib);
}

TEST(Fences, WhatItHasIsNeverTaken) {
  EXPECT_EQ(fence_bytes(2048 * kMib, 100 * kMib, room(0)), 116 * kMib);
  EXPECT_EQ(fence_bytes(2048 * kMib, 100 * kMib, room(40)), 116 * kMib);
}

}  // namespace
}  // namespace panal::optimiser

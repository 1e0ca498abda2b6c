#include "runtime/optimiser/class_limits.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"
#include "runtime/optimiser/profile_settings.h"

namespace panal::optimiser {
namespace {

using policy::kMib;

TEST(ClassLimits, TheHardLimitNeverGoesBelowWhatIsUsed) {
  EXPECT_EQ(next_hard_limit(512 * kMib, 100 * kMib), 512 * kMib);
  EXPECT_EQ(next_hard_limit(512 * kMib, 512 * kMib), 544 * kMib);
  EXPECT_EQ(next_hard_limit(64 * kMib, 100 * kMib), 116 * kMib);
  EXPECT_EQ(next_hard_limit(kUnlimited, 100 * kMib), kUnlimited);
}

TEST(ClassLimits, TheSoftOneGoesAStepBelow) {
  EXPECT_EQ(next_soft_limit(64 * kMib, 100 * kMib, false), 84 * kMib);
  EXPECT_EQ(next_soft_limit(64 * kMib, 70 * kMib, false), 64 * kMib);
  EXPECT_EQ(next_soft_limit(64 * kMib, 100 * kMib, true), 64 * kMib);
  EXPECT_EQ(next_soft_limit(kUnlimited, 100 * kMib, false), kUnlimited);
}

NodeFacts node() { return {8192 * kMib, 0, 2000 * kMib, 500, "254:0"}; }

TEST(ClassLimits, WhatNoClassSpeaksOfIsLeftAlone) {
  const auto limits = settings_of(profile::Profile{}, node()).limits.at(SessionClass::kIdle);
  EXPECT_FALSE(limits.memory_bytes || limits.memory_soft_bytes || limits.swapping || limits.pids ||
               limits.io_weight || limits.io);
  EXPECT_TRUE(limits.cpu_weight);
}

TEST(ClassLimits, WhatOneClassSaysTheOthersTakeBack) {
  profile::Profile profile;
  profile.classes.idle.memory_soft_percent = 40;
  profile.classes.disconnected.memory_hard_percent = 50;
  profile.classes.disconnected.pids_percent = 20;
  profile.classes.frozen.swap = false;
  profile.classes.frozen.io_weight = 10;
  profile.classes.frozen.io_write_mib_per_second = 4;
  EXPECT_TRUE(limits_io(profile));
  const auto limits = settings_of(profile, node()).limits;
  const Limits& active = limits.at(SessionClass::kActive);
  EXPECT_EQ(active.memory_soft_bytes, kUnlimited);
  EXPECT_EQ(active.memory_bytes, 2000 * kMib);
  EXPECT_EQ(active.pids, 500U);
  EXPECT_EQ(active.swapping, Swapping::kUsual);
  EXPECT_EQ(active.io_weight, 100U);
  EXPECT_EQ(active.io, (IoLimit{"254:0", 0, 0}));
  EXPECT_EQ(limits.at(SessionClass::kIdle).memory_soft_bytes, 800 * kMib);
  EXPECT_EQ(limits.at(SessionClass::kDisconnected).memory_bytes, 1000 * kMib);
  EXPECT_EQ(limits.at(SessionClass::kDisconnected).pids, 100U);
  EXPECT_EQ(limits.at(SessionClass::kFrozen).swapping, Swapping::kNever);
  EXPECT_EQ(limits.at(SessionClass::kFrozen).io, (IoLimit{"254:0", 0, 4 * kMib}));
}

TEST(ClassLimits, SparedAreTakenFromLast) {
  profile::Profile profile;
  profile.classes.active.spared = true;
  profile.classes.frozen.spared = true;
  profile.classes.frozen.swap = false;
  const auto limits = settings_of(profile, node()).limits;
  EXPECT_EQ(limits.at(SessionClass::kActive).swapping, Swapping::kLast);
  EXPECT_EQ(limits.at(SessionClass::kIdle).swapping, Swapping::kUsual);
  EXPECT_EQ(limits.at(SessionClass::kFrozen).swapping, Swapping::kNever);
}

}  // namespace
}  // namespace panal::optimiser

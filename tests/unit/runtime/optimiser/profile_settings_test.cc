#include "runtime/optimiser/profile_settings.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

TEST(ProfileSettings, TellWhoIsEnlistedAndWhoSetsThePace) {
  struct Case {
    profile::Enlist enlist;
    bool governor;
    bool enlists;
    bool governs;
  };
  for (const Case& c : {Case{profile::Enlist::kOff, true, false, false},
                        Case{profile::Enlist::kAll, true, true, true},
                        Case{profile::Enlist::kAll, false, true, false},
                        Case{profile::Enlist::kConsent, true, true, true}}) {
    profile::Profile profile;
    profile.ksm.enlist = c.enlist;
    profile.ksm.governor = c.governor;
    const Settings settings = settings_of(profile, {});
    EXPECT_EQ(settings.enlists(), c.enlists);
    EXPECT_EQ(settings.governs_ksm(), c.governs);
  }
}

TEST(ProfileSettings, WhatCountsAsWatchingIsTheActiveClasss) {
  profile::Profile profile;
  EXPECT_EQ(settings_of(profile, {}).active_bytes_per_second, 16'384U);
  profile.classes.idle.active_bytes_per_second = 5;
  profile.classes.active.active_bytes_per_second = 0;
  EXPECT_EQ(settings_of(profile, {}).active_bytes_per_second, 0U);
}

TEST(ProfileSettings, WhoIsFrozenIsTheFrozenClasss) {
  profile::Profile profile;
  EXPECT_FALSE(settings_of(profile, {}).freezes());
  profile.classes.disconnected.quiet_after_seconds = 7;  // no such key
  EXPECT_FALSE(settings_of(profile, {}).freezes());
  profile.classes.frozen.quiet_after_seconds = 300;
  profile.classes.frozen.quiet_cpu_permille = 25;
  profile.classes.frozen.quiet_bytes_per_second = 99;
  const Settings settings = settings_of(profile, {});
  EXPECT_TRUE(settings.freezes());
  EXPECT_EQ(settings.shaver.freeze_after_ns, 0);
  EXPECT_EQ(settings.shaver.freeze_quiet_after_ns, 300 * policy::kSecond);
  EXPECT_DOUBLE_EQ(settings.quiet.cpu_cores, 0.025);
  EXPECT_DOUBLE_EQ(settings.quiet.bytes_per_second, 99);
}

TEST(ProfileSettings, TheGateIsTheProfiles) {
  profile::Profile profile;
  EXPECT_EQ(settings_of(profile, {}).gate, policy::StartGateConfig{}) << "defaults are the law's";
  profile.gate = {12, 3, 45, 6, 78, 9, 10};
  const policy::StartGateConfig gate = settings_of(profile, {}).gate;
  EXPECT_DOUBLE_EQ(gate.memory_some, 0.12);
  EXPECT_DOUBLE_EQ(gate.memory_full, 0.03);
  EXPECT_DOUBLE_EQ(gate.io_some, 0.45);
  EXPECT_DOUBLE_EQ(gate.io_full, 0.06);
  EXPECT_DOUBLE_EQ(gate.cpu_some, 0.78);
  EXPECT_DOUBLE_EQ(gate.runnable_per_core, 9);
  EXPECT_EQ(gate.first_window, 10U);
}

}  // namespace
}  // namespace panal::optimiser

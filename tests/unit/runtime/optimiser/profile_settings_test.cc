#include "runtime/optimiser/profile_settings.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace panal::optimiser

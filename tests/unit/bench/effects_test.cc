#include "bench/density/effects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "bench/density/effect_settings.h"
#include "bench/density/effect_sums.h"
#include "engine/profile/profile.h"

namespace panal::bench {
namespace {

using ::testing::HasSubstr;

EffectCost costing(double own_mib) {
  EffectCost cost;
  cost.own_mib = own_mib;
  return cost;
}

TEST(Effects, AreDifferencesRoundByRound) {
  const auto saved = effect_saving({costing(100), costing(90), costing(95)},
                                   {costing(80), costing(85), costing(80)}, &EffectCost::own_mib);
  ASSERT_TRUE(saved) << saved.error().message();
  EXPECT_EQ(saved->median, 15);
  EXPECT_EQ(saved->least, 5);
  EXPECT_EQ(saved->most, 20);
  const auto lost = effect_saving({costing(10)}, {costing(12)}, &EffectCost::own_mib);
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->median, -2) << "a setting may cost";
}

TEST(Effects, NeedAsManyRoundsOfBoth) {
  EXPECT_FALSE(effect_saving({}, {}, &EffectCost::own_mib));
  EXPECT_FALSE(effect_saving({costing(1)}, {}, &EffectCost::own_mib));
  EXPECT_FALSE(effect_saving({costing(1)}, {costing(1), costing(2)}, &EffectCost::own_mib));
}

TEST(Effects, EveryMeasureHasANameOfItsOwn) {
  std::set<std::string> names;
  for (const EffectMeasure& measure : effect_measures()) names.insert(measure.name);
  EXPECT_EQ(names.size() * sizeof(double), sizeof(EffectCost)) << "one for each value";
}

class EffectSettings : public ::testing::TestWithParam<const char*> {};

TEST_P(EffectSettings, SwitchOneThingEach) {
  std::set<std::string> names = {"shipped"};
  for (const EffectSetting& setting : effect_settings(GetParam())) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_FALSE(setting.what.empty());
    EXPECT_EQ(setting.of_recipe(), !setting.undone.empty()) << setting.name;
    const auto profile =
        profile::parse_profile("name = \"off\"\n[guest]\n" + setting.guest, setting.name);
    ASSERT_TRUE(profile) << profile.error().message();
    EXPECT_EQ(profile->guest == profile::Guest{}, setting.of_recipe()) << setting.name;
    // They must not take the place of what makes the session alive.
    for (const HomeFile& file : setting.undone)
      for (const HomeFile& living : living_session("user001"))
        EXPECT_NE(file.path, living.path) << setting.name;
  }
  EXPECT_GE(names.size(), 7U);
}

INSTANTIATE_TEST_SUITE_P(Images, EffectSettings, ::testing::Values("icewm", "xfce"));

TEST(Effects, EachSettingHasARowInTheManual) {
  std::ifstream file(PANAL_SOURCE_DIR "/docs/tuning.md");
  const std::string manual((std::istreambuf_iterator<char>(file)), {});
  for (const char* image : {"icewm", "xfce"})
    for (const EffectSetting& setting : effect_settings(image)) {
      const std::string of = setting.of_recipe() ? std::string(image) + " " : "";
      EXPECT_THAT(manual, HasSubstr("\n| " + of + "`" + setting.name + "`: "));
    }
}

TEST(Effects, AnUnknownSettingIsRefusedBeforeAnythingStarts) {
  EffectsOptions options;
  options.image = "icewm";
  options.settings = {"compositor"};
  const auto run = run_effects(options);
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, EINVAL);
  EXPECT_THAT(run.error().context,
              HasSubstr("icewm has no setting compositor; it has window-list"));
}

}  // namespace
}  // namespace panal::bench

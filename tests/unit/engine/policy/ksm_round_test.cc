#include "engine/policy/ksm_round.h"

#include <gtest/gtest.h>

#include "engine/model/program.h"

namespace panal::policy {
namespace {

KsmProcess process_with(std::int64_t profit) {
  KsmProcess one;
  one.profit_bytes = profit;
  return one;
}

TEST(KsmRound, ADesktopHasOneVoiceAndTheMedianDecides) {
  const struct {
    const char* what;
    std::vector<std::vector<std::int64_t>> desktops;  ///< profits of their processes
    double profit;
  } table[] = {
      {"one alone", {{-100}}, -100},
      {"its processes' mean", {{-100, -300, 100}}, -100},
      {"the one in the middle", {{-100}, {7}, {50}}, 7},
      {"many processes are one voice", {{-100, -100, -100, -100}, {7}, {50}}, 7},
      {"of two the higher", {{-100}, {50}}, 50},
      {"of four the higher of the middle", {{-100}, {-9}, {8}, {50}}, 8},
      {"more than half lose", {{-100}, {-9}, {50}}, -9},
      {"one that spoils it outvotes nobody", {{-1'000'000'000}, {5}, {5}}, 5},
  };
  for (const auto& row : table) {
    KsmRound round;
    DesktopId id = 0;
    for (const auto& profits : row.desktops) {
      ++id;
      for (const std::int64_t profit : profits) round.add(id, "xfce/browser", process_with(profit));
    }
    const auto seen = round.profits();
    ASSERT_EQ(seen.size(), 1U) << row.what;
    EXPECT_DOUBLE_EQ(seen.at("xfce/browser"), row.profit) << row.what;
  }
  EXPECT_TRUE(KsmRound().profits().empty());
}

TEST(KsmRound, ProgramsAreApartAndBoundedForEachDesktop) {
  KsmRound round;
  for (int i = 0; i < 1000; ++i) round.add(1, "xfce/p" + std::to_string(i), process_with(1));
  EXPECT_EQ(round.profits().size(), KsmRound::kMostPrograms);
  round.add(2, "xfce/panel", process_with(3));
  EXPECT_EQ(round.profits().size(), KsmRound::kMostPrograms + 1);
  EXPECT_DOUBLE_EQ(round.profits().at("xfce/panel"), 3);
}

TEST(KsmPasses, WhoHasSeenTwoPassesIsJudged) {
  const struct {
    std::uint64_t now, full_scans;
    std::optional<std::uint64_t> before;
  } table[] = {
      {100, 7, {}},   {160, 7, {}},   {220, 8, {}},   {280, 9, 160},  {340, 9, 160}, {400, 10, 220},
      {460, 30, 400}, {520, 30, 400}, {580, 31, 400}, {640, 32, 520}, {700, 3, {}},  // began anew
      {760, 5, 700},
  };
  KsmPasses passes;
  EXPECT_FALSE(passes.judged_before());
  for (const auto& row : table) {
    passes.note(row.now, row.full_scans);
    EXPECT_EQ(passes.judged_before(), row.before) << row.now;
  }
}

TEST(ImageProgram, IsNamedByTheImageOnly) {
  const struct {
    const char* path;
    const char* name;
  } table[] = {
      {"/usr/bin/xfwm4", "xfwm4"},
      {"/usr/lib/firefox-esr/firefox-esr", "firefox-esr"},
      {"/usr/bin/python3.11", "python3.11"},
      {"/opt/google/chrome/chrome", "chrome"},
      {"/usr/bin/x++", "x++"},
      {"/home/alice/bin/xfwm4", ""},
      {"/tmp/xfwm4", ""},
      {"/usr", ""},
      {"/usr/", ""},
      {"/usr/bin/", ""},
      {"/usrx/bin/a", ""},
      {"usr/bin/a", ""},
      {"/usr/bin/xfwm4 (deleted)", ""},
      {"/memfd:x (deleted)", ""},
      {"/usr/bin/a:b", ""},
      {"/usr/bin/a\nb", ""},
      {"", ""},
  };
  for (const auto& row : table) EXPECT_EQ(image_program(row.path), row.name) << row.path;
  EXPECT_EQ(image_program("/usr/bin/" + std::string(65, 'a')), "");
  EXPECT_EQ(image_program("/usr/bin/" + std::string(64, 'a')).size(), 64U);
}

}  // namespace
}  // namespace panal::policy

#include "engine/policy/ksm_programs_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::policy {
namespace {

using ::testing::HasSubstr;

TEST(KsmProgramsText, ComesBackAsItWas) {
  KsmProgramMap programs;
  programs["xfce/firefox-esr"] = {-1'683'456, 12, 2, true, 3, 50, 0};
  programs["icewm/Xorg.wrap_1+2"] = {4096, 1, 0, false, 0, 0, 0};
  const auto back = parse_ksm_programs(print_ksm_programs(programs));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, programs);
  const auto none = parse_ksm_programs(print_ksm_programs({}));
  ASSERT_TRUE(none) << none.error().message();
  EXPECT_TRUE(none->empty());
}

TEST(KsmProgramsText, WhenItWasSeenIsNotKeptAndFractionsAreCut) {
  KsmProgramMap programs;
  programs["a/b"] = {-1.75, 1, 0, false, 0, 0, 99};
  programs["a/c"] = {1e300, 1, 0, false, 0, 0, 0};
  const auto back = parse_ksm_programs(print_ksm_programs(programs));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->at("a/b"), (KsmProgram{-1, 1, 0, false, 0, 0, 0}));
  EXPECT_GT(back->at("a/c").profit_bytes, 1e15);
}

TEST(KsmProgramsText, MalformedTable) {
  const std::string head = "panal-ksm-programs 1\n";
  const struct {
    std::string text;
    const char* said;
  } table[] = {
      {"", "line 1: the file is empty"},
      {"\n", "line 1: not a list"},
      {"panal-ksm-programs 2\n", "line 1: not a list"},
      {"panal-ksm-programs 1", "line 1: it has no end"},
      {head + "a/b 1 2 3 0 5 6", "line 2: it has no end"},
      {head + "\n", "line 2: it does not begin with IMAGE/PROGRAM"},
      {head + "ab 1 2 3 0 5 6\n", "IMAGE/PROGRAM"},
      {head + "a/ 1 2 3 0 5 6\n", "IMAGE/PROGRAM"},
      {head + "/b 1 2 3 0 5 6\n", "IMAGE/PROGRAM"},
      {head + "a/b/c 1 2 3 0 5 6\n", "IMAGE/PROGRAM"},
      {head + "a/b: 1 2 3 0 5 6\n", "IMAGE/PROGRAM"},
      {head + "a/" + std::string(65, 'b') + " 1 2 3 0 5 6\n", "IMAGE/PROGRAM"},
      {head + " a/b 1 2 3 0 5 6\n", "IMAGE/PROGRAM"},
      {head + "a/b\n", "line 2: a whole number is missing"},
      {head + "a/b 1 2 3 0 5\n", "a whole number is missing"},
      {head + "a/b 1 2 3 0 5 \n", "a whole number is missing"},
      {head + "a/b 1  2 3 0 5 6\n", "a whole number is missing"},
      {head + "a/b 1.5 2 3 0 5 6\n", "a whole number is missing"},
      {head + "a/b 0x1 2 3 0 5 6\n", "a whole number is missing"},
      {head + "a/b 99999999999999999999 2 3 0 5 6\n", "a whole number is missing"},
      {head + "a/b 1 2 3 0 5 6 7\n", "more than seven words"},
      {head + "a/b 9000000000000000000 2 3 0 5 6\n", "a profit out of range"},
      {head + "a/b 1 -2 3 0 5 6\n", "a count out of range"},
      {head + "a/b 1 2 4294967296 0 5 6\n", "a count out of range"},
      {head + "a/b 1 2 3 2 5 6\n", "left out is 0 or 1"},
      {head + "a/b 1 2 3 1 5 3201\n", "more starts than it is left out of"},
      {head + "a/b 1 2 3 1 4294967295 6\n", "more starts than it is left out of"},
      {head + "a/b +1 2 3 0 5 6\n", "a whole number is missing"},
      {head + "a/b -1 2 3 0 5 - 6\n", "a whole number is missing"},
      {head + "a/b 1 2 3 0 5 6\r\n", "a whole number is missing"},
      {head + "a/b\t1 2 3 0 5 6\n", "IMAGE/PROGRAM"},
      {head + "a/b\x1b[2J 1 2 3 0 5 6\n", "IMAGE/PROGRAM"},
      {"\xef\xbb\xbf" + head, "line 1: not a list"},
      {head + "a/b 1 2 3 0 5 6\n" + head, "line 3: it does not begin with IMAGE/PROGRAM"},
      {head + "a/b 1 2 3 0 5 6\na/b 1 2 3 0 5 6\n", "line 3: it stands there twice"},
      {head + std::string("a/b 1 2 3 0 5 6\0\n", 17), "a whole number is missing"},
  };
  for (const auto& row : table) {
    const auto parsed = parse_ksm_programs(row.text);
    ASSERT_FALSE(parsed) << row.text;
    EXPECT_EQ(parsed.error().code, EPROTO);
    EXPECT_THAT(parsed.error().context, HasSubstr(row.said)) << row.text;
  }
}

TEST(KsmProgramsText, NoMoreThanAreKeptInMemory) {
  std::string text = "panal-ksm-programs 1\n";
  for (std::size_t i = 0; i < KsmPrograms::kMost; ++i)
    text += "a/p" + std::to_string(i) + " 1 2 3 0 5 6\n";
  EXPECT_TRUE(parse_ksm_programs(text));
  EXPECT_FALSE(parse_ksm_programs(text + "a/more 1 2 3 0 5 6\n"));
}

}  // namespace
}  // namespace panal::policy

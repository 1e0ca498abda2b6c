#include "runtime/desktop/id_slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::desktop {
namespace {

using ::testing::HasSubstr;

TEST(ParseSubid, FindsTheUsersRangesByNameAndUid) {
  const auto ranges = parse_subid(
      "alice:100000:65536\nroot:1000000:65536000\n\n# root:5:5\n0:300000:65536\nbob:x\nroot:7:0\n",
      "root", 0);
  ASSERT_TRUE(ranges) << ranges.error().message();
  EXPECT_EQ(*ranges, (std::vector<IdRange>{{1000000, 65536000}, {300000, 65536}}));
}

TEST(ParseSubid, NoLineIsNoRange) {
  for (const char* text : {"", "\n", "alice:1:2", "root2:1:2\n", "# nothing"}) {
    const auto ranges = parse_subid(text, "root", 0);
    ASSERT_TRUE(ranges) << text;
    EXPECT_TRUE(ranges->empty()) << text;
  }
}

TEST(ParseSubid, MalformedLinesOfTheUserAreNamed) {
  for (const char* text :
       {"root", "root:", "root:1", "root::5", "root:1:", "root:-1:5", "root:1:5:6", "root:1 :5",
        "root:4294967296:1", "root:1:4294967295", "root:0x10:5", "root:1:5 ", "root:1:\x01"}) {
    const auto ranges = parse_subid(std::string("alice:1:2\n") + text, "root", 0);
    ASSERT_FALSE(ranges) << text;
    EXPECT_EQ(ranges.error().code, EPROTO);
    EXPECT_THAT(ranges.error().context, HasSubstr("line 2")) << text;
  }
}

TEST(IdSlots, CutsTheConfiguredRange) {
  const auto slots = IdSlots::make(IdRange{1000000, 3 * 65536 + 100}, {}, {});
  ASSERT_TRUE(slots);
  EXPECT_EQ(slots->count(), 3U);
  EXPECT_EQ(slots->range(2)->first, 1000000U + 2 * 65536);
  EXPECT_EQ(slots->range(2)->count, 65536U);
  ASSERT_FALSE(slots->range(3));
  EXPECT_EQ(slots->range(3).error().code, ENOSPC);
}

TEST(IdSlots, TakesWhatBothFilesGiveRoot) {
  const auto slots = IdSlots::make(IdRange{0, 0}, "root:100000:65536\nroot:1000000:6553600\n",
                                   "root:1065536:655360000\n");
  ASSERT_TRUE(slots) << slots.error().message();
  EXPECT_EQ(slots->range(0)->first, 1065536U);
  EXPECT_EQ(slots->count(), 99U);
  EXPECT_EQ(slots->for_desktops(), 97U) << "the last two are the pre-warmers' and the trials'";
  EXPECT_EQ(slots->for_prewarmers()->first, slots->range(98)->first);
  EXPECT_EQ(slots->for_trials()->first, slots->range(97)->first);
}

TEST(IdSlots, WhereThereAreFewUsersComeFirst) {
  const auto of = [](std::uint32_t slots) {
    return IdSlots::make(IdRange{1000000, slots * 65536}, {}, {});
  };
  EXPECT_EQ(of(1)->for_desktops(), 1U);
  EXPECT_EQ(of(1)->for_prewarmers().error().code, ENOSPC);
  EXPECT_EQ(of(2)->for_desktops(), 1U);
  EXPECT_TRUE(of(2)->for_prewarmers());
  EXPECT_EQ(of(2)->for_trials().error().code, ENOSPC);
  EXPECT_EQ(of(3)->for_desktops(), 1U);
  EXPECT_EQ(of(3)->for_trials()->first, 1000000U + 65536);
}

TEST(IdSlots, TheWholeOfTheIdSpaceIsNotTooMuch) {
  const auto slots = IdSlots::make(IdRange{65536, 4294901759U}, {}, {});
  ASSERT_TRUE(slots);
  const auto last = slots->range(slots->count() - 1);
  ASSERT_TRUE(last);
  EXPECT_LE(std::uint64_t{last->first} + last->count, 4294967295U);
}

TEST(IdSlots, RefusesWhatCannotBeUsedWithASentence) {
  struct Case {
    IdRange configured;
    const char* subuid;
    const char* subgid;
    int code;
    const char* says;
  };
  const Case cases[] = {
      {{0, 0}, "", "", ENOENT, "add the line"},
      {{0, 0}, "root:100000:65536", "", ENOENT, "add the line"},
      {{0, 0}, "root:100000:65536", "root:900000:65536", ENOENT, "add the line"},
      {{0, 0}, "root:100000:65535", "root:100000:65535", EINVAL, "needs 65536 ids"},
      {{0, 0}, "root:0:655360", "root:0:655360", EINVAL, "ids of the host"},
      {{0, 0}, "root:1", "root:1:1", EPROTO, "/etc/subuid: line 1"},
      {{0, 0}, "root:1:1", "root:x:1", EPROTO, "/etc/subgid: line 1"},
      {{1000, 655360}, "", "", EINVAL, "ids of the host"},
      {{100000, 65535}, "", "", EINVAL, "needs 65536 ids"},
      {{4294901760U, 65536}, "", "", EINVAL, "past 4294967294"},
  };
  for (const Case& c : cases) {
    const auto slots = IdSlots::make(c.configured, c.subuid, c.subgid);
    ASSERT_FALSE(slots) << c.says << " " << c.subuid;
    EXPECT_EQ(slots.error().code, c.code) << slots.error().message();
    EXPECT_THAT(slots.error().context, HasSubstr(c.says));
  }
}

}  // namespace
}  // namespace panal::desktop

#include "engine/kernel/small_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ChosenOf, IsTheOneInBrackets) {
  EXPECT_EQ(chosen_of("lzo [lzo-rle] lz4 zstd\n"), "lzo-rle");
  EXPECT_EQ(chosen_of("[none] scan-time\n"), "none");
  EXPECT_EQ(chosen_of("always madvise [never]"), "never");
  for (const char* text : {"", "lzo lz4", "[", "]", "[lzo", "lzo]", "[] lz4", "]lzo[", "x ] [y"})
    EXPECT_EQ(chosen_of(text), std::nullopt) << text;
}

TEST(GroupPids, AreOneALine) {
  EXPECT_THAT(parse_group_pids("4711\n1\n0\n2147483647\n").value(),
              ElementsAre(4711, 1, 0, 2147483647));
  EXPECT_THAT(parse_group_pids("").value(), IsEmpty());
  EXPECT_THAT(parse_group_pids("7").value(), ElementsAre(7));
  for (const char* text : {"x\n", "1 2\n", "-1\n", "1\n\n2\n", "2147483648\n", "1\n2x\n", " 1\n",
                           "99999999999999999999\n"})
    EXPECT_EQ(code(parse_group_pids(text)), EPROTO) << text;
}

TEST(IsOfGroup, KnowsTheGroupAndThoseBelowInAnyHierarchy) {
  constexpr const char* kHybrid =
      "4:memory:/lab/panal/d7\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/elsewhere\n";
  EXPECT_TRUE(is_of_group(kHybrid, "panal/d7"));
  EXPECT_TRUE(is_of_group(kHybrid, "lab/panal"));
  EXPECT_TRUE(is_of_group("0::/panal/d7/below\n", "panal/d7"));
  EXPECT_TRUE(is_of_group("0::/panal/d70/panal/d7", "panal/d7")) << "the second time it stands";
  // A group's name may have colons.
  EXPECT_TRUE(is_of_group("0::/a:b/d7\n", "a:b/d7"));
  for (const char* text :
       {"", "0::/\n", "0::/panal/d70\n", "0::/panal/d7x/y\n", "0::/notpanal/d7\n", "panal/d7\n",
        "0:/panal/d7\n", "0::panal/d7\n", "panal/d7:memory:/\n", "4:/panal/d7:/other\n"})
    EXPECT_FALSE(is_of_group(text, "panal/d7")) << text;
  EXPECT_FALSE(is_of_group(kHybrid, ""));
}

TEST(PidfdEntry, NamesTheProcessWhileItIsThere) {
  constexpr const char* kEntry =
      "pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t1040\nPid:\t4711\nNSpid:\t4711\n";
  EXPECT_EQ(parse_pidfd_entry(kEntry).value(), 4711);
  EXPECT_EQ(parse_pidfd_entry("Pid:\t-1\n").value(), std::nullopt) << "reaped";
  EXPECT_EQ(parse_pidfd_entry("Pid:\t0\n").value(), std::nullopt) << "of another namespace";
  EXPECT_EQ(parse_pidfd_entry("Pid:\t00\n").value(), std::nullopt);
  for (const char* text : {"", "pos:\t0\nflags:\t02\n", "NSpid:\t4711\n", "pid:\t4711\n"})
    EXPECT_EQ(code(parse_pidfd_entry(text)), EINVAL) << text;
  for (const char* text :
       {"Pid:\n", "Pid:\tx\n", "Pid:\t-2\n", "Pid:\t1 2\n", "Pid:\t2147483648\n"})
    EXPECT_EQ(code(parse_pidfd_entry(text)), EPROTO) << text;
}

}  // namespace
}  // namespace panal::kernel

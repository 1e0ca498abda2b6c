// What people type: times, images, names that are nearly right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "runtime/cli/image_refs.h"
#include "runtime/cli/nearest.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/span.h"

namespace panal::cli {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::HasSubstr;

TEST(Span, ReadsWholeNumbersWithAUnit) {
  EXPECT_EQ(*parse_span("90s"), seconds(90));
  EXPECT_EQ(*parse_span("30m"), seconds(1800));
  EXPECT_EQ(*parse_span("24h"), hours(24));
  EXPECT_EQ(*parse_span("7d"), hours(7 * 24));
  EXPECT_EQ(*parse_span("2w"), hours(14 * 24));
  EXPECT_EQ(*parse_span("0"), seconds(0));
  EXPECT_EQ(*parse_span("0h"), seconds(0));
  EXPECT_EQ(*parse_span("3650d"), kLongestSpan);
}

TEST(Span, RefusesAllElse) {
  for (const char* text : {"",
                           "h",
                           "1",
                           "1 h",
                           " 1h",
                           "1h ",
                           "1H",
                           "-1h",
                           "+1h",
                           "1.5h",
                           "1e3s",
                           "0x10s",
                           "1hh",
                           "1h30m",
                           "1y",
                           "3651d",
                           "87601h",
                           "315360001s",
                           "99999999999999999999s",
                           "9223372036854775807w",
                           "1\xc3\xa9",
                           "soon"}) {
    const auto read = parse_span(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, EINVAL) << text;
    EXPECT_THAT(read.error().context, HasSubstr("such as 30m or 24h")) << text;
  }
  EXPECT_FALSE(parse_span(std::string_view("1h\0", 3)));
}

TEST(Span, IsPrintedInTheLargestUnitThatLeavesNoRest) {
  EXPECT_EQ(print_span(seconds(0)), "0 s");
  EXPECT_EQ(print_span(seconds(90)), "90 s");
  EXPECT_EQ(print_span(seconds(1800)), "30 min");
  EXPECT_EQ(print_span(hours(24)), "24 h");
  EXPECT_EQ(print_span(hours(48)), "2 d");
  EXPECT_EQ(print_span(hours(49)), "49 h");
}

TEST(Time, IsPrintedAsTheDatabaseDoes) {
  EXPECT_EQ(print_time(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(print_time(1'795'651'200), "2026-11-26T00:00:00Z");
  EXPECT_EQ(print_time(std::numeric_limits<std::int64_t>::max()), "");
}

TEST(EditDistance, CountsChangesAdditionsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("icewm", "icewm"), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("icwm", "icewm"), 1U);
  EXPECT_EQ(edit_distance("icewmm", "icewm"), 1U);
  EXPECT_EQ(edit_distance("ixewm", "icewm"), 1U);
  EXPECT_EQ(edit_distance("iecwm", "icewm"), 1U) << "neighbours swapped";
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(Nearest, IsANameThatWasProbablyMeant) {
  const std::vector<std::string> known{"icewm", "xfce", "2026.11.26-1", "2026.11.26-2"};
  EXPECT_EQ(nearest_name("icwm", known), "icewm");
  EXPECT_EQ(nearest_name("xfec", known), "xfce");
  EXPECT_EQ(nearest_name("2026.11.26-3", known), "2026.11.26-1");
  EXPECT_EQ(nearest_name("gimp", known), "");
  EXPECT_EQ(nearest_name("", known), "");
  EXPECT_EQ(nearest_name("icewm", {}), "");
  EXPECT_EQ(nearest_name(std::string(10'000, 'a'), {std::string(10'000, 'a')}), "");
  EXPECT_EQ(did_you_mean("icwm", known), "; did you mean icewm?");
  EXPECT_EQ(did_you_mean("gimp", known), "");
}

TEST(ImageWord, IsAnImageAndPerhapsAVersionOrTag) {
  const auto bare = split_image_word("icewm");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->image, "icewm");
  EXPECT_EQ(bare->name, "");
  const auto full = split_image_word("icewm:2026.11.26-1");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->image, "icewm");
  EXPECT_EQ(full->name, "2026.11.26-1");
  for (const std::string& word : std::vector<std::string>{
           "", ":", "a:", ":a", "a:b:c", "a/b", "../a", "a:../b", "-a", "a:-b", ".a", "a b", "a\n",
           "a\xff", std::string("a\0b", 3), std::string(129, 'a'), "a:" + std::string(129, 'b')}) {
    const auto read = split_image_word(word);
    ASSERT_FALSE(read) << word;
    EXPECT_EQ(read.error().code, EINVAL);
    EXPECT_THAT(read.error().context, HasSubstr("names no image"));
  }
}

TEST(ImageCatalog, AVersionIsFoundByItsNameBeforeATagOfThatName) {
  ImageCatalog catalog;
  catalog.images.push_back({"a", "", "1"});
  for (const char* version : {"1", "2", "stable"}) {
    store::Version one;
    one.image = "a";
    one.version = version;
    catalog.versions.push_back(one);
  }
  catalog.tags = {{"a", "default", "1", ""}, {"a", "stable", "2", ""}};
  EXPECT_EQ(catalog.resolve("a", "default")->version, "1");
  EXPECT_EQ(catalog.resolve("a:2", "default")->version, "2");
  EXPECT_EQ(catalog.resolve("a:stable", "default")->version, "stable");
  EXPECT_EQ(catalog.resolve("a", "head").error().code, ENOENT);
  EXPECT_EQ(catalog.tags_of("a", "2"), std::vector<std::string>{"stable"});
  EXPECT_EQ(catalog.at("a", "default"), "1");
  EXPECT_EQ(catalog.at("b", "default"), "");
}

TEST(OperatorName, IsSomebody) { EXPECT_FALSE(operator_name().empty()); }

}  // namespace
}  // namespace panal::cli

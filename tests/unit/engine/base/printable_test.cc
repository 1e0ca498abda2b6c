#include <gtest/gtest.h>

#include "engine/base/log.h"

namespace panal {
namespace {

TEST(Printable, KeepsTextAndUtf8) { EXPECT_EQ(printable("año 7 €"), "año 7 €"); }

TEST(Printable, EscapesControlsAndBrokenUtf8) {
  EXPECT_EQ(printable("a\x1b[2J\n"), "a\\x1b[2J\\x0a");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b31m");
  EXPECT_EQ(printable("\xff\xc0\x80"), "\\xff\\xc0\\x80");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
}

TEST(Printable, CutsAtTheLimitWithoutSplittingACharacter) {
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("ab€", 3), "ab...");
}

TEST(Utf8, IsToldFromOtherBytes) {
  for (const char* good :
       {"", "a\n", "a\xc3\xb1o", "\xe2\x82\xac", "\xf0\x9f\x90\x9d", "e\xcc\x81"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad :
       {"\xff", "latin-\xe9", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

}  // namespace
}  // namespace panal

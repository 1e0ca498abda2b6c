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

}  // namespace
}  // namespace panal

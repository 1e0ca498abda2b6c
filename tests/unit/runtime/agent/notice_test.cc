#include "runtime/agent/notice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Notice, WrapsAtSpaces) {
  EXPECT_THAT(wrap_text("", 10), IsEmpty());
  EXPECT_THAT(wrap_text("   ", 10), IsEmpty());
  EXPECT_THAT(wrap_text("a word", 10), ElementsAre("a word"));
  EXPECT_THAT(wrap_text("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap_text("one  two", 7), ElementsAre("one two"));
  EXPECT_THAT(wrap_text("exactly7 x", 8), ElementsAre("exactly7", "x"));
}

TEST(Notice, CutsWordsThatAreTooLongAndWhatTheFontLacks) {
  EXPECT_THAT(wrap_text("abcdefghij", 4), ElementsAre("abcd", "efgh", "ij"));
  EXPECT_THAT(wrap_text("x abcdefgh y", 4), ElementsAre("x", "abcd", "efgh", "y"));
  EXPECT_THAT(wrap_text("a\nb\x1b[2J \xc3\xa9", 20), ElementsAre("a?b?[2J ??"));
}

TEST(Notice, IsNotThereUntilItIsShown) {
  Notice notice;
  EXPECT_EQ(notice.fd(), -1);
  notice.read_event();
  const auto shown = notice.show("/nonexistent/X0", "", "words");
  ASSERT_FALSE(shown);
  EXPECT_EQ(shown.error().code, ENOENT);
  EXPECT_EQ(notice.fd(), -1);
  EXPECT_TRUE(notice.show("/nonexistent/X0", "", "")) << "nothing to show";
}

}  // namespace
}  // namespace panal::agent

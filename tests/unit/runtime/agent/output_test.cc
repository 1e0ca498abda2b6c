#include "runtime/agent/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace panal::agent {
namespace {

TEST(LineCutter, CutsAcrossChunks) {
  LineCutter cutter;
  EXPECT_TRUE(cutter.feed("Session: Sess").empty());
  EXPECT_EQ(cutter.feed("ion started\nnext\nre"),
            (std::vector<std::string>{"Session: Session started", "next"}));
  EXPECT_EQ(cutter.feed("st\n"), std::vector<std::string>{"rest"});
}

TEST(LineCutter, ALineWithoutEndIsBounded) {
  LineCutter cutter;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(cutter.feed(std::string(1000, 'x')).empty());
  const auto lines = cutter.feed("\n");
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].size(), 4096U);
}

TEST(Tail, KeepsTheLastLines) {
  Tail tail(32);
  tail.append("first line\nsecond\n\nthird\x1b[2J\n");
  EXPECT_EQ(tail.last_lines(2), "second | third\\x1b[2J");
  tail.append(std::string(100, 'z'));
  EXPECT_EQ(tail.last_lines(5), std::string(32, 'z'));
  tail.clear();
  EXPECT_EQ(tail.last_lines(5), "");
  Tail more(400);
  more.append("The error was 'BadMatch'.\n  (Details: 8)\n   that is\n");
  EXPECT_EQ(more.last_lines(5), "The error was 'BadMatch'.");
}

TEST(Drain, TellsTheEnd) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  ASSERT_EQ(::write(ends[1], "abc", 3), 3);
  Drained got = drain(ends[0]);
  EXPECT_EQ(got.bytes, "abc");
  EXPECT_FALSE(got.end);
  ::close(ends[1]);
  got = drain(ends[0]);
  EXPECT_TRUE(got.end);
  ::close(ends[0]);
}

}  // namespace
}  // namespace panal::agent

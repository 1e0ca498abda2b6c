#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/store/tags.h"

namespace panal::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = TagMoveKind;

/// "p1": published 1; "r1": rolled back to 1; "u": taken away.
std::vector<std::string> after(const std::vector<std::string>& steps) {
  std::vector<TagMove> moves;
  for (const std::string& step : steps) {
    TagMove move;
    move.kind = step[0] == 'r' ? Kind::kRollback : step[0] == 'u' ? Kind::kUntag : Kind::kPublish;
    move.to = step.substr(1);
    moves.push_back(move);
  }
  return rollback_targets(moves);
}

TEST(RollbackTargets, AreWhereTheTagWasBeforeNearestFirst) {
  EXPECT_THAT(after({}), IsEmpty());
  EXPECT_THAT(after({"p1"}), IsEmpty());
  EXPECT_THAT(after({"p1", "p2", "p3"}), ElementsAre("2", "1"));
  EXPECT_THAT(after({"p1", "p1", "p2"}), ElementsAre("1"));
}

TEST(RollbackTargets, ASecondRollbackGoesFurtherBackAndNeverForward) {
  EXPECT_THAT(after({"p1", "p2", "p3", "r2"}), ElementsAre("1"));
  EXPECT_THAT(after({"p1", "p2", "p3", "r2", "r1"}), IsEmpty());
  // What is published after a rollback is undone to where the rollback had led.
  EXPECT_THAT(after({"p1", "p2", "r1", "p3"}), ElementsAre("1"));
  // A rollback by name, past one in between.
  EXPECT_THAT(after({"p1", "p2", "p3", "r1", "p4"}), ElementsAre("1"));
}

TEST(RollbackTargets, NameEachVersionOnceAndNotTheOneItIsAt) {
  EXPECT_THAT(after({"p1", "p2", "p1", "p2"}), ElementsAre("1"));
  EXPECT_THAT(after({"p3", "p1", "p2", "p1", "p2"}), ElementsAre("1", "3"));
  // A rollback to where it never was, by hand.
  EXPECT_THAT(after({"p1", "r7"}), ElementsAre("1"));
}

TEST(RollbackTargets, BeginAnewAfterTheTagWasTakenAway) {
  EXPECT_THAT(after({"p1", "p2", "u", "p3"}), IsEmpty());
  EXPECT_THAT(after({"p1", "u"}), IsEmpty());
}

TEST(TagMoveKind, ReadsItsOwnWordsOnly) {
  for (const Kind kind :
       {Kind::kCommit, Kind::kPublish, Kind::kRollback, Kind::kTag, Kind::kUntag, Kind::kRemove}) {
    const auto read = parse_tag_move_kind(to_string(kind));
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, kind);
  }
  for (const char* word : {"", "Publish", "publish ", "move"})
    EXPECT_EQ(parse_tag_move_kind(word).error().code, EPROTO) << word;
}

}  // namespace
}  // namespace panal::store

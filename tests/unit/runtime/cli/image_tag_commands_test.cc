#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/runtime/cli/commands_fixture.h"

namespace panal::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

/// icewm with versions 3 (head), 2 and 1 (default), all on this node; desktops d-1 to d-4: d-1
/// connected and d-2 suspended on version 1, d-3 stopped, d-4 on version 1 by a tag of its own.
class ImageTags : public Commands {
 protected:
  void SetUp() override {
    Commands::SetUp();
    farm_with_desktops(4);
    auto& farm = backends_.farm;
    farm.versions.clear();
    backends_.disk.copies.clear();
    for (const char* version : {"3", "2", "1"}) {
      store::Version one;
      one.image = "icewm";
      one.version = version;
      one.commit = std::string(64, *version);
      farm.versions.push_back(one);
      backends_.disk.copies.push_back(FakeDisk::copy("icewm", version, one.commit));
    }
    farm.move("icewm", "head", "3");
    farm.move("icewm", "own", "1");
    run_on(1, "1", "connected");
    run_on(2, "1", "suspended");
    run_on(4, "1", "connected");
    farm.desktops.at(4).tag = "own";
  }
  void run_on(DesktopId id, const std::string& version, const std::string& session) {
    auto& desktop = backends_.farm.desktops.at(id);
    desktop.desired = store::Desired::kRunning;
    desktop.observed = store::Observed::kRunning;
    desktop.running_version = version;
    desktop.session_state = session;
  }
  std::string at(const std::string& tag) { return backends_.farm.at("icewm", tag); }
};

TEST_F(ImageTags, PublishMovesDefaultAtOnceAndSaysWhoIsAffected) {
  EXPECT_EQ(panal({"image", "publish", "icewm", "--soft", "1h", "--hard", "24h"}), ExitCode::kOk)
      << err();
  EXPECT_EQ(at("default"), "3");
  ASSERT_EQ(backends_.farm.changes.size(), 1U);
  const auto& change = backends_.farm.changes[0];
  EXPECT_EQ(change.expected, "1");
  EXPECT_EQ(change.kind, store::TagMoveKind::kPublish);
  EXPECT_EQ(*change.deadlines.soft, std::chrono::hours(1));
  EXPECT_EQ(*change.deadlines.hard, std::chrono::hours(24));
  EXPECT_FALSE(change.actor.empty());
  EXPECT_THAT(out(), HasSubstr("default of icewm is at 3 for new starts, no more at 1 (soft 1 h, "
                               "hard 24 h)"));
  EXPECT_THAT(out(), HasSubstr("d-1"));
  EXPECT_THAT(out(), HasSubstr("d-2"));
  EXPECT_THAT(out(), Not(HasSubstr("d-4"))) << "it follows another tag";
  EXPECT_THAT(out(), HasSubstr("1 stopped desktop will have it"));
  EXPECT_THAT(out(), HasSubstr("2 running desktops will be started again when nobody is connected, "
                               "from 1 h on"));
}

TEST_F(ImageTags, DryRunListsWhoWouldBeAffectedAndMovesNothing) {
  EXPECT_EQ(panal({"image", "publish", "icewm:2", "--hard", "2d", "--dry-run", "--json"}),
            ExitCode::kOk)
      << err();
  EXPECT_EQ(at("default"), "1");
  EXPECT_TRUE(backends_.farm.changes.empty());
  const auto answer = json();
  EXPECT_EQ(answer["from"], "1");
  EXPECT_EQ(answer["to"], "2");
  EXPECT_EQ(answer["done"], false);
  EXPECT_EQ(answer["hard_seconds"], 172800);
  EXPECT_TRUE(answer["soft_seconds"].is_null());
  EXPECT_EQ(answer["at_next_start"], 1);
  ASSERT_EQ(answer["running"].size(), 2U);
  EXPECT_EQ(answer["running"][0]["name"], "d-1");
  EXPECT_EQ(answer["running"][0]["connected"], true);
  EXPECT_EQ(answer["running"][1]["connected"], false);
  EXPECT_EQ(panal({"image", "publish", "icewm", "--dry-run"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("would be at 3"));
  EXPECT_THAT(out(), HasSubstr("2 running desktops will go on with what they run"));
}

TEST_F(ImageTags, PublishRefusesWhatThisNodeCouldNotStart) {
  backends_.disk.copies.erase(backends_.disk.copies.begin());
  EXPECT_EQ(panal({"image", "publish", "icewm"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("no copy of icewm:3"));
  EXPECT_EQ(at("default"), "1");
  EXPECT_EQ(panal({"image", "publish", "icewm", "--force"}), ExitCode::kOk) << err();
  EXPECT_EQ(at("default"), "3");
  EXPECT_THAT(backends_.farm.changes.back().forced, HasSubstr("no copy"));
  ASSERT_EQ(panal({"image", "trial", "icewm:2"}), ExitCode::kOk) << err();
  EXPECT_EQ(panal({"image", "publish", "icewm:2", "--force"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.changes.back().forced, "") << "there was nothing to force";
}

TEST_F(ImageTags, RollbackGoesBackStepByStepAndPastWhatIsGone) {
  ASSERT_EQ(panal({"image", "publish", "icewm:2"}), ExitCode::kOk) << err();
  ASSERT_EQ(panal({"image", "publish", "icewm:3"}), ExitCode::kOk) << err();
  EXPECT_EQ(panal({"image", "rollback", "icewm", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would be at 2 for new starts, no more at 3"));
  EXPECT_EQ(at("default"), "3");
  EXPECT_EQ(panal({"image", "rollback", "icewm", "--soft", "0"}), ExitCode::kOk) << err();
  EXPECT_EQ(at("default"), "2");
  EXPECT_EQ(backends_.farm.changes.back().kind, store::TagMoveKind::kRollback);
  EXPECT_EQ(*backends_.farm.changes.back().deadlines.soft, std::chrono::seconds(0));
  EXPECT_EQ(panal({"image", "rollback", "icewm"}), ExitCode::kOk);
  EXPECT_EQ(at("default"), "1");
  EXPECT_EQ(panal({"image", "rollback", "icewm"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("no other version that is still there"));

  ASSERT_EQ(panal({"image", "publish", "icewm:2"}), ExitCode::kOk);
  ASSERT_EQ(panal({"image", "publish", "icewm:3"}), ExitCode::kOk);
  std::erase_if(backends_.farm.versions, [](const auto& one) { return one.version == "2"; });
  EXPECT_EQ(panal({"image", "rollback", "icewm"}), ExitCode::kOk) << err();
  EXPECT_EQ(at("default"), "1");
}

TEST_F(ImageTags, RollbackRefusesWhatThisNodeCouldNotStart) {
  ASSERT_EQ(panal({"image", "publish", "icewm:2"}), ExitCode::kOk) << err();
  ASSERT_EQ(panal({"image", "publish", "icewm:3"}), ExitCode::kOk) << err();
  std::erase_if(backends_.disk.copies, [](const auto& one) { return one.version == "2"; });
  EXPECT_EQ(panal({"image", "rollback", "icewm"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("no copy of icewm:2"));
  EXPECT_EQ(at("default"), "3") << "nor goes it to 1, past the move before";
  EXPECT_EQ(panal({"image", "rollback", "icewm", "--force"}), ExitCode::kOk) << err();
  EXPECT_EQ(at("default"), "2");
  EXPECT_THAT(backends_.farm.changes.back().forced, HasSubstr("no copy"));
  EXPECT_EQ(panal({"image", "rollback", "icewm", "--force"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.changes.back().forced, "") << "there was nothing to force";
}

TEST_F(ImageTags, TagsOfOnesOwnComeMoveAndGo) {
  EXPECT_EQ(panal({"image", "tag", "icewm:2", "stable", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_EQ(at("stable"), "");
  EXPECT_EQ(panal({"image", "tag", "icewm:2", "stable"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("icewm:stable is at 2\n"));
  EXPECT_EQ(panal({"image", "tag", "icewm:head", "stable"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("icewm:stable is at 3, no more at 2"));
  EXPECT_EQ(panal({"image", "tag", "icewm:3", "stable"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("at 3 already"));
  EXPECT_EQ(panal({"image", "untag", "icewm:stable", "--dry-run"}), ExitCode::kOk);
  EXPECT_EQ(at("stable"), "3");
  EXPECT_EQ(panal({"image", "untag", "icewm:stable"}), ExitCode::kOk) << err();
  EXPECT_EQ(at("stable"), "");
  EXPECT_EQ(panal({"image", "untag", "icewm:stable"}), ExitCode::kNotFound);
  EXPECT_EQ(panal({"image", "untag", "icewm:default"}), ExitCode::kRefused);
  EXPECT_EQ(panal({"image", "untag", "icewm"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "tag", "icewm:2", "default"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("panal image publish"));
  EXPECT_EQ(panal({"image", "tag", "icewm:2", "head"}), ExitCode::kUsage);
}

TEST_F(ImageTags, ErrorsNameTheNearestThatThereIs) {
  EXPECT_EQ(panal({"image", "publish", "icwm"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("there is no image icwm; did you mean icewm?"));
  EXPECT_EQ(panal({"image", "publish", "icewm:hed"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("image icewm has no version or tag hed; did you mean head?"));
  EXPECT_EQ(panal({"image", "rollback", "firefox"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("panal image ls shows all"));
  EXPECT_EQ(panal({"image", "untag", "icewm:ownn"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("did you mean own?"));
}

TEST_F(ImageTags, WrongWordsAreUsageErrorsInOneSentence) {
  const struct {
    std::vector<std::string> words;
    const char* said;
  } table[] = {
      {{"publish"}, "IMAGE[:VERSION] is required"},
      {{"publish", "a b"}, "names no image"},
      {{"publish", "icewm:"}, "names no image"},
      {{"publish", ":3"}, "names no image"},
      {{"publish", "icewm:../x"}, "names no image"},
      {{"publish", "icewm", "--soft", "soon"}, "is no time"},
      {{"publish", "icewm", "--soft", "2h", "--hard", "1h"}, "comes before"},
      {{"publish", "icewm", "--hard", "-1h"}, "is no time"},
      {{"tag", "icewm"}, "TAG is required"},
      {{"rollback"}, "IMAGE is required"},
  };
  for (const auto& wrong : table) {
    std::vector<std::string> words{"image"};
    words.insert(words.end(), wrong.words.begin(), wrong.words.end());
    EXPECT_EQ(panal(words), ExitCode::kUsage) << testing::PrintToString(words);
    EXPECT_THAT(err(), HasSubstr(wrong.said)) << testing::PrintToString(words);
    const std::string text = err();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  }
  EXPECT_TRUE(backends_.farm.changes.empty());
}

TEST_F(ImageTags, ATagThatMovedMeanwhileIsNotMovedAgain) {
  // Somebody else publishes between this command's look and its move: the store refuses.
  backends_.farm.meanwhile = [this] { backends_.farm.move("icewm", "default", "2"); };
  EXPECT_EQ(panal({"image", "publish", "icewm"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("moved meanwhile"));
  EXPECT_EQ(at("default"), "2");
}

TEST_F(ImageTags, TheHistoryOfATagIsRead) {
  ASSERT_EQ(panal({"image", "publish", "icewm:2"}), ExitCode::kOk);
  ASSERT_EQ(panal({"image", "rollback", "icewm"}), ExitCode::kOk);
  EXPECT_EQ(panal({"image", "log", "icewm", "--tag", "default", "--json"}), ExitCode::kOk) << err();
  const auto moves = json();
  ASSERT_EQ(moves.size(), 3U);
  EXPECT_EQ(moves[0]["how"], "rollback");
  EXPECT_EQ(moves[0]["from"], "2");
  EXPECT_EQ(moves[0]["to"], "1");
  EXPECT_EQ(moves[1]["how"], "publish");
  EXPECT_EQ(panal({"image", "log", "icewm", "--tag", "default", "-n", "1"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("rollback"));
  EXPECT_THAT(out(), Not(HasSubstr("publish")));
}

TEST_F(ImageTags, DesktopsAreGivenTagsAndVersions) {
  EXPECT_EQ(panal({"desktop", "set", "d-1", "d-3", "--tag", "own", "--dry-run"}), ExitCode::kOk)
      << err();
  EXPECT_EQ(backends_.farm.desktops.at(1).tag, "");
  EXPECT_EQ(panal({"desktop", "set", "d-1", "d-3", "--tag", "own"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("d-3 takes icewm:own from its next start on"));
  EXPECT_EQ(backends_.farm.desktops.at(3).tag, "own");
  EXPECT_EQ(panal({"desktop", "set", "d-3", "--version", "2"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.desktops.at(3).version, "2");
  EXPECT_EQ(backends_.farm.desktops.at(3).tag, "");
  EXPECT_EQ(panal({"desktop", "set", "d-3", "--tag", "default"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.desktops.at(3).tag, "");
  EXPECT_EQ(backends_.farm.desktops.at(3).version, "");
  EXPECT_EQ(panal({"desktop", "set", "d-3"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"desktop", "set", "d-3", "--tag", "own", "--version", "2"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"desktop", "set", "d-3", "--tag", "oown"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("did you mean own?"));
  EXPECT_EQ(panal({"desktop", "set", "d-3", "--tag", "2"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("give it with --version"));
  EXPECT_EQ(panal({"desktop", "set", "d-3", "--version", "own"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("give it with --tag"));
  EXPECT_EQ(
      panal({"desktop", "create", "x", "--user", "alice", "--image", "icewm", "--tag", "own"}),
      ExitCode::kOk)
      << err();
  EXPECT_EQ(backends_.farm.desktops.at(5).tag, "own");
  EXPECT_EQ(panal({"desktop", "show", "d-4", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()["tag"], "own");
  EXPECT_EQ(json()["next_version"], "1");
  EXPECT_TRUE(json()["hard_left_ms"].is_null());
}

}  // namespace
}  // namespace panal::cli

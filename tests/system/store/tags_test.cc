#include "runtime/store/tags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "runtime/store/database.h"
#include "runtime/store/migrations.h"
#include "tests/system/store/store_fixture.h"

namespace panal::store {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// An image of its own for each test, with versions 1, 2, 3; `default` is at 1.
class TagsTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    static int counter = 0;
    image_ = "tagged" + std::to_string(++counter);
    for (const int number : {1, 2, 3}) add(number);
  }

  void add(int number) {
    const auto added = admin_->add_version(version(number), "");
    ASSERT_TRUE(added) << added.error().message();
  }
  Version version(int number) const {
    Version version;
    version.image = image_;
    version.version = std::to_string(number);
    version.session = {"icewm-session"};
    version.created = "2026-11-2" + version.version + "T10:00:00Z";
    version.commit = std::string(64, static_cast<char>('a' + number));
    version.message = "update " + version.version;
    version.author = "carol";
    return version;
  }
  Result<void> move(const std::string& tag, const std::string& from, const std::string& to,
                    TagMoveKind kind = TagMoveKind::kPublish, Deadlines deadlines = {}) {
    return admin_->move_tag({image_, tag, to, from, kind, "dave", deadlines});
  }
  std::string at(const std::string& tag) {
    const auto tags = node_->tags();
    EXPECT_TRUE(tags);
    for (const Tag& one : *tags)
      if (one.image == image_ && one.tag == tag) return one.version;
    return "";
  }
  Desktop desktop_of(const std::string& tag, const std::string& version = "") {
    Desktop desktop = new_desktop();
    EXPECT_TRUE(admin_->remove_desktop(desktop.id));
    desktop.image = image_;
    desktop.tag = tag;
    desktop.version = version;
    const auto made = admin_->add_desktop(desktop);
    EXPECT_TRUE(made) << made.error().message();
    return *made;
  }
  /// Its row, running.
  Desktop run(const Desktop& desktop) {
    EXPECT_TRUE(broker_->set_desired(desktop.id, Desired::kRunning, "t"));
    const auto claimed = node_->claim_start(desktop.id, admin_->desktop(desktop.id)->node, 100);
    EXPECT_TRUE(claimed && *claimed);
    EXPECT_TRUE(node_->observe(desktop.id, Observed::kRunning, ""));
    return *node_->desktop(desktop.id);
  }
  void end(const Desktop& desktop) {
    EXPECT_TRUE(broker_->set_desired(desktop.id, Desired::kStopped, "t"));
    EXPECT_TRUE(node_->observe(desktop.id, Observed::kStopped, ""));
  }

  std::string image_;
};

TEST_F(TagsTest, KeepsWhatACommitSays) {
  const auto versions = node_->versions();
  ASSERT_TRUE(versions);
  const auto two = std::find_if(versions->begin(), versions->end(), [&](const Version& one) {
    return one.image == image_ && one.version == "2";
  });
  ASSERT_NE(two, versions->end());
  EXPECT_EQ(two->commit, std::string(64, 'c'));
  EXPECT_EQ(two->message, "update 2");
  EXPECT_EQ(two->author, "carol");
  Version other = version(2);
  other.commit = std::string(64, 'f');
  const auto refused = admin_->add_version(other, "");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EEXIST);
  EXPECT_THAT(refused.error().context, HasSubstr("another commit"));
  other.commit = "not hexadecimal";
  other.version = "9";
  EXPECT_EQ(admin_->add_version(other, "").error().code, EINVAL);
  other.commit.clear();
  EXPECT_TRUE(admin_->add_version(other, ""));
  other.commit = std::string(64, 'e');
  EXPECT_TRUE(admin_->add_version(other, "")) << "it gets its commit later";
  other.commit.clear();
  EXPECT_TRUE(admin_->add_version(other, "")) << "who does not know the commit takes none away";
}

TEST_F(TagsTest, HeadIsTheNewestAndDefaultStaysUntilItIsPublished) {
  EXPECT_EQ(at("head"), "3");
  EXPECT_EQ(at("default"), "1");
  ASSERT_TRUE(move("default", "1", "3"));
  EXPECT_EQ(at("default"), "3");
  // An older one that comes later, from another node.
  Version older = version(3);
  older.version = "0";
  older.created = "2026-11-01T10:00:00Z";
  older.commit = std::string(64, '0');
  ASSERT_TRUE(admin_->add_version(older, ""));
  EXPECT_EQ(at("head"), "3");
}

TEST_F(TagsTest, TheHistorySaysWhoWhenFromAndTo) {
  ASSERT_TRUE(move("default", "1", "2"));
  ASSERT_TRUE(move("default", "2", "1", TagMoveKind::kRollback));
  const auto moves = admin_->tag_moves(image_, "default");
  ASSERT_TRUE(moves) << moves.error().message();
  ASSERT_THAT(*moves, SizeIs(3));
  EXPECT_EQ((*moves)[0].actor, "carol");
  EXPECT_EQ((*moves)[0].kind, TagMoveKind::kCommit);
  EXPECT_EQ((*moves)[0].from, "");
  EXPECT_EQ((*moves)[1].actor, "dave");
  EXPECT_EQ((*moves)[1].from, "1");
  EXPECT_EQ((*moves)[1].to, "2");
  EXPECT_EQ((*moves)[2].kind, TagMoveKind::kRollback);
  EXPECT_FALSE((*moves)[2].at.empty());
  EXPECT_THAT(*admin_->tag_moves(image_, ""), SizeIs(6)) << "and of head";
  EXPECT_THAT(rollback_targets(*moves), IsEmpty());
  const auto rows = admin_->audit_rows(1);
  ASSERT_TRUE(rows);
  EXPECT_EQ((*rows)[0].action, "image.rollback");
  EXPECT_EQ((*rows)[0].detail, "2 -> 1");
  TagChange forced{image_, "default", "3", "1", TagMoveKind::kPublish, "dave", {hours(1), {}}};
  forced.forced = "its trial start failed";
  ASSERT_TRUE(admin_->move_tag(forced));
  EXPECT_EQ(admin_->audit_rows(1)->front().detail,
            "1 -> 3, soft 3600 s, forced: its trial start failed");
}

TEST_F(TagsTest, NobodyCanWriteHistory) {
  for (const char* role : {kAdminRole, kNodeRole, kBrokerRole}) {
    auto database = Database::connect(lab_->stepped_down(role));
    ASSERT_TRUE(database);
    for (const char* forged :
         {"UPDATE tag_moves SET actor = 'somebody'", "DELETE FROM tag_moves",
          "INSERT INTO tag_moves (actor, how, image, tag) VALUES ('a', 'tag', 'i', 't')",
          "DROP TRIGGER image_tags_note ON image_tags"})
      EXPECT_EQ(database->run("forge", forged).error().code, EACCES) << role << ": " << forged;
  }
  // A move past the program is written down too.
  auto admin = Database::connect(lab_->stepped_down(kAdminRole));
  ASSERT_TRUE(admin->run("by hand",
                         "UPDATE image_tags SET version = '2' WHERE tag = 'default' AND image_id ="
                         " (SELECT id FROM images WHERE name = $1)",
                         {image_}));
  EXPECT_EQ(admin_->tag_moves(image_, "default")->back().to, "2");
  EXPECT_EQ(admin_->tag_moves(image_, "default")->back().actor, kOwnerRole);
}

TEST_F(TagsTest, OnlyTheAdministratorMovesTags) {
  const TagChange change{image_, "default", "2", "1", TagMoveKind::kPublish, "x", {}};
  EXPECT_EQ(node_->move_tag(change).error().code, EACCES);
  EXPECT_EQ(broker_->move_tag(change).error().code, EACCES);
  EXPECT_EQ(broker_->tag_moves(image_, "").error().code, EACCES);
  EXPECT_EQ(broker_->removals().error().code, EACCES);
  const Desktop desktop = desktop_of("");
  EXPECT_EQ(broker_->set_source(desktop.id, "2", "", "x").error().code, EACCES);
  EXPECT_EQ(node_->set_source(desktop.id, "2", "", "x").error().code, EACCES);
}

TEST_F(TagsTest, RefusesWhatCannotBeWithASentence) {
  const struct {
    std::string tag, from, to;
    int code;
    const char* said;
  } table[] = {
      {"default", "2", "3", EBUSY, "is at 1 meanwhile, not at 2"},
      {"default", "1", "7", ENOENT, "has no version 7"},
      {"default", "1", "", EINVAL, "cannot be taken away"},
      {"head", "3", "1", EINVAL, "by itself"},
      {"Stable", "", "1", EINVAL, "must begin with a-z"},
      {"a b", "", "1", EINVAL, "must begin with a-z"},
      {"", "", "1", EINVAL, "must begin with a-z"},
      {std::string(33, 'a'), "", "1", EINVAL, "32 at most"},
      {"stable", "1", "2", EBUSY, "is at no version meanwhile"},
      {"stable", "", "", ENOENT, "there is no tag"},
  };
  for (const auto& row : table) {
    const auto refused = move(row.tag, row.from, row.to, TagMoveKind::kTag);
    ASSERT_FALSE(refused) << row.tag << " " << row.to;
    EXPECT_EQ(refused.error().code, row.code) << refused.error().message();
    EXPECT_THAT(refused.error().context, HasSubstr(row.said));
  }
  EXPECT_EQ(admin_->move_tag({"nosuch", "a", "1", "", TagMoveKind::kTag, "x", {}}).error().code,
            ENOENT);
  for (const Deadlines& wrong :
       {Deadlines{hours(2), hours(1)}, Deadlines{seconds(-1), {}}, Deadlines{{}, hours(24 * 3651)}})
    EXPECT_EQ(move("default", "1", "2", TagMoveKind::kPublish, wrong).error().code, EINVAL);
  EXPECT_EQ(at("default"), "1");
  Version named = version(3);
  named.version = "stable";
  named.commit = std::string(64, '9');
  ASSERT_TRUE(admin_->add_version(named, ""));
  EXPECT_THAT(move("stable", "", "1", TagMoveKind::kTag).error().context,
              HasSubstr("has a version of that name"));
}

TEST_F(TagsTest, ADesktopFollowsItsTagAtEachStart) {
  ASSERT_TRUE(move("stable", "", "1", TagMoveKind::kTag));
  const Desktop follows = desktop_of("stable");
  const Desktop usual = desktop_of("");
  const Desktop pinned = desktop_of("", "2");
  EXPECT_EQ(run(follows).running_version, "1");
  EXPECT_EQ(run(pinned).running_version, "2");
  ASSERT_TRUE(move("default", "1", "3"));
  ASSERT_TRUE(move("stable", "1", "2", TagMoveKind::kTag));
  EXPECT_EQ(run(usual).running_version, "3");
  const Desktop outdated = *admin_->desktop(follows.id);
  EXPECT_EQ(outdated.running_version, "1");
  EXPECT_EQ(outdated.next_version, "2");
  EXPECT_EQ(outdated.tag, "stable");
  EXPECT_FALSE(outdated.soft_left_ms || outdated.hard_left_ms) << "nobody hurries it";
  end(follows);
  EXPECT_EQ(run(follows).running_version, "2");

  const auto kept = move("stable", "2", "", TagMoveKind::kUntag);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, EBUSY);
  EXPECT_THAT(kept.error().context, HasSubstr("desktops follow"));
  ASSERT_TRUE(admin_->set_source(follows.id, "", "", "dave"));
  EXPECT_EQ(admin_->desktop(follows.id)->next_version, "3");
  EXPECT_TRUE(move("stable", "2", "", TagMoveKind::kUntag));
  EXPECT_THAT(admin_->set_source(follows.id, "", "stable", "dave").error().context,
              HasSubstr("has no tag stable"));
  EXPECT_THAT(admin_->set_source(follows.id, "8", "", "dave").error().context,
              HasSubstr("has no version 8"));
  EXPECT_EQ(admin_->set_source(follows.id, "2", "head", "dave").error().code, EINVAL);
  ASSERT_TRUE(admin_->set_source(follows.id, "", "head", "dave"));
  EXPECT_EQ(admin_->desktop(follows.id)->next_version, "3");
  EXPECT_EQ(admin_->set_source(1 << 30, "", "", "dave").error().code, ENOENT);
  for (const Desktop* one : {&follows, &usual, &pinned}) end(*one);
}

TEST_F(TagsTest, DeadlinesHoldForFollowersOfOtherVersionsAlone) {
  ASSERT_TRUE(move("stable", "", "1", TagMoveKind::kTag));
  const Desktop usual = run(desktop_of(""));
  const Desktop other_tag = run(desktop_of("stable"));
  const Desktop pinned = run(desktop_of("", "1"));
  ASSERT_TRUE(move("default", "1", "2", TagMoveKind::kPublish, {hours(1), hours(24)}));
  const auto left = [&](const Desktop& desktop) { return *node_->desktop(desktop.id); };
  ASSERT_TRUE(left(usual).soft_left_ms && left(usual).hard_left_ms);
  EXPECT_GT(*left(usual).soft_left_ms, 3'500'000);
  EXPECT_LE(*left(usual).soft_left_ms, 3'600'000);
  EXPECT_GT(*left(usual).hard_left_ms, 86'300'000);
  EXPECT_FALSE(left(other_tag).soft_left_ms);
  EXPECT_FALSE(left(pinned).hard_left_ms);
  EXPECT_FALSE(left(desktop_of("")).soft_left_ms) << "it does not run";

  // A later publication without deadlines takes nothing back; one with sets them anew for all.
  ASSERT_TRUE(move("default", "2", "3"));
  EXPECT_TRUE(left(usual).hard_left_ms);
  ASSERT_TRUE(move("default", "3", "3", TagMoveKind::kPublish, {{}, seconds(0)}));
  EXPECT_FALSE(left(usual).soft_left_ms);
  EXPECT_LE(*left(usual).hard_left_ms, 0);
  // Where the tag returns to, nobody has to leave.
  ASSERT_TRUE(move("default", "3", "1", TagMoveKind::kRollback));
  EXPECT_FALSE(left(usual).hard_left_ms);
  ASSERT_TRUE(move("default", "1", "2"));
  EXPECT_FALSE(left(usual).hard_left_ms);
  for (const Desktop* one : {&usual, &other_tag, &pinned}) end(*one);
}

TEST_F(TagsTest, AVersionGoesOnlyWhenNothingNamesIt) {
  ASSERT_TRUE(move("stable", "", "2", TagMoveKind::kTag));
  EXPECT_THAT(admin_->remove_version(image_, "1", "eve").error().context,
              HasSubstr("what new starts take"));
  EXPECT_THAT(admin_->remove_version(image_, "2", "eve").error().context,
              HasSubstr("has tag stable"));
  EXPECT_EQ(admin_->remove_version(image_, "2", "eve").error().code, EBUSY);
  const Desktop desktop = desktop_of("", "3");
  EXPECT_THAT(admin_->remove_version(image_, "3", "eve").error().context,
              HasSubstr("used by desktop " + desktop.name));
  ASSERT_TRUE(admin_->set_source(desktop.id, "", "", "eve"));
  ASSERT_TRUE(move("default", "1", "2"));
  EXPECT_TRUE(admin_->remove_version(image_, "3", "eve"));
  EXPECT_EQ(at("head"), "2");
  EXPECT_TRUE(admin_->remove_version(image_, "1", "eve"));
  ASSERT_TRUE(move("stable", "2", "", TagMoveKind::kUntag));
  EXPECT_EQ(admin_->remove_version(image_, "2", "eve").error().code, EBUSY)
      << "the last one, and a desktop has the image";
  EXPECT_TRUE(admin_->remove_desktop(desktop.id));
  const auto last = admin_->remove_version(image_, "2", "eve");
  EXPECT_TRUE(last) << last.error().message();
  EXPECT_EQ(at("default"), "");
  EXPECT_EQ(admin_->tag_moves(image_, "default")->back().kind, TagMoveKind::kRemove);
}

TEST_F(TagsTest, ARemovalIsWrittenDownUntilEachNodeHasMadeItTrue) {
  ASSERT_TRUE(admin_->remove_version(image_, "2", "eve"));
  const auto mine = [&]() -> std::optional<Removal> {
    const auto all = node_->removals();
    EXPECT_TRUE(all);
    for (const Removal& one : *all)
      if (one.image == image_) return one;
    return std::nullopt;
  };
  ASSERT_TRUE(mine());
  EXPECT_EQ(mine()->version, "2");
  EXPECT_EQ(mine()->commit, std::string(64, 'c'));
  EXPECT_EQ(mine()->actor, "eve");
  EXPECT_THAT(mine()->done_on, IsEmpty());
  ASSERT_TRUE(node_->finish_removal(*mine(), "n1"));
  ASSERT_TRUE(node_->finish_removal(*mine(), "n1"));
  ASSERT_TRUE(admin_->finish_removal(*mine(), "n2"));
  EXPECT_THAT(mine()->done_on, ElementsAre("n1", "n2"));
  Removal unknown = *mine();
  unknown.version = "44";
  EXPECT_EQ(node_->finish_removal(unknown, "n1").error().code, ENOENT);
  // It comes back, by a pull: it is no removed one any more.
  add(2);
  EXPECT_FALSE(mine());
}

TEST_F(TagsTest, TwoWhoMoveATagAtOnceDoNotUndoEachOther) {
  std::vector<Result<void>> results(4);
  std::vector<std::thread> operators;
  for (std::size_t i = 0; i < results.size(); ++i)
    operators.emplace_back([&, i] {
      const auto mine = lab_->as(kAdminRole);
      results[i] = mine->move_tag(
          {image_, "default", i % 2 == 0 ? "2" : "3", "1", TagMoveKind::kPublish, "o", {}});
    });
  for (auto& one : operators) one.join();
  const auto worked = std::count_if(results.begin(), results.end(),
                                    [](const auto& result) { return result.has_value(); });
  EXPECT_EQ(worked, 1);
  for (const auto& result : results)
    if (!result) {
      EXPECT_EQ(result.error().code, EBUSY) << result.error().message();
    }
  EXPECT_THAT(*admin_->tag_moves(image_, "default"), SizeIs(2));
}

TEST(TagsMigration, TakesOverDefaultsOfTheSchemaBefore) {
  Cluster* lab = Cluster::instance();
  auto owner = Database::connect(lab->conninfo(kOwnerRole, "postgres"));
  ASSERT_TRUE(owner) << owner.error().message();
  ASSERT_TRUE(owner->run("drop", "DROP DATABASE IF EXISTS former"));
  ASSERT_TRUE(owner->run("create", "CREATE DATABASE former"));
  const std::string former = lab->conninfo(kOwnerRole, "former");
  auto database = Database::connect(former);
  ASSERT_TRUE(database);
  ASSERT_TRUE(database->run_script(
      "schema",
      "CREATE TABLE schema_migrations (number integer PRIMARY KEY, name text NOT NULL,"
      " applied timestamptz NOT NULL DEFAULT now())"));
  for (const Migration& step : migrations()) {
    if (step.number > 2) break;
    ASSERT_TRUE(database->run_script(step.name, step.sql));
    ASSERT_TRUE(database->run("note", "INSERT INTO schema_migrations VALUES ($1, $2)",
                              {parameter(std::int64_t{step.number}), std::string(step.name)}));
  }
  ASSERT_TRUE(
      database->run_script("rows",
                           "INSERT INTO images (name) VALUES ('a'), ('none');"
                           "INSERT INTO versions (image_id, version, session, created) VALUES"
                           " (1, 'x', '{s}', '2026-11-20'), (1, 'y', '{s}', '2026-11-21');"
                           "UPDATE images SET default_version = 'x' WHERE name = 'a'"));
  const auto applied = migrate(former);
  ASSERT_TRUE(applied) << applied.error().message();
  EXPECT_EQ(*applied, static_cast<int>(migrations().size()) - 2);
  const auto store = Store::connect(former);
  ASSERT_TRUE(store) << store.error().message();
  const auto images = (*store)->images();
  ASSERT_TRUE(images) << images.error().message();
  ASSERT_THAT(*images, SizeIs(2));
  EXPECT_EQ((*images)[0].default_version, "x");
  EXPECT_EQ((*images)[0].head_version, "y");
  EXPECT_EQ((*images)[1].default_version, "");
  EXPECT_EQ((*store)->tag_moves("a", "default")->front().actor, "migration 0003");
}

}  // namespace
}  // namespace panal::store

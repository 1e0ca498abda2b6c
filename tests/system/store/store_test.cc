#include "runtime/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "runtime/store/database.h"
#include "tests/system/store/store_fixture.h"

namespace panal::store {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(StoreTest, KeepsUsersAsTheyWereGiven) {
  const Desktop desktop = new_desktop();
  const auto found = broker_->find_user("default", desktop.login);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->password_hash, "$argon2id$test");
  EXPECT_GE((*found)->uid, 1000U);
  EXPECT_EQ((*found)->gid, (*found)->uid);
  ASSERT_THAT((*found)->groups, SizeIs(2));
  EXPECT_EQ((*found)->groups[1].first, "video");
  EXPECT_EQ((*found)->groups[1].second, 44U);
  EXPECT_EQ(desktop.home, desktop.login);
  EXPECT_FALSE(*broker_->find_user("default", "nobody-such"));
  // A node has no use for hashes.
  const auto seen = node_->find_user("default", desktop.login);
  ASSERT_TRUE(seen && *seen);
  EXPECT_EQ((*seen)->password_hash, "");
}

TEST_F(StoreTest, RefusesBadUsersWithASentence) {
  User user;
  user.login = "Bad Login";
  EXPECT_EQ(admin_->add_user(user).error().code, EINVAL);
  EXPECT_THAT(admin_->add_user(user).error().context, HasSubstr("must begin with"));
  user.login = "root-like";
  user.uid = 10;
  EXPECT_EQ(admin_->add_user(user).error().code, EINVAL);
  user.uid = 0;
  user.login = "twice";
  ASSERT_TRUE(admin_->add_user(user));
  EXPECT_EQ(admin_->add_user(user).error().code, EEXIST);
  user.tenant = "nowhere";
  EXPECT_EQ(admin_->add_user(user).error().code, ENOENT);
  EXPECT_EQ(admin_->set_password("default", "nobody-such", "$x").error().code, ENOENT);
  EXPECT_TRUE(admin_->remove_user("default", "twice"));
  EXPECT_EQ(admin_->remove_user("default", "twice").error().code, ENOENT);
  const Desktop desktop = new_desktop();
  EXPECT_EQ(admin_->remove_user("default", desktop.login).error().code, EBUSY);
}

TEST_F(StoreTest, KeepsVersionsAndTheirSessions) {
  Version second;
  second.image = "two";
  second.version = "1";
  second.session = {"startxfce4"};
  second.created = "2026-11-23T10:00:00Z";
  ASSERT_TRUE(admin_->add_version(second, "d"));
  ASSERT_TRUE(admin_->add_version(second, ""));  // idempotent
  second.version = "2";
  second.created = "2026-11-24T10:00:00Z";
  ASSERT_TRUE(admin_->add_version(second, ""));
  const auto versions = node_->versions();
  ASSERT_TRUE(versions);
  for (const Version& version : *versions) {
    if (version.image != "icewm") continue;
    EXPECT_THAT(version.session, ::testing::ElementsAre("icewm-session", "--with space", "-x"));
  }
  const auto tags_of_two = [&] {
    const auto images = broker_->images();
    for (const Image& image : *images)
      if (image.name == "two")
        return image.default_version + " " + image.head_version + " " + image.description;
    return std::string("gone");
  };
  EXPECT_EQ(tags_of_two(), "1 2 d") << "only the first is published by itself";
  EXPECT_TRUE(admin_->remove_version("two", "2", "carol"));
  EXPECT_EQ(tags_of_two(), "1 1 d");
  EXPECT_EQ(admin_->remove_version("two", "2", "carol").error().code, ENOENT);
  const auto last = admin_->remove_version("two", "1", "carol");
  EXPECT_TRUE(last) << last.error().message();
  EXPECT_EQ(tags_of_two(), "gone");
}

TEST_F(StoreTest, TakesADesktopThroughItsLife) {
  const Desktop desktop = new_desktop();
  EXPECT_EQ(desktop.observed, Observed::kStopped);
  EXPECT_FALSE(*node_->claim_start(desktop.id, "n1", 4)) << "nobody wants it yet";
  ASSERT_TRUE(broker_->set_desired(desktop.id, Desired::kRunning, "alice"));
  EXPECT_EQ(admin_->desktop(desktop.id)->node, "n1");

  const auto claimed = node_->claim_start(desktop.id, "n1", 4);
  ASSERT_TRUE(claimed && *claimed);
  EXPECT_EQ((*claimed)->running_version, "1");
  ASSERT_TRUE((*claimed)->id_slot);
  EXPECT_EQ((*claimed)->observed, Observed::kComposing);
  EXPECT_FALSE(*node_->claim_start(desktop.id, "n1", 4)) << "claimed once";
  EXPECT_EQ(admin_->remove_version("icewm", "1", "t").error().code, EBUSY);
  EXPECT_EQ(admin_->remove_desktop(desktop.id).error().code, EBUSY);

  ASSERT_TRUE(node_->observe(desktop.id, Observed::kRunning, ""));
  ASSERT_TRUE(node_->observe_session(desktop.id, "connected", 1234));
  EXPECT_EQ(broker_->desktop(desktop.id)->session_state, "connected");
  EXPECT_EQ(broker_->desktop(desktop.id)->idle_ms, 1234U);

  ASSERT_TRUE(node_->observe(desktop.id, Observed::kFailed, "agent: no hello\nline two\x1b[2J"));
  const auto failed = broker_->desktop(desktop.id);
  EXPECT_EQ(failed->reason.find('\x1b'), std::string::npos);
  EXPECT_THAT(failed->reason, HasSubstr("agent: no hello\nline two"));
  EXPECT_FALSE(failed->id_slot);
  EXPECT_EQ(failed->session_state, "none");
  EXPECT_FALSE(*node_->claim_start(desktop.id, "n1", 4)) << "not retried by itself";
  ASSERT_TRUE(broker_->set_desired(desktop.id, Desired::kRunning, "alice"));
  EXPECT_TRUE(*node_->claim_start(desktop.id, "n1", 4)) << "asked for again";
  ASSERT_TRUE(broker_->set_desired(desktop.id, Desired::kStopped, "alice"));
  ASSERT_TRUE(node_->observe(desktop.id, Observed::kStopped, "asked"));
  EXPECT_TRUE(admin_->remove_desktop(desktop.id));
  EXPECT_EQ(admin_->desktop(desktop.id).error().code, ENOENT);
  EXPECT_EQ(broker_->set_desired(desktop.id, Desired::kRunning, "a").error().code, ENOENT);
}

TEST_F(StoreTest, GivesEachRunningDesktopItsOwnSlot) {
  std::vector<Desktop> desktops{new_desktop(), new_desktop(), new_desktop()};
  for (Desktop& desktop : desktops) {
    ASSERT_TRUE(broker_->set_desired(desktop.id, Desired::kRunning, "t"));
    desktop = *admin_->desktop(desktop.id);
  }
  // Claimed at once from several connections, as a node's workers do.
  std::vector<std::optional<std::uint32_t>> slots(desktops.size());
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < desktops.size(); ++i)
    workers.emplace_back([&, i] {
      const auto mine = lab_->as(kNodeRole);
      const auto claimed = mine->claim_start(desktops[i].id, desktops[i].node, 100);
      if (claimed && *claimed) slots[i] = (*claimed)->id_slot;
    });
  for (auto& worker : workers) worker.join();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    ASSERT_TRUE(slots[i]);
    for (std::size_t j = 0; j < i; ++j) {
      if (desktops[i].node == desktops[j].node) {
        EXPECT_NE(*slots[i], *slots[j]);
      }
    }
  }
  const Desktop one_more = new_desktop();
  ASSERT_TRUE(broker_->set_desired(one_more.id, Desired::kRunning, "t"));
  const auto refused = node_->claim_start(one_more.id, admin_->desktop(one_more.id)->node, 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOSPC);
}

TEST_F(StoreTest, OpensAHomeInOneDesktopAtATime) {
  const Desktop first = new_desktop("shared");
  const Desktop second = new_desktop("shared");
  ASSERT_TRUE(broker_->set_desired(first.id, Desired::kRunning, "t"));
  const auto refused = broker_->set_desired(second.id, Desired::kRunning, "t");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EBUSY);
  EXPECT_THAT(refused.error().context, HasSubstr(first.name));
  ASSERT_TRUE(node_->observe(first.id, Observed::kFailed, "no"));
  EXPECT_TRUE(broker_->set_desired(second.id, Desired::kRunning, "t"))
      << "a failed one holds nothing";
}

TEST_F(StoreTest, RefusesABlockedUsersStart) {
  const Desktop desktop = new_desktop();
  ASSERT_TRUE(admin_->set_blocked("default", desktop.login, true));
  EXPECT_EQ(broker_->set_desired(desktop.id, Desired::kRunning, "t").error().code, EACCES);
  EXPECT_TRUE(broker_->set_desired(desktop.id, Desired::kStopped, "t"));
}

TEST_F(StoreTest, WakesTheNodeAndTheWatchers) {
  const Desktop desktop = new_desktop();
  const std::string node = "n1";
  ASSERT_TRUE(node_->listen("panal_node_" + node));
  ASSERT_TRUE(broker_->listen("panal_desktop"));
  ASSERT_TRUE(admin_->set_desired(desktop.id, Desired::kRunning, "t"));
  const auto woken = node_->wait_notifications(std::chrono::seconds(10));
  ASSERT_TRUE(woken);
  if (admin_->desktop(desktop.id)->node == node) {
    EXPECT_THAT(*woken, Contains(std::to_string(desktop.id)));
  }
  ASSERT_TRUE(admin_->desktop(desktop.id));
  ASSERT_TRUE(node_->claim_start(desktop.id, admin_->desktop(desktop.id)->node, 100));
  ASSERT_TRUE(node_->observe(desktop.id, Observed::kStarting, "container"));
  const auto seen = broker_->wait_notifications(std::chrono::seconds(10));
  ASSERT_TRUE(seen);
  EXPECT_THAT(*seen, Contains(std::to_string(desktop.id)));
  const auto none = admin_->wait_notifications(std::chrono::milliseconds(1));
  ASSERT_TRUE(none);
  EXPECT_THAT(*none, IsEmpty());
}

TEST_F(StoreTest, AWaitCanBeEndedByAnotherThread) {
  ASSERT_TRUE(broker_->listen("panal_desktop"));
  for (int round = 0; round < 20; ++round) {
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(round));  // 0: before it waits, perhaps
      broker_->interrupt();
    });
    const auto heard = broker_->wait_notifications(std::chrono::hours(1));
    other.join();
    ASSERT_TRUE(heard) << heard.error().message();
    EXPECT_TRUE(heard->empty());
  }
}

TEST_F(StoreTest, ABrokerThatIsTakenOverCannotWriteWhatIsNotItsOwn) {
  const Desktop desktop = new_desktop();
  const auto denied = [](const auto& result) {
    return result ? std::string("allowed") : std::to_string(result.error().code);
  };
  const std::string eacces = std::to_string(EACCES);
  User user;
  user.login = "intruder";
  EXPECT_EQ(denied(broker_->add_user(user)), eacces);
  EXPECT_EQ(denied(broker_->set_password("default", desktop.login, "$x")), eacces);
  EXPECT_EQ(denied(broker_->set_blocked("default", desktop.login, false)), eacces);
  EXPECT_EQ(denied(broker_->remove_user("default", desktop.login)), eacces);
  Version version;
  version.image = "icewm";
  version.version = "evil";
  version.session = {"sh"};
  EXPECT_EQ(denied(broker_->add_version(version, "")), eacces);
  EXPECT_EQ(denied(broker_->remove_version("icewm", "1", "t")), eacces);
  EXPECT_EQ(denied(broker_->add_desktop(desktop)), eacces);
  EXPECT_EQ(denied(broker_->remove_desktop(desktop.id)), eacces);
  EXPECT_EQ(denied(broker_->register_node("fake", "1", 1)), eacces);
  EXPECT_EQ(denied(broker_->observe(desktop.id, Observed::kRunning, "")), eacces);
  EXPECT_EQ(denied(broker_->observe_session(desktop.id, "none", 0)), eacces);
  EXPECT_EQ(denied(broker_->audit_rows(1)), eacces);
  // The broker's role is the broker user's: root is not it.
  EXPECT_FALSE(Store::connect(lab_->conninfo(kBrokerRole)));
}

TEST_F(StoreTest, ANodeCannotWriteUsersOrImagesOrWishes) {
  const Desktop desktop = new_desktop();
  User user;
  user.login = "intruder";
  EXPECT_EQ(node_->add_user(user).error().code, EACCES);
  EXPECT_EQ(node_->set_desired(desktop.id, Desired::kRunning, "x").error().code, EACCES);
  EXPECT_EQ(node_->remove_version("icewm", "1", "t").error().code, EACCES);
}

TEST_F(StoreTest, KeepsSessionsAndTheAuditLog) {
  const Desktop desktop = new_desktop();
  const auto session = broker_->begin_session(desktop.id, "192.0.2.7", "panal-client");
  ASSERT_TRUE(session) << session.error().message();
  EXPECT_TRUE(broker_->end_session(*session, 10, 20, "client left"));
  EXPECT_EQ(broker_->begin_session(1 << 30, "", "").error().code, ENOENT);
  ASSERT_TRUE(broker_->audit("alice", "login", "", "from 192.0.2.7\nforged"));
  const auto rows = admin_->audit_rows(1);
  ASSERT_TRUE(rows);
  ASSERT_THAT(*rows, SizeIs(1));
  EXPECT_EQ((*rows)[0].actor, "alice");
  EXPECT_THAT((*rows)[0].detail, Not(HasSubstr("\n")));
}

TEST_F(StoreTest, AClockSetBackLeavesNoSessionThatEndedBeforeItBegan) {
  const Desktop desktop = new_desktop();
  const auto session = broker_->begin_session(desktop.id, "192.0.2.7", "panal-client");
  ASSERT_TRUE(session) << session.error().message();
  auto owner = Database::connect(lab_->conninfo(kOwnerRole));
  ASSERT_TRUE(owner) << owner.error().message();
  ASSERT_TRUE(owner->run("later",
                         "UPDATE sessions SET started = now() + interval '1 hour' WHERE id = $1",
                         {parameter(*session)}));
  ASSERT_TRUE(broker_->end_session(*session, 10, 20, "client left"));
  const auto row = owner->run("look", "SELECT ended = started FROM sessions WHERE id = $1",
                              {parameter(*session)});
  ASSERT_TRUE(row && row->count() == 1);
  EXPECT_TRUE(row->flag(0, 0));
}

TEST_F(StoreTest, AClockSetBackMakesNoDeadNodeALivingOne) {
  auto owner = Database::connect(lab_->conninfo(kOwnerRole));
  ASSERT_TRUE(owner) << owner.error().message();
  // A node that has no desktop, and was seen last an hour before the clock went back two.
  ASSERT_TRUE(node_->register_node("dead", "0.1", 43));
  ASSERT_TRUE(
      owner->run("later", "UPDATE nodes SET seen = now() + interval '1 hour' WHERE name = 'dead'"));
  for (int i = 0; i < 2; ++i) {
    const Desktop desktop = new_desktop();
    const auto asked = broker_->set_desired(desktop.id, Desired::kRunning, "test");
    ASSERT_TRUE(asked) << asked.error().message();
    const auto placed = broker_->desktop(desktop.id);
    ASSERT_TRUE(placed) << placed.error().message();
    EXPECT_EQ(placed->node, "n1");
    ASSERT_TRUE(broker_->set_desired(desktop.id, Desired::kStopped, "test"));
  }
  ASSERT_TRUE(owner->run("forget", "DELETE FROM nodes WHERE name = 'dead'"));
}

TEST_F(StoreTest, ReconnectsAfterTheServerWasKilled) {
  const Desktop desktop = new_desktop();
  ASSERT_TRUE(broker_->listen("panal_desktop"));
  lab_->stop(SIGKILL);
  // While it is down: an error that says so, no hang and no crash.
  const auto down = admin_->desktops();
  ASSERT_FALSE(down);
  EXPECT_EQ(down.error().code, ENOTCONN);
  lab_->start();
  const auto again = admin_->desktop(desktop.id);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->name, desktop.name);
  // A listener is told that it may have missed something, and hears what comes after.
  const auto resync = broker_->wait_notifications(std::chrono::seconds(10));
  ASSERT_TRUE(resync) << resync.error().message();
  EXPECT_THAT(*resync, Contains(""));
  ASSERT_TRUE(node_->observe(desktop.id, Observed::kFailed, "x"));
  const auto heard = broker_->wait_notifications(std::chrono::seconds(10));
  ASSERT_TRUE(heard);
  EXPECT_THAT(*heard, Contains(std::to_string(desktop.id)));
}

}  // namespace
}  // namespace panal::store

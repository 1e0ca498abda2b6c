#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/store/store.h"
#include "tests/system/store/store_fixture.h"

namespace panal::store {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class NetPolicies : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    desktop_ = new_desktop();
  }
  void TearDown() override {
    for (const NetTarget& target : {tenant(), image(), own()})
      (void)admin_->set_net_policy(target, "", "test");
  }
  [[nodiscard]] static NetTarget tenant() { return {NetScope::kTenant, "default", 0}; }
  [[nodiscard]] static NetTarget image() { return {NetScope::kImage, "icewm", 0}; }
  [[nodiscard]] NetTarget own() const { return {NetScope::kDesktop, "", desktop_.id}; }

  /// As its node reads it.
  [[nodiscard]] std::string now() const {
    const auto all = node_->net_policies("");
    EXPECT_TRUE(all) << all.error().message();
    for (const DesktopNetPolicy& one : all.value_or(std::vector<DesktopNetPolicy>()))
      if (one.id == desktop_.id) return one.policy + " by " + one.given_by;
    return "no such desktop";
  }
  [[nodiscard]] std::string last_audit() const {
    const auto rows = admin_->audit_rows(1);
    EXPECT_TRUE(rows);
    if (!rows || rows->empty()) return {};
    const AuditRow& row = rows->front();
    return row.actor + " " + row.action + " " + row.object + ": " + row.detail;
  }

  Desktop desktop_;
};

TEST_F(NetPolicies, TheClosestCounts) {
  EXPECT_EQ(now(), " by ");
  ASSERT_TRUE(admin_->set_net_policy(tenant(), "office", "test"));
  EXPECT_EQ(now(), "office by tenant");
  ASSERT_TRUE(admin_->set_net_policy(image(), "kiosk", "test"));
  EXPECT_EQ(now(), "kiosk by image");
  ASSERT_TRUE(admin_->set_net_policy(own(), "none", "test"));
  EXPECT_EQ(now(), "none by desktop");
  ASSERT_TRUE(admin_->set_net_policy(own(), "lab", "test"));
  EXPECT_EQ(now(), "lab by desktop");
  const auto all = admin_->net_assignments();
  ASSERT_TRUE(all) << all.error().message();
  ASSERT_THAT(*all, SizeIs(3));
  ASSERT_TRUE(admin_->set_net_policy(own(), "", "test"));
  EXPECT_EQ(now(), "kiosk by image");
  ASSERT_TRUE(admin_->set_net_policy(image(), "", "test"));
  ASSERT_TRUE(admin_->set_net_policy(tenant(), "", "test"));
  EXPECT_EQ(now(), " by ");
  EXPECT_THAT(*admin_->net_assignments(), IsEmpty());
}

TEST_F(NetPolicies, EveryChangeIsInTheAuditLog) {
  ASSERT_TRUE(admin_->set_net_policy(tenant(), "office", "alice"));
  EXPECT_EQ(last_audit(), "alice net.assign tenant default: (nothing) -> office");
  ASSERT_TRUE(admin_->set_net_policy(tenant(), "lab", "bob"));
  EXPECT_EQ(last_audit(), "bob net.assign tenant default: office -> lab");
  ASSERT_TRUE(admin_->set_net_policy(tenant(), "lab", "carol"));
  EXPECT_EQ(last_audit(), "bob net.assign tenant default: office -> lab") << "nothing changed";
  ASSERT_TRUE(admin_->set_net_policy(own(), "lab", "alice"));
  EXPECT_EQ(last_audit(),
            "alice net.assign desktop default/" + desktop_.name + ": (nothing) -> lab");
  // One that goes with its desktop.
  ASSERT_TRUE(admin_->remove_desktop(desktop_.id));
  EXPECT_THAT(last_audit(), HasSubstr("net.assign desktop " + std::to_string(desktop_.id)));
  EXPECT_THAT(last_audit(), HasSubstr("lab -> (nothing)"));
}

TEST_F(NetPolicies, WakeTheNodesConcerned) {
  ASSERT_TRUE(admin_->set_desired(desktop_.id, Desired::kRunning, "test"));
  const auto placed = admin_->desktop(desktop_.id);
  ASSERT_TRUE(placed) << placed.error().message();
  ASSERT_TRUE(node_->listen("panal_node_" + placed->node));
  for (const NetTarget& target : {tenant(), image(), own()}) {
    ASSERT_TRUE(admin_->set_net_policy(target, "office", "test"));
    const auto heard = node_->wait_notifications(std::chrono::seconds(30));
    ASSERT_TRUE(heard) << heard.error().message();
    EXPECT_THAT(*heard, Contains(kNetPayload)) << to_string(target.scope);
  }
  ASSERT_TRUE(admin_->set_desired(desktop_.id, Desired::kStopped, "test"));
}

TEST_F(NetPolicies, AreTheAdministratorsToGive) {
  for (Store* other : {node_.get(), broker_.get()})
    EXPECT_EQ(other->set_net_policy(tenant(), "office", "test").error().code, EACCES);
  EXPECT_EQ(broker_->net_policies("").error().code, EACCES);
  EXPECT_EQ(admin_->set_net_policy({NetScope::kTenant, "nowhere", 0}, "a", "t").error().code,
            ENOENT);
  EXPECT_EQ(admin_->set_net_policy({NetScope::kImage, "nowhere", 0}, "a", "t").error().code,
            ENOENT);
  EXPECT_EQ(admin_->set_net_policy({NetScope::kDesktop, "", 999'999}, "a", "t").error().code,
            ENOENT);
  const auto bad = admin_->set_net_policy(tenant(), "No Policy", "test");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, EINVAL);
  EXPECT_THAT(bad.error().context, HasSubstr("must begin with"));
}

}  // namespace
}  // namespace panal::store

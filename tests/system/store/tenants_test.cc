#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/store/store.h"
#include "tests/system/store/store_fixture.h"

namespace panal::store {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST_F(StoreTest, KeepsWhoseMemoryMayBeMerged) {
  const Desktop desktop = new_desktop();
  EXPECT_FALSE(desktop.share_memory) << "nobody has agreed who was not asked";
  EXPECT_EQ(desktop.trust, kUsualTrust);
  ASSERT_TRUE(admin_->set_trust("default", desktop.login, "guests"));
  ASSERT_TRUE(admin_->set_share_memory("default", true, "test"));
  const auto seen = node_->desktop(desktop.id);
  ASSERT_TRUE(seen) << seen.error().message();
  EXPECT_EQ(seen->trust, "guests");
  EXPECT_TRUE(seen->share_memory);
  EXPECT_EQ((*broker_->find_user("default", desktop.login))->trust, "guests");
  const auto tenants = node_->tenants();
  ASSERT_TRUE(tenants);
  ASSERT_THAT(*tenants, SizeIs(1));
  EXPECT_TRUE(tenants->front().share_memory);
  const auto rows = admin_->audit_rows(1);
  ASSERT_TRUE(rows);
  ASSERT_THAT(*rows, SizeIs(1));
  EXPECT_EQ(rows->front().action, "tenant.share_memory");
  EXPECT_EQ(rows->front().detail, "yes");
  ASSERT_TRUE(admin_->set_share_memory("default", false, "test"));
  EXPECT_FALSE(node_->desktop(desktop.id)->share_memory);

  EXPECT_EQ(admin_->set_share_memory("nowhere", true, "test").error().code, ENOENT);
  EXPECT_EQ(admin_->set_trust("default", "nobody-such", "guests").error().code, ENOENT);
  const auto bad = admin_->set_trust("default", desktop.login, "No level");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, EINVAL);
  EXPECT_THAT(bad.error().context, HasSubstr("trust level"));
  // A consent is the operator's to write down, not a node's and not a broker's.
  for (Store* other : {node_.get(), broker_.get()}) {
    EXPECT_EQ(other->set_share_memory("default", true, "test").error().code, EACCES);
    EXPECT_EQ(other->set_trust("default", desktop.login, "x").error().code, EACCES);
  }
}

TEST_F(StoreTest, ATenantHasUsersOfItsOwnAndGoesWithoutThem) {
  ASSERT_TRUE(admin_->add_tenant("acme", "test"));
  const auto twice = admin_->add_tenant("acme", "test");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, EEXIST);
  EXPECT_THAT(twice.error().context, HasSubstr("a tenant acme already"));
  const auto bad = admin_->add_tenant("No Name", "test");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, EINVAL);
  EXPECT_THAT(bad.error().context, HasSubstr("must begin with"));
  const auto rows = admin_->audit_rows(1);
  ASSERT_TRUE(rows);
  ASSERT_THAT(*rows, SizeIs(1));
  EXPECT_EQ(rows->front().action, "tenant.add") << "what was refused is not noted";
  EXPECT_EQ(rows->front().object, "acme");

  // The same login and uid in another tenant are somebody else.
  const Desktop desktop = new_desktop();
  User user;
  user.login = desktop.login;
  user.tenant = "acme";
  const auto added = admin_->add_user(user);
  ASSERT_TRUE(added) << added.error().message();
  EXPECT_EQ(added->uid, 1000U);
  const auto refused = admin_->remove_tenant("acme", "test");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EBUSY);
  EXPECT_THAT(refused.error().context, HasSubstr("has users"));
  ASSERT_TRUE(admin_->remove_user("acme", user.login));
  for (Store* other : {node_.get(), broker_.get()}) {
    EXPECT_EQ(other->add_tenant("evil", "test").error().code, EACCES);
    EXPECT_EQ(other->remove_tenant("acme", "test").error().code, EACCES);
  }
  ASSERT_TRUE(admin_->remove_tenant("acme", "test"));
  EXPECT_EQ(admin_->audit_rows(1)->front().action, "tenant.remove");
  EXPECT_EQ(admin_->remove_tenant("acme", "test").error().code, ENOENT);
  EXPECT_THAT(*node_->tenants(), SizeIs(1));
}

}  // namespace
}  // namespace panal::store

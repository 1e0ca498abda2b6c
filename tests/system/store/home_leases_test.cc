#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/system/store/store_fixture.h"

namespace panal::store {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

class HomeLeases : public StoreTest {
 protected:
  static HomeClaim claim(const Desktop& desktop, const std::string& node, seconds lasts = {}) {
    return {"default", desktop.home, node, kernel_name(desktop.id), desktop.id, lasts};
  }
  const HomeLease* of(const std::string& home) {
    leases_ = *admin_->homes().leases();
    for (const HomeLease& lease : leases_)
      if (lease.home == home) return &lease;
    return nullptr;
  }
  std::vector<HomeLease> leases_;
};

TEST_F(HomeLeases, AHomeHasOneHolderInTheFarm) {
  const Desktop desktop = new_desktop();
  ASSERT_TRUE(node_->homes().take(claim(desktop, "n1")));
  ASSERT_TRUE(node_->homes().take(claim(desktop, "n1"))) << "its own again";
  const auto* lease = of(desktop.home);
  ASSERT_NE(lease, nullptr);
  EXPECT_EQ(lease->node, "n1");
  EXPECT_EQ(lease->desktop, desktop.id);
  EXPECT_EQ(lease->expires, "") << "never by itself";
  for (const std::string& node : {std::string("n2"), std::string("n1")}) {
    HomeClaim other{"default", desktop.home, node, "backup-1", std::nullopt, seconds(60)};
    const auto refused = admin_->homes().take(other);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EBUSY);
    EXPECT_THAT(refused.error().context,
                HasSubstr("is in use by " + kernel_name(desktop.id) + " on node n1"));
    ASSERT_TRUE(admin_->homes().give_back(other)) << "another's is left alone";
  }
  EXPECT_NE(of(desktop.home), nullptr);
  ASSERT_TRUE(node_->homes().give_back(claim(desktop, "n1")));
  ASSERT_TRUE(node_->homes().give_back(claim(desktop, "n1"))) << "none is no error";
  EXPECT_EQ(of(desktop.home), nullptr);
  EXPECT_EQ(node_->homes().take({"nowhere", "x", "n1", "d1", std::nullopt, {}}).error().code,
            ENOENT);
}

TEST_F(HomeLeases, OnlyAnExpiredOneIsTakenOverAndWhoHadItIsNamed) {
  const Desktop desktop = new_desktop();
  ASSERT_TRUE(node_->homes().take(claim(desktop, "n1", seconds(1))));
  EXPECT_NE(of(desktop.home)->expires, "");
  HomeClaim other{"default", desktop.home, "n2", "backup-1", std::nullopt, seconds(60)};
  EXPECT_FALSE(admin_->homes().take(other));
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_TRUE(of(desktop.home)->expired);
  const auto grant = admin_->homes().take(other);
  ASSERT_TRUE(grant) << grant.error().message();
  EXPECT_EQ(grant->evicted, kernel_name(desktop.id) + "@n1");
  const auto kept = node_->homes().renew("n1", seconds(60));
  ASSERT_TRUE(kept);
  EXPECT_FALSE(kept->contains(desktop.id)) << "n1 learns that it has lost it";
  ASSERT_TRUE(admin_->homes().give_back(other));
}

TEST_F(HomeLeases, ANodeRenewsAndRecoversItsOwn) {
  const Desktop first = new_desktop();
  const Desktop second = new_desktop();
  const Desktop third = new_desktop();
  ASSERT_TRUE(node_->homes().take(claim(first, "n1", seconds(1))));
  ASSERT_TRUE(node_->homes().take(claim(second, "n1", seconds(1))));
  ASSERT_TRUE(node_->homes().take(claim(third, "n2", seconds(60))));
  const auto kept = node_->homes().renew("n1", seconds(0));
  ASSERT_TRUE(kept) << kept.error().message();
  EXPECT_EQ(*kept, (std::set<DesktopId>{first.id, second.id}));
  EXPECT_EQ(of(first.home)->expires, "");
  ASSERT_TRUE(node_->homes().recover("n1", {second.id}));
  EXPECT_EQ(of(first.home), nullptr);
  EXPECT_NE(of(second.home), nullptr);
  EXPECT_NE(of(third.home), nullptr) << "of another node";
  ASSERT_TRUE(node_->homes().recover("n1", {}));
  ASSERT_TRUE(node_->homes().give_back_of(third.id, "n2"));
  EXPECT_EQ(of(third.home), nullptr);
}

TEST_F(HomeLeases, UnlockIsTheOperatorsAndIsAudited) {
  const Desktop desktop = new_desktop();
  EXPECT_EQ(admin_->homes().unlock("default", desktop.home, "root").error().code, ENOENT);
  ASSERT_TRUE(node_->homes().take(claim(desktop, "n1")));
  const auto lease = admin_->homes().unlock("default", desktop.home, "root");
  ASSERT_TRUE(lease) << lease.error().message();
  EXPECT_EQ(lease->node, "n1");
  EXPECT_EQ(of(desktop.home), nullptr);
  const auto rows = admin_->audit_rows(5);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->front().action, "home.unlock");
  EXPECT_EQ(rows->front().object, "default/" + desktop.home);
}

TEST_F(HomeLeases, ARemovedDesktopHoldsNothing) {
  const Desktop desktop = new_desktop();
  ASSERT_TRUE(node_->homes().take(claim(desktop, "n1")));
  ASSERT_TRUE(admin_->remove_desktop(desktop.id));
  EXPECT_EQ(of(desktop.home), nullptr);
}

TEST_F(HomeLeases, TheBrokerHasNoPartInIt) {
  EXPECT_EQ(broker_->homes().leases().error().code, EACCES);
  const Desktop desktop = new_desktop();
  EXPECT_EQ(broker_->homes().take(claim(desktop, "n1")).error().code, EACCES);
}

}  // namespace
}  // namespace panal::store

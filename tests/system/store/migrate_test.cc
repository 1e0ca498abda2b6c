#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "runtime/store/database.h"
#include "runtime/store/migrations.h"
#include "tests/system/store/cluster.h"

namespace panal::store {
namespace {

using ::testing::HasSubstr;

class MigrateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto database = Database::connect(lab_->conninfo(kOwnerRole, "postgres"));
    ASSERT_TRUE(database) << database.error().message();
    ASSERT_TRUE(database->run("drop", "DROP DATABASE IF EXISTS trial"));
    ASSERT_TRUE(database->run("create", "CREATE DATABASE trial"));
  }

  Cluster* lab_ = Cluster::instance();
  std::string trial_ = lab_->conninfo(kOwnerRole, "trial");
};

TEST_F(MigrateTest, AppliesEachMigrationOnce) {
  const auto before = Store::connect(trial_);
  ASSERT_FALSE(before);
  EXPECT_EQ(before.error().code, EPROTO);
  EXPECT_THAT(before.error().context, HasSubstr("no Panal schema"));
  const auto first = migrate(trial_);
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ(*first, static_cast<int>(migrations().size()));
  const auto second = migrate(trial_);
  ASSERT_TRUE(second);
  EXPECT_EQ(*second, 0);
  EXPECT_TRUE(Store::connect(trial_));
}

TEST_F(MigrateTest, TwoAtOnceDoTheWorkOnce) {
  Result<int> results[4];
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&] { result = migrate(trial_); });
  for (auto& thread : threads) thread.join();
  int applied = 0;
  for (const auto& result : results) {
    ASSERT_TRUE(result) << result.error().message();
    applied += *result;
  }
  EXPECT_EQ(applied, static_cast<int>(migrations().size()));
}

TEST_F(MigrateTest, RefusesADatabaseThatIsNewerThanTheProgram) {
  ASSERT_TRUE(migrate(trial_));
  auto database = Database::connect(trial_);
  ASSERT_TRUE(database);
  ASSERT_TRUE(database->run("pretend",
                            "INSERT INTO schema_migrations (number, name) VALUES (9999, 'later')"));
  const auto refused = migrate(trial_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EPROTO);
  EXPECT_THAT(refused.error().context, HasSubstr("newer"));
  EXPECT_EQ(Store::connect(trial_).error().code, EPROTO);
}

TEST_F(MigrateTest, AFailedMigrationLeavesNothing) {
  auto database = Database::connect(trial_);
  ASSERT_TRUE(database);
  // Something in the way of the first migration's last steps.
  ASSERT_TRUE(database->run("block", "CREATE TABLE desktop_records (x int)"));
  EXPECT_FALSE(migrate(trial_));
  const auto tables = database->run("look", "SELECT to_regclass('users') IS NULL");
  ASSERT_TRUE(tables);
  EXPECT_TRUE(tables->flag(0, 0));
  ASSERT_TRUE(database->run("clear", "DROP TABLE desktop_records"));
  EXPECT_TRUE(migrate(trial_));
}

TEST(PrivateClusterTest, IsCheapAndHarmlessToEnsureAgain) {
  Cluster* lab = Cluster::instance();
  PrivateCluster again(lab->config());
  const auto made = again.ensure();
  EXPECT_TRUE(made) << made.error().message();
  const auto applied = again.prepare();
  ASSERT_TRUE(applied) << applied.error().message();
  EXPECT_EQ(*applied, 0);
  const auto program = again.program();
  ASSERT_TRUE(program);
  EXPECT_NE(program->uid, 0U);
  EXPECT_EQ(program->stop_signal, SIGINT);
}

TEST(PrivateClusterTest, SaysWhyADirectoryCannotBeUsed) {
  config::Config config = Cluster::instance()->config();
  const std::string locked = config.state_dir + "-locked";
  std::filesystem::create_directory(locked);
  ::chmod(locked.c_str(), 0700);
  config.state_dir = locked + "/state";
  const auto refused = PrivateCluster(config).ensure();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EACCES);
  EXPECT_THAT(refused.error().context, HasSubstr("chmod o+x"));
}

}  // namespace
}  // namespace panal::store

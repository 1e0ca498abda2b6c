#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/cli/doctor_storage.h"
#include "tests/unit/runtime/cli/commands_fixture.h"

namespace panal::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class HomeCommands : public Commands {
 protected:
  void SetUp() override {
    Commands::SetUp();
    homes_ = directory_ + "/state/homes";
    std::filesystem::create_directories(homes_ + "/default/alice");
    std::filesystem::create_directories(homes_ + "/acme/bob");
    std::ofstream(homes_ + "/default/alice/letter") << "hello";
  }
  /// Somebody else of the farm has alice's home.
  void lend() { ASSERT_TRUE(backends_.farm.homes.take({"default", "alice", "n2", "d7", 7, {}})); }
  std::string homes_;
};

TEST_F(HomeCommands, ListsHomesWithWhoHasThem) {
  lend();
  std::ofstream(homes_ + "/acme/.bob.lock") << "d9@n1";
  ASSERT_EQ(panal({"home", "ls", "--json"}), ExitCode::kOk) << err();
  ASSERT_EQ(json().size(), 2U);
  EXPECT_EQ(json()[0]["tenant"], "acme");
  EXPECT_EQ(json()[0]["lock"], "d9@n1");
  EXPECT_EQ(json()[1]["lease"]["node"], "n2");
  EXPECT_EQ(json()[1]["quota"], "none");
  EXPECT_EQ(json()[1]["unseen"], "not measured");
  ASSERT_EQ(panal({"home", "ls", "--measure", "--tenant", "default"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("d7@n2"));
  EXPECT_THAT(out(), Not(HasSubstr("bob")));
  backends_.farm.database_answers = false;
  EXPECT_EQ(panal({"home", "ls"}), ExitCode::kOk) << "locks are known without the database";
}

TEST_F(HomeCommands, ShowsOneAndSaysWhenThereIsNone) {
  ASSERT_EQ(panal({"home", "show", "alice", "--json", "--measure"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()["inodes"], 2);
  EXPECT_EQ(json()["lease"], nullptr);
  EXPECT_EQ(panal({"home", "show", "nobody"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("there is no home nobody of tenant default"));
  EXPECT_EQ(panal({"home", "show", "../alice"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"home", "show"}), ExitCode::kUsage);
}

TEST_F(HomeCommands, WhatIsInUseIsLeftAlone) {
  lend();
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"home", "rm", "alice"},
        std::vector<std::string>{"home", "backup", "alice", "-o", directory_ + "/b"}}) {
    EXPECT_EQ(panal(words), ExitCode::kRefused);
    EXPECT_THAT(err(), HasSubstr("home alice is in use by d7 on node n2"));
  }
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/b"));
  EXPECT_TRUE(std::filesystem::exists(homes_ + "/default/alice/letter"));
}

TEST_F(HomeCommands, RmDeletesAndGivesTheLeaseBack) {
  EXPECT_EQ(panal({"home", "rm", "alice", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_TRUE(std::filesystem::exists(homes_ + "/default/alice"));
  EXPECT_EQ(panal({"home", "rm", "alice"}), ExitCode::kOk) << err();
  EXPECT_FALSE(std::filesystem::exists(homes_ + "/default/alice"));
  EXPECT_TRUE(backends_.farm.homes.rows.empty());
  EXPECT_EQ(panal({"home", "rm", "alice"}), ExitCode::kNotFound);
  backends_.farm.database_answers = false;
  EXPECT_EQ(panal({"home", "rm", "bob", "--tenant", "acme"}), ExitCode::kNotRunning)
      << "nobody could say whether it is in use";
  EXPECT_TRUE(std::filesystem::exists(homes_ + "/acme/bob"));
}

TEST_F(HomeCommands, UnlockTakesAHomeFromANodeThatIsGone) {
  EXPECT_EQ(panal({"home", "unlock", "alice"}), ExitCode::kNotFound);
  lend();
  EXPECT_EQ(panal({"home", "unlock", "alice", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would take home alice from d7 on node n2"));
  std::ofstream(homes_ + "/default/.alice.lock") << "d7@n2";
  EXPECT_EQ(panal({"home", "unlock", "alice"}), ExitCode::kOk) << err();
  EXPECT_TRUE(backends_.farm.homes.rows.empty());
  EXPECT_FALSE(std::filesystem::exists(homes_ + "/default/.alice.lock")) << "nor by the file";
  // A lock that no lease stands behind: of a node that had another name, or another database.
  std::ofstream(homes_ + "/default/.alice.lock") << "d7@n2";
  EXPECT_EQ(panal({"home", "unlock", "alice"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("removed the lock of d7@n2"));
}

TEST_F(HomeCommands, APlainHomeHasNeitherLimitNorSnapshots) {
  EXPECT_EQ(panal({"home", "quota", "alice", "--limit", "1 GiB"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("was made without a quota"));
  EXPECT_EQ(panal({"home", "quota", "alice", "--limit", "1 GB"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"home", "quota", "--limit", "1 GiB"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"home", "snapshot", "alice", "monday"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("panal home backup"));
  EXPECT_EQ(panal({"home", "snapshot", "alice", "--ls"}), ExitCode::kOk) << err();
}

TEST_F(HomeCommands, RestoreChecksAFileWithoutTouchingAnything) {
  std::ofstream(directory_ + "/junk") << std::string(5000, 'x');
  EXPECT_EQ(panal({"home", "restore", "carol", directory_ + "/junk", "--dry-run"}),
            ExitCode::kFailed);
  EXPECT_THAT(err(), HasSubstr("no backup of a home"));
  EXPECT_EQ(panal({"home", "restore", "carol", directory_ + "/absent", "--dry-run"}),
            ExitCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(homes_ + "/default/carol"));
}

config::Config doctors_config() {
  config::Config config;
  config.node_name = "n1";
  config.homes_dir = "/srv/homes";
  return config;
}
StorageFacts facts(const std::string& homes_type) {
  StorageFacts facts;
  facts.table = {{"/", "ext4", "/dev/sda1", "rw"}, {"/srv/homes", homes_type, "server:/x", "rw"}};
  return facts;
}
const Check& named(const std::vector<Check>& checks, const std::string& name) {
  for (const Check& check : checks)
    if (check.name == name) return check;
  static const Check none{};
  return none;
}

TEST(DoctorStorage, WarnsWhenDesktopsCanFillTheDatabasesDisk) {
  auto config = doctors_config();
  const auto shared = check_storage(config, facts("ext4"));
  EXPECT_EQ(named(shared, "layers").verdict, Check::kWarning);
  EXPECT_THAT(named(shared, "layers").mend, HasSubstr("pool"));
  config.uppers_pool_bytes = std::uint64_t{1} << 30U;
  EXPECT_EQ(named(check_storage(config, facts("ext4")), "layers").verdict, Check::kOk);
  config.uppers_pool_bytes = 0;
  config.desktops_dir = "/srv/homes/x";
  EXPECT_EQ(named(check_storage(config, facts("ext4")), "layers").verdict, Check::kOk);
}

TEST(DoctorStorage, AsksThatHomesOnNfsHaveASizeAndAnswer) {
  auto config = doctors_config();
  EXPECT_EQ(named(check_storage(config, facts("nfs4")), "homes").verdict, Check::kFailed);
  config.homes_limit_bytes = std::uint64_t{1} << 30U;
  auto seen = facts("nfs4");
  EXPECT_EQ(named(check_storage(config, seen), "homes").verdict, Check::kOk);
  seen.homes_answer = fail(ETIMEDOUT, "did not answer within 10 s");
  const auto hung = named(check_storage(config, seen), "homes");
  EXPECT_EQ(hung.verdict, Check::kFailed);
  EXPECT_THAT(hung.found, HasSubstr("did not answer"));
  EXPECT_FALSE(hung.mend.empty());
}

TEST(DoctorStorage, SaysWhichQuotaAndWhyNot) {
  auto config = doctors_config();
  config.homes_quota = "project";
  config.homes_limit_bytes = std::uint64_t{1} << 30U;
  auto seen = facts("ext4");
  seen.homes = {{storage::QuotaKind::kProject, false, "project quotas are off"}};
  const auto off = named(check_storage(config, seen), "home quota");
  EXPECT_EQ(off.verdict, Check::kFailed);
  EXPECT_THAT(off.mend, HasSubstr("project quotas are off"));
  seen.homes->front() = {storage::QuotaKind::kProject, true, "they work"};
  EXPECT_EQ(named(check_storage(config, seen), "home quota").verdict, Check::kOk);
}

}  // namespace
}  // namespace panal::cli

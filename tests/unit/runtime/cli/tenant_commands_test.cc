#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/runtime/cli/commands_fixture.h"

namespace panal::cli {
namespace {

using testing::HasSubstr;

TEST_F(Commands, ATenantAgreesToShareMemoryAndTakesItBack) {
  farm_with_desktops(2);
  const bool& agreed = backends_.farm.tenants[0].share_memory;
  EXPECT_EQ(panal({"tenant", "ls", "--json"}), ExitCode::kOk) << err();
  ASSERT_EQ(json().size(), 1U);
  EXPECT_EQ(json()[0]["name"], "default");
  EXPECT_EQ(json()[0]["users"], 1);
  EXPECT_EQ(json()[0]["desktops"], 2);
  EXPECT_EQ(json()[0]["share_memory"], false) << "nobody has agreed who was not asked";
  EXPECT_EQ(panal({"tenant", "set", "default", "--share-memory", "yes", "--dry-run"}),
            ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("would set share_memory of tenant default to yes (now no)"));
  EXPECT_FALSE(agreed);
  EXPECT_EQ(panal({"tenant", "set", "default", "--share-memory", "yes"}), ExitCode::kOk) << err();
  EXPECT_TRUE(agreed);
  EXPECT_EQ(panal({"tenant", "ls"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("yes"));
  EXPECT_EQ(panal({"tenant", "set", "default", "--share-memory", "yes"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("yes already"));
  EXPECT_EQ(panal({"tenant", "set", "default", "--share-memory", "no"}), ExitCode::kOk);
  EXPECT_FALSE(agreed);
  EXPECT_EQ(panal({"tenant", "set", "bank", "--share-memory", "yes"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("no tenant bank"));
}

TEST_F(Commands, ATenantIsAddedAndGetsUsersOfItsOwn) {
  const auto& tenants = backends_.farm.tenants;
  EXPECT_EQ(panal({"tenant", "add", "acme", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would add tenant acme"));
  EXPECT_EQ(tenants.size(), 1U);
  const auto add_user = [this] {
    return panal(
        {"user", "add", "alice", "--tenant", "acme", "--password-file", directory_ + "/password"});
  };
  EXPECT_EQ(add_user(), ExitCode::kNotFound) << "before a password is asked for";
  EXPECT_THAT(err(), HasSubstr("no tenant acme"));
  EXPECT_EQ(panal({"tenant", "add", "acme"}), ExitCode::kOk) << err();
  EXPECT_EQ(tenants.size(), 2U);
  EXPECT_EQ(panal({"tenant", "add", "acme"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("exists already"));
  EXPECT_EQ(panal({"tenant", "add", "No Name"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("is no tenant name"));
  EXPECT_EQ(add_user(), ExitCode::kOk) << err();
  EXPECT_EQ(panal({"tenant", "ls", "--json"}), ExitCode::kOk);
  ASSERT_EQ(json().size(), 2U);
  EXPECT_EQ(json()[1]["name"], "acme");
  EXPECT_EQ(json()[1]["users"], 1);
  EXPECT_EQ(json()[1]["share_memory"], false);
}

TEST_F(Commands, ATenantGoesOnlyWhenNothingOfItIsLeft) {
  backends_.farm.tenants.push_back({"acme", false});
  ASSERT_EQ(panal({"user", "add", "alice", "--tenant", "acme", "--password-file",
                   directory_ + "/password"}),
            ExitCode::kOk)
      << err();
  store::Desktop desktop;
  desktop.id = 7;
  desktop.tenant = "acme";
  desktop.login = "alice";
  backends_.farm.desktops[7] = desktop;
  const std::string homes = directory_ + "/state/homes/acme";
  std::filesystem::create_directories(homes + "/alice");
  std::filesystem::create_directories(homes + "/.new.abcdef");
  std::ofstream(homes + "/.alice.lock") << "d7";
  const auto& tenants = backends_.farm.tenants;

  EXPECT_EQ(panal({"tenant", "rm", "acme"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("tenant acme still has 1 user, 1 desktop and 1 home in " + homes));
  backends_.farm.desktops.clear();
  EXPECT_EQ(panal({"tenant", "rm", "acme"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("1 user and 1 home"));
  backends_.farm.users.clear();
  EXPECT_EQ(panal({"tenant", "rm", "acme"}), ExitCode::kRefused) << "a home outlives its user";
  EXPECT_THAT(err(), HasSubstr("still has 1 home in"));
  std::filesystem::remove(homes + "/alice");
  EXPECT_EQ(panal({"tenant", "rm", "acme", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would remove tenant acme"));
  EXPECT_EQ(tenants.size(), 2U);
  EXPECT_EQ(panal({"tenant", "rm", "acme"}), ExitCode::kOk) << err();
  EXPECT_EQ(tenants.size(), 1U);
  EXPECT_EQ(panal({"tenant", "rm", "acme"}), ExitCode::kNotFound);
  EXPECT_EQ(panal({"tenant", "rm", "default"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("tenant default stays"));
}

TEST_F(Commands, AUserHasATrustLevel) {
  farm_with_desktops(1);
  const std::string& trust = backends_.farm.users[0].trust;
  EXPECT_EQ(trust, "standard");
  EXPECT_EQ(panal({"user", "set", "alice", "--trust", "guests", "--dry-run"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("(now standard)"));
  EXPECT_EQ(trust, "standard");
  EXPECT_EQ(panal({"user", "set", "alice", "--trust", "guests"}), ExitCode::kOk) << err();
  EXPECT_EQ(trust, "guests");
  EXPECT_EQ(panal({"user", "ls", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()[0]["trust"], "guests");
  EXPECT_EQ(panal({"user", "set", "nobody", "--trust", "guests"}), ExitCode::kNotFound);
}

}  // namespace
}  // namespace panal::cli

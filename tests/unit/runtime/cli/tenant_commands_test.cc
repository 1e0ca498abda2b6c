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

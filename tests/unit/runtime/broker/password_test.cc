#include "runtime/broker/auth/password.h"

#include <gtest/gtest.h>

namespace panal::auth {
namespace {

constexpr Cost kCheap{64, 1};

TEST(Password, VerifiesWhatItHashed) {
  const auto hash = hash_password("s3cret ünïcode", kCheap);
  ASSERT_TRUE(hash) << hash.error().message();
  EXPECT_TRUE(hash->starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
  EXPECT_TRUE(verify_password(*hash, "s3cret ünïcode").value());
  EXPECT_FALSE(verify_password(*hash, "s3cret").value());
  EXPECT_FALSE(verify_password(*hash, "").value());
  EXPECT_FALSE(verify_password(*hash, std::string(2000, 'x')).value());
}

TEST(Password, SaltsDiffer) {
  EXPECT_NE(hash_password("same", kCheap).value(), hash_password("same", kCheap).value());
}

TEST(Password, RefusesWhatCannotBeAPassword) {
  EXPECT_EQ(hash_password("").error().code, EINVAL);
  EXPECT_EQ(hash_password(std::string(1025, 'x')).error().code, EINVAL);
}

TEST(Password, DefaultCostWorks) {
  const auto hash = hash_password("default");
  ASSERT_TRUE(hash);
  EXPECT_TRUE(verify_password(*hash, "default").value());
}

TEST(Password, MalformedHashes) {
  for (const char* hash :
       {"", "x", "plain", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA", "$argon2id$",
        "$argon2id$v=19$m=64", "$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=64,t=9999,p=1$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=99999999999999999999,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=64,t=1,p=1$***$aGFzaA", "$argon2id$v=19$m=-1,t=1,p=1$c2FsdA$aGFzaA"}) {
    const auto verified = verify_password(hash, "anything");
    ASSERT_FALSE(verified) << hash;
    EXPECT_EQ(verified.error().code, EPROTO) << hash;
  }
}

TEST(Password, ConstantTimeEquality) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "ab"));
}

TEST(Password, RandomBytesDiffer) { EXPECT_NE(random_bytes(32).value(), random_bytes(32).value()); }

}  // namespace
}  // namespace panal::auth

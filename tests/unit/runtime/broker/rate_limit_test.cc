#include "runtime/broker/auth/rate_limit.h"

#include <gtest/gtest.h>

namespace panal::auth {
namespace {

using std::chrono::milliseconds;
constexpr RateLimit::Law kLaw{10, milliseconds(3000), milliseconds(20000), 100};

TEST(RateLimit, BurstThenSlowThenRefused) {
  RateLimit limit(kLaw);
  const RateLimit::TimePoint now{};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limit.attempt("a", now), milliseconds(0)) << i;
  EXPECT_EQ(limit.attempt("a", now), milliseconds(3000));
  EXPECT_EQ(limit.attempt("a", now), milliseconds(6000));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(limit.attempt("a", now));
  EXPECT_FALSE(limit.attempt("a", now));
  EXPECT_EQ(limit.attempt("b", now), milliseconds(0)) << "others are not slowed";
  EXPECT_EQ(limit.attempt("a", now + std::chrono::hours(1)), milliseconds(0));
}

TEST(RateLimit, SuccessForgets) {
  RateLimit limit(kLaw);
  for (int i = 0; i < 12; ++i) static_cast<void>(limit.attempt("a", {}));
  limit.success("a");
  EXPECT_EQ(limit.attempt("a", {}), milliseconds(0));
}

TEST(RateLimit, MemoryIsBounded) {
  RateLimit limit(kLaw);
  for (int i = 0; i < 10000; ++i) static_cast<void>(limit.attempt(std::to_string(i), {}));
  EXPECT_LE(limit.size(), kLaw.keys);
}

}  // namespace
}  // namespace panal::auth

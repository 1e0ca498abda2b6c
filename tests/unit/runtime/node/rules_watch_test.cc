#include "runtime/node/rules_watch.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

namespace panal::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Datagrams stand in for the kernel's.
class RulesWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int pair[2] = {-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    kernel_ = UniqueFd(pair[0]);
    events_ = UniqueFd(pair[1]);
  }
  void watch(const WatchPace& pace) {
    watch_ = RulesWatch::open(loop_, std::move(events_), [this] { ++told_; }, pace);
  }
  void change() { ASSERT_EQ(::send(kernel_.get(), "x", 1, 0), 1); }
  bool told(int times) {
    return loop_.run_until([&] { return told_ >= times; }, seconds(20));
  }
  void pass(milliseconds time) {
    (void)loop_.run_until([] { return false; }, time);
  }

  loop::Loop loop_;
  UniqueFd kernel_, events_;
  int told_ = 0;
  std::unique_ptr<RulesWatch> watch_;
};

TEST_F(RulesWatchTest, AChangeIsToldAndNothingElse) {
  watch({milliseconds(1), milliseconds(1)});
  pass(milliseconds(20));
  EXPECT_EQ(told_, 0);
  change();
  ASSERT_TRUE(told(1));
  pass(milliseconds(20));
  EXPECT_EQ(told_, 1);
  change();
  EXPECT_TRUE(told(2));
}

TEST_F(RulesWatchTest, ManyAtOnceAreOne) {
  watch({milliseconds(50), milliseconds(1)});
  for (int i = 0; i < 100; ++i) change();
  ASSERT_TRUE(told(1));
  pass(milliseconds(20));
  EXPECT_EQ(told_, 1);
}

TEST_F(RulesWatchTest, OneAfterAnotherIsToldOnceItsTimeHasCome) {
  watch({milliseconds(1), milliseconds(300)});
  // From before the first: however late this thread looks, the second is no earlier than that.
  const auto begin = std::chrono::steady_clock::now();
  change();
  ASSERT_TRUE(told(1));
  change();
  ASSERT_TRUE(told(2));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(299));
}

}  // namespace
}  // namespace panal::node

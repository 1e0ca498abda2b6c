#include "runtime/optimiser/session_class.h"

#include <gtest/gtest.h>

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
constexpr MonotonicNs kSecond = 1'000'000'000;

TEST(SessionClass, FollowsTheLinkAndTheInput) {
  struct Case {
    const char* what;
    SessionView session;
    bool frozen;
    MonotonicNs now_ns;
    SessionClass expected;
    bool watched = false;
  };
  const Case cases[] = {
      {"typing", {true, 0, 0}, false, 0, SessionClass::kActive},
      {"typed when the agent last spoke",
       {true, 0, 0},
       false,
       3600 * kSecond,
       SessionClass::kActive},
      {"away for a little", {true, 60'000, 0}, false, 10 * kSecond, SessionClass::kActive},
      {"the time since the agent's word counts",
       {true, 60'000, 0},
       false,
       240 * kSecond,
       SessionClass::kIdle},
      {"away by the agent's word", {true, 300'000, 0}, false, 0, SessionClass::kIdle},
      {"a clock that stands before the word",
       {true, 60'000, 5 * kSecond},
       false,
       0,
       SessionClass::kActive},
      {"no client", {false, 0, 0}, false, 0, SessionClass::kDisconnected},
      {"no client, long away", {false, 900'000, 0}, false, 0, SessionClass::kDisconnected},
      {"stopped", {false, 0, 0}, true, 0, SessionClass::kFrozen},
      {"a client comes to one that is stopped", {true, 0, 0}, true, 0, SessionClass::kActive},
      {"watches a film", {true, 900'000, 0}, false, 0, SessionClass::kActive, true},
      {"a film for nobody", {false, 0, 0}, false, 0, SessionClass::kDisconnected, true},
  };
  for (const Case& one : cases)
    EXPECT_EQ(class_of(one.session, one.frozen, one.watched, 300s, one.now_ns), one.expected)
        << one.what;
}

}  // namespace
}  // namespace panal::optimiser

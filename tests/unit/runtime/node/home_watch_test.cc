#include "runtime/node/home_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "runtime/node/lease_watch.h"

namespace panal::node {
namespace {

using std::chrono::seconds;
using storage::home_call::Answer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class HomeWatchTest : public ::testing::Test {
 protected:
  HomeWatchTest()
      : watch_({"/srv/homes", seconds(60),
                [this](const std::vector<std::string>& paths) -> Result<Answer> {
                  asked_ = paths;
                  if (cannot_ask_) return fail(EAGAIN, "16 earlier tries hang");
                  return answer(paths);
                },
                [this](DesktopId id, const std::string& why) { lost_.emplace_back(id, why); },
                Logger::silent(), [this] { return left_; },
                [this] {
                  ++rounds_;
                  return std::exchange(left_, 0U);
                }}) {}

  Answer answer(const std::vector<std::string>& paths) {
    Answer said;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      said.at = static_cast<int>(i);
      said.each.emplace_back();
      if (paths[i] == hangs_at_) return said;
      if (stale_.contains(paths[i])) said.each.back() = fail(ESTALE, "look at " + paths[i]);
    }
    said.complete = true;
    return said;
  }
  void look(int at) { watch_.look(HomeWatch::Time(seconds(at))); }

  std::vector<std::string> asked_;
  std::string hangs_at_;
  std::set<std::string> stale_;
  bool cannot_ask_ = false;
  std::size_t left_ = 0;
  int rounds_ = 0;
  std::vector<std::pair<DesktopId, std::string>> lost_;
  HomeWatch watch_;
};

TEST_F(HomeWatchTest, AsksNobodyWhenNoHomeIsOpen) {
  look(0);
  EXPECT_TRUE(asked_.empty());
  watch_.add(1, "/run/d1/home");
  watch_.add(2, "/run/d2/home");
  look(15);
  EXPECT_THAT(asked_, ElementsAre("/srv/homes", "/run/d1/home", "/run/d2/home"));
  watch_.remove(1);
  look(30);
  EXPECT_THAT(asked_, ElementsAre("/srv/homes", "/run/d2/home"));
  EXPECT_TRUE(lost_.empty());
}

TEST_F(HomeWatchTest, AStaleHomeIsItsDesktopsOnly) {
  watch_.add(1, "/run/d1/home");
  watch_.add(2, "/run/d2/home");
  stale_ = {"/run/d2/home"};
  look(0);
  EXPECT_TRUE(lost_.empty());
  look(15);
  ASSERT_EQ(lost_.size(), 1U);
  EXPECT_EQ(lost_[0].first, 2);
  EXPECT_THAT(lost_[0].second, HasSubstr("Stale file handle"));
  look(30);
  EXPECT_EQ(lost_.size(), 1U) << "told once";
}

TEST_F(HomeWatchTest, AServerThatHangsIsWaitedForAndThenEverybodys) {
  watch_.add(1, "/run/d1/home");
  watch_.add(2, "/run/d2/home");
  hangs_at_ = "/srv/homes";
  look(0);
  look(45);
  EXPECT_TRUE(lost_.empty());
  hangs_at_.clear();
  look(50);
  hangs_at_ = "/srv/homes";
  look(60);
  look(110);
  EXPECT_TRUE(lost_.empty()) << "it was back in between";
  look(120);
  EXPECT_EQ(lost_.size(), 2U);
}

TEST_F(HomeWatchTest, OneThatHangsDoesNotKeepTheOthersFromBeingLookedAt) {
  watch_.add(1, "/run/d1/home");
  watch_.add(2, "/run/d2/home");
  stale_ = {"/run/d2/home"};
  hangs_at_ = "/run/d1/home";
  look(0);
  look(15);
  EXPECT_THAT(asked_, ElementsAre("/srv/homes", "/run/d2/home", "/run/d1/home"));
  look(30);
  ASSERT_EQ(lost_.size(), 1U);
  EXPECT_EQ(lost_[0].first, 2);
  look(60);
  ASSERT_EQ(lost_.size(), 2U);
  EXPECT_EQ(lost_[1].first, 1);
}

TEST_F(HomeWatchTest, HomesThatWereLeftLockedAreUnlockedWhenTheServerAnswers) {
  left_ = 1;
  hangs_at_ = "/srv/homes";
  look(0);
  EXPECT_THAT(asked_, ElementsAre("/srv/homes")) << "also when no home is open";
  hangs_at_.clear();
  stale_ = {"/srv/homes"};
  look(15);
  stale_.clear();
  cannot_ask_ = true;
  look(30);
  EXPECT_EQ(rounds_, 0);
  cannot_ask_ = false;
  watch_.add(1, "/run/d1/home");
  hangs_at_ = "/run/d1/home";
  look(45);
  EXPECT_EQ(rounds_, 1) << "one home that hangs does not matter";
  watch_.remove(1);
  asked_.clear();
  look(60);
  EXPECT_TRUE(asked_.empty()) << "there is none any more";
  EXPECT_EQ(rounds_, 1);
}

TEST_F(HomeWatchTest, TooManyHungTriesAreNoAnswer) {
  watch_.add(1, "/run/d1/home");
  cannot_ask_ = true;
  look(0);
  look(60);
  EXPECT_EQ(lost_.size(), 1U);
}

TEST(LeaseWatch, LetsGoBeforeOthersMayTakeIt) {
  const LeaseWatch::Time start{};
  LeaseWatch leases(seconds(400), start);
  EXPECT_FALSE(leases.must_let_go(start + seconds(300)));
  EXPECT_TRUE(leases.must_let_go(start + seconds(301)));
  leases.renewed(start + seconds(200));
  EXPECT_FALSE(leases.must_let_go(start + seconds(500)));
  leases.renewed(start + seconds(100));
  EXPECT_FALSE(leases.must_let_go(start + seconds(500))) << "an older answer that came late";
  EXPECT_TRUE(leases.must_let_go(start + seconds(501)));
}

TEST(LeaseWatch, OneForEverIsNeverLetGo) {
  const LeaseWatch::Time start{};
  EXPECT_FALSE(LeaseWatch(seconds(0), start).must_let_go(start + seconds(1'000'000)));
}

}  // namespace
}  // namespace panal::node

#include "runtime/node/reconciler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <set>

#include "tests/unit/runtime/node/fake_store.h"

namespace panal::node {
namespace {

using store::Desired;
using store::Observed;

/// Desktops are sleeping children; a desktop never has two.
class FakeOperations final : public Operations {
 public:
  ~FakeOperations() override {
    for (const auto& [id, pid] : pids_) end(pid);
  }
  Result<std::optional<Started>> start(store::Store& store, DesktopId id) override {
    const auto claimed = store.claim_start(id, "n", 1);
    if (!claimed) return tl::make_unexpected(claimed.error());
    {
      std::unique_lock lock(mutex_);
      ++starts;
      EXPECT_EQ(pids_.count(id), 0U) << "started twice";
      EXPECT_TRUE(under_way_.insert(id).second) << "two operations at once";
      gate_.wait(lock, [this] { return !hold; });
      under_way_.erase(id);
    }
    if (fail_starts) {
      (void)store.observe(id, Observed::kFailed, "compose failed: no");
      return fail(EIO, "no");
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
      for (;;) ::pause();
    }
    const std::lock_guard lock(mutex_);
    pids_[id] = pid;
    Started started;
    started.spec.id = id;
    started.init = *Pidfd::open(pid);
    (void)store.observe(id, Observed::kRunning, "");
    return std::optional<Started>(std::move(started));
  }
  Result<void> stop(store::Store& store, const desktop::DesktopSpec& spec,
                    const std::string& reason) override {
    kill_desktop(spec.id);
    forget(spec.id);
    return store.observe(spec.id, Observed::kStopped, reason);
  }
  Result<void> clear(store::Store& store, DesktopId id, const desktop::DesktopSpec*,
                     Observed observed, const std::string& reason) override {
    forget(id);
    return store.observe(id, observed, reason);
  }
  std::string why_ended(DesktopId) override { return "its init ended"; }
  Result<void> remove(const desktop::DesktopSpec& spec) override {
    kill_desktop(spec.id);
    forget(spec.id);
    ++removes;
    return {};
  }

  void kill_desktop(DesktopId id) {
    const std::lock_guard lock(mutex_);
    if (pids_.count(id) > 0) ::kill(pids_[id], SIGKILL);
  }
  void open_gate() {
    {
      const std::lock_guard lock(mutex_);
      hold = false;
    }
    gate_.notify_all();
  }
  std::size_t alive() {
    const std::lock_guard lock(mutex_);
    return pids_.size();
  }

  bool hold = false;
  std::atomic<bool> fail_starts{false};
  std::atomic<int> starts{0}, removes{0};

 private:
  static void end(pid_t pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  void forget(DesktopId id) {
    const std::lock_guard lock(mutex_);
    if (pids_.count(id) > 0) end(pids_[id]);
    pids_.erase(id);
  }
  std::mutex mutex_;
  std::condition_variable gate_;
  std::map<DesktopId, pid_t> pids_;
  std::set<DesktopId> under_way_;
};

class ReconcilerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto connect = [this]() -> Result<std::unique_ptr<store::Store>> {
      return std::make_unique<FakeStore>(rows_);
    };
    clerk_ = std::move(*WorkerPool::open(1, connect));
    workers_ = std::move(*WorkerPool::open(3, connect));
    reconciler_.emplace(
        Reconciler::Parts{loop_, operations_, *workers_, *clerk_, "n", Logger::silent(),
                          [this](const store::Desktop& row, std::uint32_t in_flight) {
                            return gate_ ? gate_(row, in_flight) : std::nullopt;
                          },
                          [this](std::chrono::nanoseconds) { ++starts_ended_; },
                          [this](DesktopId id) -> std::optional<std::string> {
                            const auto found = killed_.find(id);
                            if (found == killed_.end()) return std::nullopt;
                            return found->second;
                          },
                          [this](DesktopId id) { return in_use_.count(id) > 0; },
                          [this](DesktopId id, const std::string& words) { told_[id] = words; },
                          [this] { return now_; }},
        Reconciler::Events{[this](DesktopId) { ++started_; }, [this](DesktopId) { ++ended_; }});
  }
  void TearDown() override {
    operations_.open_gate();
    workers_.reset();
    clerk_.reset();
  }

  void want(DesktopId id, Desired desired) {
    rows_->with([&](FakeRows& rows) {
      store::Desktop& row = rows.desktops[id];
      row.id = id;
      row.node = "n";
      row.desired = desired;
      if (desired == Desired::kRunning) ++row.generation;
      return 0;
    });
  }
  store::Desktop row(DesktopId id) {
    return rows_->with([&](FakeRows& rows) { return rows.desktops[id]; });
  }
  bool is_busy() const {
    for (DesktopId id = 1; id <= 20; ++id)
      if (reconciler_->busy(id)) return true;
    return false;
  }
  std::size_t on_version(const std::string& version) {
    return rows_->with([&](FakeRows& rows) {
      return static_cast<std::size_t>(
          std::count_if(rows.desktops.begin(), rows.desktops.end(), [&](const auto& item) {
            return item.second.running_version == version &&
                   item.second.observed == Observed::kRunning;
          }));
    });
  }
  /// Runs the loop until it holds; false when it does not within the (generous) limit.
  bool until(const std::function<bool()>& holds) {
    return loop_.run_until(holds, std::chrono::seconds(20));
  }

  std::shared_ptr<FakeRows> rows_ = std::make_shared<FakeRows>();
  FakeOperations operations_;
  loop::Loop loop_;
  std::unique_ptr<WorkerPool> clerk_, workers_;
  std::optional<Reconciler> reconciler_;
  std::function<std::optional<optimiser::StartWait>(const store::Desktop&, std::uint32_t)> gate_;
  std::map<DesktopId, std::string> killed_;
  std::set<DesktopId> in_use_;
  std::map<DesktopId, std::string> told_;
  Expiry::Clock::time_point now_{std::chrono::hours(1000)};
  int started_ = 0, ended_ = 0, starts_ended_ = 0;
};

TEST_F(ReconcilerTest, StartsWhatIsWantedAndStopsWhatIsNot) {
  for (DesktopId id = 1; id <= 5; ++id) want(id, Desired::kRunning);
  want(6, Desired::kStopped);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running_ids().size() == 5; }));
  EXPECT_EQ(reconciler_->states().at("stopped"), 1U);
  for (DesktopId id = 1; id <= 5; ++id) want(id, Desired::kStopped);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return operations_.alive() == 0 && !reconciler_->busy(5); }));
  EXPECT_EQ(started_, 5);
  EXPECT_EQ(ended_, 5);
}

TEST_F(ReconcilerTest, StartsOneAfterTheOtherAsTheGateLetsThemIn) {
  std::vector<DesktopId> order;
  std::uint32_t most = 0;
  gate_ = [&](const store::Desktop& row, std::uint32_t in_flight) {
    most = std::max(most, in_flight);
    if (in_flight > 0)
      return std::optional(optimiser::StartWait{"1 desktops are starting", false, "window"});
    order.push_back(row.id);
    return std::optional<optimiser::StartWait>();
  };
  for (DesktopId id = 1; id <= 5; ++id) want(id, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running_ids().size() == 5; }));
  EXPECT_THAT(order, ::testing::ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(reconciler_->waiting(), 0U);
  EXPECT_EQ(reconciler_->starting(), 0U);
  EXPECT_EQ(starts_ended_, 5);
}

TEST_F(ReconcilerTest, OneThatTheNodeKilledIsFailedAndStaysSo) {
  want(1, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running(1) != nullptr && !reconciler_->busy(1); }));
  killed_[1] = "it was killed to save its neighbours: it held 900 MiB";
  operations_.kill_desktop(1);
  ASSERT_TRUE(until([&] { return row(1).observed == Observed::kFailed; }));
  EXPECT_EQ(row(1).reason, killed_[1]);
  EXPECT_EQ(reconciler_->exits(), (optimiser::Counts{{"killed", 1}}));
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return !reconciler_->busy(1); }));
  EXPECT_EQ(operations_.starts, 1) << "only a new request starts it again";
  killed_.clear();
  want(1, Desired::kRunning);
  reconciler_->scan();
  EXPECT_TRUE(until([&] { return reconciler_->running(1) != nullptr; }));
}

TEST_F(ReconcilerTest, OneThatIsGivenUpIsEndedAndFailedWithTheReason) {
  EXPECT_FALSE(reconciler_->give_up(1, "nobody knows it"));
  want(1, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running(1) != nullptr && !reconciler_->busy(1); }));
  const std::string why = "the home is lost: no answer for 300 s";
  EXPECT_TRUE(reconciler_->give_up(1, why));
  EXPECT_FALSE(reconciler_->give_up(1, why)) << "it is being ended";
  ASSERT_TRUE(until([&] { return row(1).observed == Observed::kFailed && !reconciler_->busy(1); }));
  EXPECT_EQ(row(1).reason, why);
  EXPECT_EQ(reconciler_->given_up(), 1U);
  EXPECT_EQ(operations_.alive(), 0U);
  EXPECT_EQ(ended_, 1);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return !reconciler_->busy(1); }));
  EXPECT_EQ(operations_.starts, 1) << "only a new request starts it again";
}

TEST_F(ReconcilerTest, SaysWhyThereIsNoRoomAndStartsWhenThereIs) {
  bool full = true;
  gate_ = [&](const store::Desktop&, std::uint32_t) {
    return full ? std::optional(optimiser::StartWait{"no room for another desktop", true, "memory"})
                : std::nullopt;
  };
  for (DesktopId id = 1; id <= 3; ++id) want(id, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return row(1).reason == "no room for another desktop"; }));
  EXPECT_EQ(row(1).observed, Observed::kStopped);
  EXPECT_EQ(operations_.starts, 0);
  // One that failed before, and is asked for again, waits like the others.
  want(4, Desired::kRunning);
  rows_->with([](FakeRows& rows) { return rows.desktops[4].observed = Observed::kFailed; });
  reconciler_->scan();
  // Who is not wanted any more does not keep the others out.
  want(1, Desired::kStopped);
  reconciler_->wake("1");
  full = false;
  ASSERT_TRUE(until([&] { return reconciler_->running_ids().size() == 3; }));
  EXPECT_EQ(reconciler_->running(1), nullptr);
  EXPECT_NE(reconciler_->running(4), nullptr);
  EXPECT_EQ(reconciler_->waiting(), 0U);
}

TEST_F(ReconcilerTest, CountsAStartThatWaitsOnceHoweverOftenItAsks) {
  int asked = 0;
  gate_ = [&](const store::Desktop&, std::uint32_t) -> std::optional<optimiser::StartWait> {
    ++asked;
    if (asked <= 3) return optimiser::StartWait{"it stalls", false, "stalls"};
    if (asked <= 4) return optimiser::StartWait{"no room", true, "memory"};
    return std::nullopt;
  };
  for (DesktopId id = 1; id <= 2; ++id) want(id, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running_ids().size() == 2; }));
  const optimiser::StartTally& starts = reconciler_->starts();
  EXPECT_EQ(starts.let_through, 2U);
  EXPECT_EQ(starts.made_to_wait, (optimiser::Counts{{"stalls", 1}, {"queue", 1}}));
  EXPECT_EQ(starts.refused, (optimiser::Counts{{"memory", 1}}));
  EXPECT_EQ(starts.ended, (optimiser::Counts{{"running", 2}}));
  std::uint64_t timed = 0;
  for (const std::uint64_t count : starts.took.counts) timed += count;
  EXPECT_EQ(timed, 2U);
  std::size_t running = 0;
  for (const auto& [tenant, count] : reconciler_->running_by_tenant()) running += count;
  EXPECT_EQ(running, 2U);
}

TEST_F(ReconcilerTest, SeesWhatWasAskedWhileItWasBusy) {
  operations_.hold = true;
  want(1, Desired::kRunning);
  reconciler_->wake("1");
  ASSERT_TRUE(until([&] { return operations_.starts == 1; }));
  // Stopped in the middle of its start; the notification finds it busy.
  want(1, Desired::kStopped);
  reconciler_->wake("1");
  reconciler_->scan();
  operations_.open_gate();
  ASSERT_TRUE(
      until([&] { return row(1).observed == Observed::kStopped && !reconciler_->busy(1); }));
  EXPECT_EQ(operations_.alive(), 0U);
  EXPECT_EQ(operations_.starts, 1);
}

TEST_F(ReconcilerTest, TriesAFailedStartOnceARequest) {
  operations_.fail_starts = true;
  want(1, Desired::kRunning);
  for (int i = 0; i < 5; ++i) {
    reconciler_->scan();
    ASSERT_TRUE(until([&] { return row(1).observed == Observed::kFailed; }));
  }
  EXPECT_EQ(operations_.starts, 1);
  operations_.fail_starts = false;
  want(1, Desired::kRunning);
  reconciler_->wake("1");
  EXPECT_TRUE(until([&] { return reconciler_->running(1) != nullptr; }))
      << "a new request does not wait for an earlier one's pause";
}

TEST_F(ReconcilerTest, StartsACrashedDesktopAgainAndGivesUpInTheEnd) {
  want(1, Desired::kRunning);
  reconciler_->scan();
  for (int crash = 1; crash <= 3; ++crash) {
    ASSERT_TRUE(until([&] { return reconciler_->running(1) != nullptr; }));
    operations_.kill_desktop(1);
    ASSERT_TRUE(until([&] { return ended_ == crash; }));
  }
  ASSERT_TRUE(until([&] { return row(1).observed == Observed::kFailed; }));
  EXPECT_THAT(row(1).reason, ::testing::HasSubstr("not started again"));
  EXPECT_EQ(operations_.starts, 3);
  EXPECT_EQ(reconciler_->exits(), (optimiser::Counts{{"start_again", 2}, {"give_up", 1}}));
}

/// Their tag is at version 2 from now on, with these deadlines.
void replace_version(FakeRows& rows, std::optional<std::int64_t> soft_ms,
                     std::optional<std::int64_t> hard_ms) {
  rows.next_version = "2";
  for (auto& [id, row] : rows.desktops) {
    if (row.running_version != "1") continue;
    row.next_version = "2";
    row.soft_left_ms = soft_ms;
    row.hard_left_ms = hard_ms;
  }
}

TEST_F(ReconcilerTest, BringsDesktopsToTheNewVersionAsTheirUsersLeave) {
  rows_->with([](FakeRows& rows) { return rows.next_version = "1"; });
  for (DesktopId id = 1; id <= 8; ++id) want(id, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running_ids().size() == 8 && !is_busy(); }));
  in_use_ = {1, 2};
  rows_->with([](FakeRows& rows) {
    replace_version(rows, 0, 3'600'000);
    return 0;
  });
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return told_.size() == 2; }));
  EXPECT_THAT(told_[1], ::testing::HasSubstr("new version"));
  EXPECT_EQ(reconciler_->expired(), 0U) << "a lost link comes back";
  now_ += Expiry::kAway;
  reconciler_->scan();
  // More than may be started again at once: the others follow without another scan.
  ASSERT_TRUE(until([&] { return on_version("2") == 6 && !is_busy(); }));
  EXPECT_EQ(on_version("1"), 2U) << "somebody works";
  EXPECT_EQ(row(3).desired, Desired::kRunning);
  rows_->with([](FakeRows& rows) {
    replace_version(rows, -3'600'000, 0);
    return 0;
  });
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return on_version("2") == 8 && !is_busy(); })) << "past hard";
  EXPECT_EQ(reconciler_->expired(), 8U);
  EXPECT_EQ(operations_.starts, 16);
}

TEST_F(ReconcilerTest, ANewVersionThatDoesNotStartEndsAFewDesktopsOnly) {
  rows_->with([](FakeRows& rows) { return rows.next_version = "1"; });
  for (DesktopId id = 1; id <= 20; ++id) want(id, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running_ids().size() == 20 && !is_busy(); }));
  operations_.fail_starts = true;
  rows_->with([](FakeRows& rows) {
    replace_version(rows, std::nullopt, 0);
    return 0;
  });
  reconciler_->scan();
  ASSERT_TRUE(until([&] {
    return row(1).observed == Observed::kFailed && reconciler_->expired() >= 4 && !is_busy();
  }));
  reconciler_->scan();
  bool seen = false;
  clerk_->submit([&](store::Store&) { loop_.post([&] { seen = true; }); });
  ASSERT_TRUE(until([&] { return seen && !is_busy(); }));
  // Those that were under way when the third failed, and no more.
  EXPECT_LE(reconciler_->expired(), Expiry::kAtOnce + Expiry::kMostFailures);
  EXPECT_GE(reconciler_->running_ids().size(), 20U - Expiry::kAtOnce - Expiry::kMostFailures);
}

TEST_F(ReconcilerTest, KeepsRunningWhatRunsWhileTheDatabaseIsAway) {
  want(1, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running(1) != nullptr && !reconciler_->busy(1); }));
  rows_->with([](FakeRows& rows) { return rows.away = true; });
  bool seen = false;
  reconciler_->scan();
  clerk_->submit([&](store::Store&) { loop_.post([&] { seen = true; }); });
  ASSERT_TRUE(until([&] { return seen; }));
  EXPECT_NE(reconciler_->running(1), nullptr);
  rows_->with([](FakeRows& rows) { return rows.away = false; });
}

TEST_F(ReconcilerTest, RemovesADesktopWhoseRowIsGone) {
  want(1, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running(1) != nullptr && !reconciler_->busy(1); }));
  rows_->with([](FakeRows& rows) { return rows.desktops.erase(1); });
  reconciler_->scan();
  EXPECT_TRUE(until([&] { return operations_.removes == 1 && operations_.alive() == 0; }));
}

TEST_F(ReconcilerTest, ShutsDownWithDesktopsStillWanted) {
  for (DesktopId id = 1; id <= 3; ++id) want(id, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running_ids().size() == 3; }));
  std::vector<std::size_t> left;
  bool done = false;
  reconciler_->shut_down(true, [&](std::size_t n) { left.push_back(n); }, [&] { done = true; });
  ASSERT_TRUE(until([&] { return done; }));
  EXPECT_EQ(left.back(), 0U);
  EXPECT_EQ(operations_.alive(), 0U);
  for (DesktopId id = 1; id <= 3; ++id) EXPECT_EQ(row(id).desired, Desired::kRunning);
  reconciler_->scan();
  bool seen = false;
  clerk_->submit([&](store::Store&) { loop_.post([&] { seen = true; }); });
  ASSERT_TRUE(until([&] { return seen; }));
  EXPECT_EQ(operations_.starts, 3) << "nothing is started any more";
}

TEST_F(ReconcilerTest, ShutsDownLeavingDesktops) {
  want(1, Desired::kRunning);
  reconciler_->scan();
  ASSERT_TRUE(until([&] { return reconciler_->running(1) != nullptr && !reconciler_->busy(1); }));
  bool done = false;
  reconciler_->shut_down(false, {}, [&] { done = true; });
  ASSERT_TRUE(until([&] { return done; }));
  EXPECT_EQ(operations_.alive(), 1U);
}

}  // namespace
}  // namespace panal::node

// The whole optimiser over a real process, real swap in compressed memory and the real ksmd.
#include "runtime/optimiser/optimiser.h"

#include <future>
#include <nlohmann/json.hpp>

#include "engine/kernel/ksm.h"
#include "engine/kernel/smaps.h"
#include "tests/support/patience.h"
#include "tests/system/optimiser/real_swap_group.h"

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
using kernel::MemoryChild;
using kernel::Pages;

class RealOptimiser : public RealSwapGroup {
 protected:
  void SetUp() override {
    RealSwapGroup::SetUp();
    if (HasFatalFailure()) return;
    saved_ = ::testing::TempDir() + "panal-ksm-former";
    ::unlink(saved_.c_str());
  }
  void TearDown() override {
    optimiser_.reset();
    RealSwapGroup::TearDown();
  }
  /// Eager: what is idle is taken at once.
  static Settings eager() {
    Settings settings;
    settings.shave = true;
    settings.shaver.eagerness = 1;
    settings.shaver.freeze_after_ns = 0;
    return settings;
  }
  void open(const Settings& settings) {
    Optimiser::Parts parts{tree_, root_, parent_path(), saved_, Logger::silent()};
    parts.monitor_parent = parent_path() + "/monitors";
    auto opened = Optimiser::open(std::move(parts), settings);
    ASSERT_TRUE(opened) << opened.error().message();
    optimiser_ = std::move(*opened);
  }
  bool eventually(const std::function<bool()>& good, std::chrono::seconds patience = 60s) const {
    const auto until = std::chrono::steady_clock::now() + patience * panal::patience();
    while (!good()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(50ms);
    }
    return true;
  }
  std::uint64_t resident(const MemoryChild& child) const {
    const auto maps = kernel::read_smaps_rollup(tree_, child.pid());
    return maps ? maps->anon : 0;
  }
  bool asleep() const { return optimiser_->report()["desktops"]["7"].value("frozen", false); }

  std::string saved_;
  std::unique_ptr<Optimiser> optimiser_;
};

TEST_F(RealOptimiser, TakesFromTheDisconnectedNotFromTheActiveAndGivesBackBeforeItIsSeen) {
  const kernel::Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  const auto beside = kernel::Cgroup::create(root_, parent_path() + "/d8");
  ASSERT_TRUE(beside) << beside.error().message();
  const MemoryChild active(*beside, kSize, Pages::kDistinct);
  open(eager());
  optimiser_->started(8, {"school", "standard"}, false);
  optimiser_->session(8, true, 0);
  optimiser_->started(7, {"school", "standard"}, false);
  EXPECT_TRUE(optimiser_->treat(7, {.prefetch = Prefetch::kDrawing})) << "and then all else";
  EXPECT_TRUE(eventually([&] { return resident(child) < kSize / 4; }))
      << optimiser_->report().dump(1);
  EXPECT_GE(resident(active), kSize) << "somebody is there";
  std::promise<void> awake;
  optimiser_->wake(7, [&awake] { awake.set_value(); });
  EXPECT_EQ(awake.get_future().wait_for(5s * panal::patience()), std::future_status::ready);
  EXPECT_TRUE(eventually([&] {
    return optimiser_->report()["wakes"].value("fetched_bytes", std::uint64_t{0}) > kSize / 2;
  })) << optimiser_->report().dump(1);
  EXPECT_TRUE(child.touch());
  EXPECT_TRUE(
      eventually([&] { return optimiser_->report()["desktops"]["7"]["class"] == "active"; }));
  const auto report = optimiser_->report();
  EXPECT_GT(report["shaver"]["taken_bytes"].get<std::uint64_t>(), kSize / 2);
  EXPECT_EQ(report["errors"], 0);
  const Figures figures = optimiser_->figures();
  EXPECT_EQ(figures.tally.taken_bytes, report["shaver"]["taken_bytes"]);
  EXPECT_GT(figures.tally.verdicts.at("taken"), 0U);
  EXPECT_EQ(figures.tally.wakes, 1U);
  EXPECT_GT(figures.tally.waking.sum_seconds, 0);
  EXPECT_EQ(figures.tally.class_changes[index_of(SessionClass::kDisconnected)]
                                       [index_of(SessionClass::kActive)],
            2U);
  EXPECT_EQ(figures.desktops[index_of(SessionClass::kActive)], 2U);
}

TEST_F(RealOptimiser, TakesTheMonitorAlongOnce) {
  const kernel::Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  const auto monitors = kernel::Cgroup::create(root_, parent_path() + "/monitors/d7");
  ASSERT_TRUE(monitors) << monitors.error().message();
  const MemoryChild monitor(*monitors, 1 * kMib, Pages::kDistinct);
  // What it still shares with this program stays, and may be more than that MiB.
  const std::uint64_t before = resident(monitor);
  open(eager());
  optimiser_->started(7, {"school", "standard"}, false);
  EXPECT_TRUE(eventually([&] { return resident(monitor) + kMib / 2 < before; }))
      << optimiser_->report().dump(1);
  EXPECT_TRUE(monitor.touch());
  EXPECT_TRUE(eventually([&] { return resident(child) < kSize / 4; }))
      << optimiser_->report().dump(1);
  EXPECT_GE(resident(monitor) + kMib / 4, before) << "once is enough: it sleeps";
  const auto report = optimiser_->report();
  EXPECT_EQ(report["shaver"]["monitors"], 1);
  EXPECT_EQ(report["errors"], 0);
}

TEST_F(RealOptimiser, FreezesTheLongAwayAndThawsAtTheEnd) {
  const kernel::Cgroup group = make();
  const MemoryChild child(group, 4 * kMib, Pages::kDistinct);
  Settings settings = eager();
  settings.shaver.freeze_after_ns = 1'000'000'000;
  open(settings);
  optimiser_->started(7, {"school", "standard"}, false);
  ASSERT_TRUE(eventually([&] { return asleep(); })) << optimiser_->report().dump(1);
  std::promise<void> awake;
  optimiser_->wake(7, [&awake] { awake.set_value(); });
  EXPECT_EQ(awake.get_future().wait_for(5s * panal::patience()), std::future_status::ready);
  EXPECT_TRUE(child.touch()) << "it runs";
  optimiser_->session(7, true, 0);
  optimiser_->session(7, false, 0);
  ASSERT_TRUE(eventually([&] { return asleep(); })) << optimiser_->report().dump(1);
  const Tally tally = optimiser_->figures().tally;
  EXPECT_EQ(tally.freezes, 2U);
  EXPECT_EQ(tally.thaws, 1U);
  EXPECT_GT(tally.freezing.sum_seconds, 0);
  EXPECT_GT(tally.thawing.sum_seconds, 0);
  optimiser_.reset();
  EXPECT_TRUE(child.touch()) << "nothing stays frozen when panald ends";
}

TEST_F(RealOptimiser, FreezesWhoDoesNothingAndNotWhoComputes) {
  const kernel::Cgroup group = make();
  const MemoryChild child(group, 4 * kMib, Pages::kDistinct);
  const auto beside = kernel::Cgroup::create(root_, parent_path() + "/d8");
  ASSERT_TRUE(beside) << beside.error().message();
  const pid_t busy = ::fork();
  if (busy == 0) {
    for (volatile unsigned turns = 0;;) turns = turns + 1;
  }
  ASSERT_TRUE(beside->add(busy));
  Settings settings = eager();
  settings.shaver.freeze_quiet_after_ns = 1'000'000'000;
  open(settings);
  optimiser_->started(8, {"school", "standard"}, false);
  optimiser_->started(7, {"school", "standard"}, false);
  EXPECT_TRUE(eventually([&] { return asleep(); }, 150s)) << optimiser_->report().dump(1);
  EXPECT_EQ(optimiser_->report()["desktops"]["8"]["class"], "disconnected");
  EXPECT_GT(optimiser_->figures().tally.verdicts.at("quiet"), 0U);
  std::promise<void> awake;
  optimiser_->wake(7, [&awake] { awake.set_value(); });
  EXPECT_EQ(awake.get_future().wait_for(5s * panal::patience()), std::future_status::ready);
  EXPECT_TRUE(child.touch()) << "it runs";
  ::kill(busy, SIGKILL);
  status_of(busy);
}

TEST_F(RealOptimiser, ThawsWhatAKilledOneFroze) {
  const kernel::Cgroup group = make();
  const MemoryChild child(group, 4 * kMib, Pages::kDistinct);
  ASSERT_TRUE(group.freeze(5s));
  open(Settings{});
  optimiser_->started(7, {"school", "standard"}, false);
  EXPECT_TRUE(child.touch());
}

TEST_F(RealOptimiser, WhoWatchesIsActiveWithoutInputAndNotLongerThanItFlows) {
  const kernel::Cgroup group = make();
  const MemoryChild child(group, 4 * kMib, Pages::kDistinct);
  Settings settings;
  settings.active_bytes_per_second = 16 * 1024;
  open(settings);
  optimiser_->started(7, {"school", "standard"}, false);
  optimiser_->session(7, true, 900'000);
  const auto is = [this](const char* word) {
    return optimiser_->report()["desktops"]["7"]["class"] == word;
  };
  ASSERT_TRUE(eventually([&] { return is("idle"); })) << optimiser_->report().dump(1);
  optimiser_->flowed(7, kMib, 10s);
  std::this_thread::sleep_for(3s);
  EXPECT_TRUE(is("idle")) << "something was painted";
  std::this_thread::sleep_for(6s);
  optimiser_->flowed(7, kMib, 10s);
  EXPECT_TRUE(eventually([&] { return is("active"); }, 5s)) << optimiser_->report().dump(1);
  optimiser_->session(7, false, 0);
  EXPECT_TRUE(eventually([&] { return is("disconnected"); }, 5s));
  optimiser_->session(7, true, 900'000);
  EXPECT_TRUE(eventually([&] { return is("idle"); }, 5s)) << "the film was of another link";
}

TEST_F(RealOptimiser, EnlistsOneMergeDomainAtATime) {
  const MergeDomainId school{"school", "standard"};
  const MergeDomainId guests{"school", "guests"};
  Settings settings;
  settings.enlist = Enlist::kAll;
  open(settings);
  EXPECT_TRUE(optimiser_->enlist(1, school, false)) << "the profile asks nobody";
  EXPECT_TRUE(optimiser_->enlist(2, school, false));
  EXPECT_FALSE(optimiser_->enlist(3, guests, false));
  optimiser_->not_started(1);
  EXPECT_FALSE(optimiser_->enlist(3, guests, false)) << "2 is still about to start";
  optimiser_->ended(2);
  EXPECT_TRUE(optimiser_->enlist(3, guests, false));
  EXPECT_FALSE(optimiser_->enlist(1, school, false));
  EXPECT_EQ(optimiser_->figures().tally.enlisted, 3U);
  EXPECT_EQ(optimiser_->figures().tally.enlist_refused, (Counts{{"other_domain", 3}}));
  EXPECT_EQ(optimiser_->report()["ksm"]["domain"], "school/guests");
  open(Settings{});
  EXPECT_FALSE(optimiser_->enlist(1, school, true)) << "nobody by default";
  EXPECT_EQ(optimiser_->figures().tally.enlist_refused, (Counts{{"not_allowed", 1}}));
}

TEST_F(RealOptimiser, WaitsUntilTheProcessesOfTheFormerDomainAreGone) {
  kernel::Cgroup group = make();  // of desktop 7
  const MergeDomainId school{"school", "standard"};
  const MergeDomainId bank{"bank", "standard"};
  Settings settings;
  settings.enlist = Enlist::kConsenting;
  open(settings);
  EXPECT_FALSE(optimiser_->enlist(7, school, false)) << "it was not asked";
  EXPECT_TRUE(optimiser_->enlist(7, school, true));
  optimiser_->started(7, school, true);
  optimiser_->ended(7);
  EXPECT_FALSE(optimiser_->enlist(8, bank, true)) << "its group is there";
  ASSERT_TRUE(group.destroy(5s));
  EXPECT_TRUE(optimiser_->enlist(8, bank, true));
  EXPECT_EQ(optimiser_->figures().tally.enlist_refused,
            (Counts{{"no_consent", 1}, {"other_domain", 1}}));
  EXPECT_TRUE(eventually([&] { return optimiser_->report()["ksm"]["domain"] == "bank/standard"; }));
}

TEST_F(RealOptimiser, GovernsKsmAndPutsItBackAlsoAfterAKill) {
  const auto former = kernel::read_ksm_settings(tree_);
  ASSERT_TRUE(former);
  const kernel::Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kIdentical);
  Settings settings;
  settings.enlist = Enlist::kAll;
  const pid_t first = ::fork();
  if (first == 0) {
    auto opened =
        Optimiser::open({tree_, root_, parent_path(), saved_, Logger::silent()}, settings);
    if (!opened) ::_exit(2);
    (*opened)->started(7, {"school", "standard"}, true);
    ::pause();
  }
  EXPECT_TRUE(eventually([&] {
    const auto now = kernel::read_ksm_settings(tree_);
    return now && now->run == KsmRun::kRunning;
  }));
  ::kill(first, SIGKILL);
  status_of(first);
  open(settings);
  optimiser_->started(7, {"school", "standard"}, true);
  // All pages are alike: nearly all of it can be won, so it must be worth a burst.
  EXPECT_TRUE(eventually(
      [&] {
        return optimiser_->report()["ksm"].value("profit_bytes", std::int64_t{0}) >
               static_cast<std::int64_t>(kSize / 2);
      },
      120s))
      << optimiser_->report().dump(1);
  optimiser_.reset();
  EXPECT_EQ(kernel::read_ksm_settings(tree_).value(), *former);
}

}  // namespace
}  // namespace panal::optimiser

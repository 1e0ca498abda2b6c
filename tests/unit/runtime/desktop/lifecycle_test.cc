#include "runtime/desktop/lifecycle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fakes.h"

namespace panal::desktop {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class LifecycleTest : public ::testing::Test {
 protected:
  LifecycleTest() {
    std::string pattern = (fs::temp_directory_path() / "panal-life-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
    config_.run_dir = dir_ / "run";
    config_.state_dir = dir_ / "state";
    node_.init = ::fork();
    if (node_.init == 0) {
      for (;;) ::pause();
    }
  }
  ~LifecycleTest() override {
    end_init();
    fs::remove_all(dir_);
  }

  void end_init() {
    if (node_.init <= 0) return;
    ::kill(node_.init, SIGKILL);
    ::waitpid(node_.init, nullptr, 0);
    node_.init = -1;
  }

  static DesktopSpec spec(DesktopId id = 7) {
    DesktopSpec spec;
    spec.id = id;
    spec.version_root = "/images/icewm/1/root";
    spec.home = "alice";
    spec.user.tenant = "acme";
    spec.user.home_path = "/home/alice";
    spec.ids = IdRange{1000000, 65536};
    return spec;
  }

  fs::path dir_;
  config::Config config_;
  testing::FakeNode node_;
  testing::FakeCompose compose_{node_};
  testing::FakeHomes homes_{node_};
  testing::FakeNetwork network_{node_};
  testing::FakeGroups groups_{node_};
  testing::FakeContainers containers_{node_, groups_};
  testing::FakeShared shared_{node_};
  testing::FakeGate gate_{node_};
  Lifecycle life_{
      Parts{compose_, homes_, network_, containers_, groups_, shared_, gate_, Logger::silent()},
      config_};
};

TEST_F(LifecycleTest, TellsEachStepAndGivesTheInit) {
  std::vector<std::string> told;
  const auto running = life_.start(spec(), [&](std::string_view step) { told.emplace_back(step); });
  ASSERT_TRUE(running) << running.error().reason();
  EXPECT_THAT(told,
              ElementsAre("compose", "home", "shared", "cgroup", "container", "network", "agent"));
  EXPECT_EQ(running->init.pid(), node_.init);
  EXPECT_EQ(shared_.last_owner, 1001000U) << "nx/ is the session user's";
  EXPECT_EQ(gate_.waited, std::chrono::seconds(config_.start_timeout_seconds));
  EXPECT_EQ(containers_.last.shared_dir, life_.shared_dir(7));
  EXPECT_EQ(compose_.last.upper_dir, config_.desktop_state_dir(7) + "/upper");
  EXPECT_EQ(compose_.last.desktop, "d7");
  EXPECT_TRUE(fs::is_directory(containers_.last.log_dir));
}

struct FailureCase {
  const char* at;
  const char* step;
  bool has_evidence;
};

class LifecycleFailure : public LifecycleTest, public ::testing::WithParamInterface<FailureCase> {};

TEST_P(LifecycleFailure, NamesTheStepAndUndoesEverything) {
  node_.fails = GetParam().at;
  const auto running = life_.start(spec());
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().step, GetParam().step);
  EXPECT_EQ(running.error().cause.code, EIO);
  EXPECT_THAT(running.error().reason(), HasSubstr(std::string(GetParam().step) + " failed: "));
  EXPECT_EQ(running.error().evidence.empty(), !GetParam().has_evidence);
  EXPECT_THAT(node_.standing, IsEmpty());
  EXPECT_THAT(groups_.inits, IsEmpty());
  EXPECT_FALSE(fs::exists(config_.desktop_run_dir(7)));
  // What did not stand is not torn down, whoever's it may be.
  if (std::string(GetParam().at) == "home") {
    EXPECT_THAT(node_.calls, Not(Contains("-home")));
  }
  if (std::string(GetParam().at) == "compose") {
    EXPECT_THAT(node_.calls, Not(Contains("-compose")));
  }
  // And the next start is as if nothing had been.
  node_.fails.clear();
  EXPECT_TRUE(life_.start(spec()));
}

INSTANTIATE_TEST_SUITE_P(EachStep, LifecycleFailure,
                         ::testing::Values(FailureCase{"compose", "compose", false},
                                           FailureCase{"home", "home", false},
                                           FailureCase{"shared", "shared", false},
                                           FailureCase{"listen", "shared", false},
                                           FailureCase{"prepare", "cgroup", false},
                                           FailureCase{"container", "container", true},
                                           FailureCase{"attach", "network", true},
                                           FailureCase{"ready", "agent", true}),
                         [](const auto& one) { return std::string(one.param.at); });

TEST_F(LifecycleTest, TheGroupIsSweptOnceMoreAfterTheMounts) {
  node_.fails = "container";
  EXPECT_FALSE(life_.start(spec()));
  ASSERT_FALSE(node_.calls.empty());
  EXPECT_EQ(node_.calls.back(), "-container") << "a start whose spawner died may come late";
}

TEST_F(LifecycleTest, ADeadSpawnerIsNotTheDesktopsFaultOnce) {
  containers_.spawner_deaths = 1;
  EXPECT_TRUE(life_.start(spec()));
  EXPECT_EQ(std::count(node_.calls.begin(), node_.calls.end(), "-compose"), 1)
      << "the first start is undone";
  ASSERT_TRUE(life_.stop(spec(), milliseconds{0}));
  containers_.spawner_deaths = 2;
  const auto running = life_.start(spec());
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().step, "container");
  EXPECT_THAT(node_.standing, IsEmpty());
}

TEST_F(LifecycleTest, AnInitThatEndsBeforeTheNetworkIsAFailure) {
  end_init();
  const auto running = life_.start(spec());
  ASSERT_FALSE(running);
  EXPECT_THAT(node_.standing, IsEmpty());
}

TEST_F(LifecycleTest, ARunningDesktopIsNotStartedAgain) {
  ASSERT_TRUE(life_.start(spec()));
  const auto standing = node_.standing;
  const auto again = life_.start(spec());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().cause.code, EBUSY);
  EXPECT_EQ(node_.standing, standing) << "and it lives on";
}

TEST_F(LifecycleTest, StopAsksFirstAndRemovesAll) {
  ASSERT_TRUE(life_.start(spec()));
  node_.calls.clear();
  node_.on_poweroff = [this] { end_init(); };
  ASSERT_TRUE(life_.stop(spec(), milliseconds{60000})) << "it does not wait for the whole grace";
  EXPECT_EQ(node_.calls.front(), "poweroff");
  EXPECT_THAT(node_.standing, IsEmpty());
  EXPECT_FALSE(fs::exists(config_.desktop_run_dir(7)));
  EXPECT_TRUE(fs::exists(config_.desktop_state_dir(7) + "/log")) << "logs stay";
}

TEST_F(LifecycleTest, ASilentAgentsInitGetsASignal) {
  ASSERT_TRUE(life_.start(spec()));
  node_.knows_agent = false;
  ASSERT_TRUE(life_.stop(spec(), milliseconds{60000}));
  int status = 0;
  ASSERT_EQ(::waitpid(node_.init, &status, 0), node_.init);
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
  node_.init = -1;
  EXPECT_THAT(node_.standing, IsEmpty());
}

TEST_F(LifecycleTest, StopOfNothingSucceeds) {
  EXPECT_TRUE(life_.stop(spec(), milliseconds{60000}));
  EXPECT_TRUE(life_.stop(spec(), milliseconds{60000}));
  EXPECT_THAT(node_.calls, Not(Contains("poweroff")));
}

TEST_F(LifecycleTest, StopTriesEveryStepAndTellsTheFirstError) {
  for (const char* broken : {"-container", "-attach", "-shared", "-home", "-compose"}) {
    SCOPED_TRACE(broken);
    node_.fails.clear();
    ASSERT_TRUE(life_.start(spec()));
    node_.fails = broken;
    const auto stopped = life_.stop(spec(), milliseconds{0});
    ASSERT_FALSE(stopped);
    EXPECT_THAT(stopped.error().context, HasSubstr(broken));
    EXPECT_LE(node_.standing.size(), 1U) << "all but the broken one";
    node_.fails.clear();
    ASSERT_TRUE(life_.stop(spec(), milliseconds{0})) << "again, and now it is gone";
    EXPECT_THAT(node_.standing, IsEmpty());
  }
}

TEST_F(LifecycleTest, AdoptListensAgainAndDoesNotWait) {
  groups_.inits.insert(7);
  const auto adopted = life_.adopt(spec());
  ASSERT_TRUE(adopted);
  EXPECT_EQ(adopted->init.pid(), node_.init);
  EXPECT_THAT(node_.calls, ElementsAre("listen"));
  EXPECT_EQ(life_.adopt(spec(8)).error().code, ENOENT);
}

TEST_F(LifecycleTest, FindSeesGroupsAndDirectories) {
  groups_.inits = {3};
  fs::create_directories(config_.run_dir + "/desktops/d5");
  fs::create_directories(config_.run_dir + "/desktops/somebody-elses");
  const auto traces = life_.find();
  ASSERT_TRUE(traces);
  ASSERT_EQ(traces->size(), 2U);
  EXPECT_EQ((*traces)[0].id, 3);
  EXPECT_TRUE((*traces)[0].running);
  EXPECT_EQ((*traces)[1].id, 5);
  EXPECT_FALSE((*traces)[1].running);
}

TEST_F(LifecycleTest, LeftoversAreDiscardedAsTheyWereStarted) {
  ASSERT_TRUE(life_.start(spec()));
  EXPECT_THAT(node_.standing, Contains("home acme/alice"));
  ASSERT_TRUE(life_.discard_leftovers(7));
  EXPECT_THAT(node_.standing, IsEmpty()) << "the home too: the run directory says whose it was";
  EXPECT_FALSE(compose_.last.persistent);

  DesktopSpec kept = spec();
  kept.persistent = true;
  ASSERT_TRUE(life_.start(kept));
  ASSERT_TRUE(life_.discard_leftovers(7));
  EXPECT_TRUE(compose_.last.persistent);
}

TEST_F(LifecycleTest, LeftoversOfWhichNothingIsKnownKeepTheirUpper) {
  fs::create_directories(config_.run_dir + "/desktops/d7/root");
  std::ofstream(config_.run_dir + "/desktops/d7/saved") << "\x01\x02 nonsense";
  ASSERT_TRUE(life_.discard_leftovers(7));
  EXPECT_TRUE(compose_.last.persistent);
  EXPECT_THAT(node_.calls, Not(Contains("-home")));
  EXPECT_FALSE(fs::exists(config_.desktop_run_dir(7)));
}

TEST_F(LifecycleTest, WhatIsStillInAMountPointIsNeverDeleted) {
  ASSERT_TRUE(life_.start(spec()));
  std::ofstream(config_.desktop_run_dir(7) + "/home/thesis.odt") << "years of work";
  EXPECT_FALSE(life_.stop(spec(), milliseconds{0}));
  EXPECT_TRUE(fs::exists(config_.desktop_run_dir(7) + "/home/thesis.odt"));
}

TEST_F(LifecycleTest, AStartAfterACrashClearsTheRestFirst) {
  node_.standing = {"root", "link"};
  fs::create_directories(config_.run_dir + "/desktops/d7/root");
  ASSERT_TRUE(life_.start(spec()));
  EXPECT_THAT(node_.calls.front(), "-container");
}

TEST_F(LifecycleTest, ARootIsUnmadeByTheBackendThatMadeIt) {
  DesktopSpec other = spec();
  other.compose = "bind";
  other.layers = {"/srv/site"};
  ASSERT_TRUE(life_.start(other));
  EXPECT_EQ(compose_.last.layers, other.layers);
  EXPECT_EQ(life_.was_composed_by(7), "bind");
  EXPECT_EQ(life_.was_composed_by(8), "");
  ASSERT_TRUE(life_.discard_leftovers(7));
  EXPECT_EQ(compose_.last.backend, "bind") << "the run directory says so";
}

TEST_F(LifecycleTest, RecoverKeepsWhatLives) {
  groups_.inits = {3, 4};
  ASSERT_TRUE(life_.recover({4}));
  EXPECT_EQ(groups_.inits, (std::set<DesktopId>{4}));
  EXPECT_EQ(network_.recovered, (std::set<DesktopId>{4}));
  EXPECT_EQ(homes_.recovered, (std::set<std::string>{"d4"}));
  EXPECT_EQ(compose_.recovered.live, (std::set<std::string>{"d4"}));
  EXPECT_EQ(compose_.recovered.state + "/d3", config_.desktop_state_dir(3));
  EXPECT_EQ(compose_.recovered.run + "/d3", config_.desktop_run_dir(3));
}

}  // namespace
}  // namespace panal::desktop

#include "runtime/optimiser/gatekeeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "engine/policy/units.h"
#include "runtime/optimiser/enclosing_groups.h"
#include "tests/unit/engine/kernel/fixture_tree.h"

namespace panal::optimiser {
namespace {

using ::testing::HasSubstr;

using policy::kMib;

/// A host of 24 GiB in files.
class GatekeeperTest : public ::testing::Test {
 protected:
  GatekeeperTest() {
    available(12'000);
    runnable(1, 500);
    for (const char* resource : {"cpu", "memory", "io"}) waited(resource, 0);
    files_.write("proc/sys/kernel/pid_max", "32768\n");
    files_.write("proc/sys/kernel/threads-max", "192730\n");
  }
  void available(std::uint64_t mib) {
    files_.write("proc/meminfo", "MemTotal: 25165824 kB\nMemFree: " + std::to_string(mib * 1024) +
                                     " kB\nMemAvailable: " + std::to_string(mib * 1024) + " kB\n");
  }
  void runnable(int now, int all) {
    files_.write("proc/loadavg",
                 "0.00 0.00 0.00 " + std::to_string(now) + "/" + std::to_string(all) + " 4711\n");
  }
  void waited(const std::string& resource, std::uint64_t us) {
    const std::string line =
        " avg10=0.00 avg60=0.00 avg300=0.00 total=" + std::to_string(us) + "\n";
    files_.write("proc/pressure/" + resource, "some" + line + "full" + line);
  }
  std::optional<StartWait> ask(std::uint32_t in_flight) { return keeper_.ask("xfce", in_flight); }

  kernel::FixtureTree files_{{}};
  Tree tree_ = files_.tree();
  Gatekeeper keeper_{{tree_, 2'000 * kMib, 8}};
};

TEST_F(GatekeeperTest, LetsInWhatFits) {
  EXPECT_FALSE(ask(0));
  EXPECT_THAT(keeper_.room(),
              HasSubstr("100 more desktops fit, by estimate; memory runs out first"));
  EXPECT_EQ(keeper_.capacity().more, 100U);
}

TEST_F(GatekeeperTest, RefusesWithNumbersWhatDoesNot) {
  available(2'050);
  const auto wait = ask(0);
  ASSERT_TRUE(wait);
  EXPECT_TRUE(wait->no_room);
  EXPECT_EQ(wait->resource, "memory");
  EXPECT_EQ(wait->reason,
            "no room for another desktop of image xfce: it takes 100 MiB of memory (estimated), "
            "50.0 MiB of 24576 MiB are left beside the reserve of 2000 MiB");
}

TEST_F(GatekeeperTest, WhoTheLastResortRefusesLacksMemoryAndDoesNotQueue) {
  const StartWait wait = shut_by_last_resort("memory is short: 90 MiB are left");
  EXPECT_TRUE(wait.no_room);
  EXPECT_EQ(wait.reason, "memory is short: 90 MiB are left");
  EXPECT_EQ(wait.resource, "memory");
}

TEST_F(GatekeeperTest, CountsProcessesToo) {
  runnable(1, 32'000);
  const auto wait = ask(0);
  ASSERT_TRUE(wait);
  EXPECT_TRUE(wait->no_room);
  EXPECT_THAT(wait->reason, HasSubstr("processes and threads"));
  EXPECT_EQ(wait->resource, "kernel");
}

TEST_F(GatekeeperTest, MeasuresWhatOneMoreTakes) {
  for (std::size_t desktops = 0; desktops <= 10; desktops += 2) {
    available(12'000 - 20 * desktops);
    runnable(1, static_cast<int>(500 + 8 * desktops));
    keeper_.learn(desktops);
  }
  EXPECT_FALSE(ask(0));
  EXPECT_THAT(keeper_.room(), ::testing::ContainsRegex(
                                  "(489|490|491) more desktops fit, by what this node measured"));
}

TEST_F(GatekeeperTest, LetsNoMoreInThanThereAreWorkersOrWhileTheHostIsBusy) {
  const auto workers = ask(8);
  ASSERT_TRUE(workers);
  EXPECT_FALSE(workers->no_room);
  EXPECT_THAT(workers->reason, HasSubstr("workers"));
  EXPECT_EQ(workers->resource, "workers");
  const int crowd = 8 * static_cast<int>(std::max(1U, std::thread::hardware_concurrency())) + 8;
  runnable(crowd, crowd + 500);
  std::optional<StartWait> busy;
  for (int i = 0; i < 3; ++i) busy = ask(4);
  ASSERT_TRUE(busy);
  EXPECT_FALSE(busy->no_room);
  EXPECT_EQ(busy->resource, "window");
  EXPECT_FALSE(ask(0)) << "with none under way one may always start";
}

TEST_F(GatekeeperTest, TheGatesSettingsAreInForce) {
  policy::StartGateConfig narrow;
  narrow.first_window = 1;
  narrow.memory_some = 1;
  narrow.memory_full = 1;
  Gatekeeper keeper{{tree_, 2'000 * kMib, 8, {}, narrow}};
  const auto window = keeper.ask("xfce", 1);
  ASSERT_TRUE(window) << "one at a time, to begin with";
  EXPECT_EQ(window->resource, "window");
  EXPECT_EQ(window->reason, "as many desktops start (1) as the host bears (1 at once)");
  EXPECT_FALSE(ask(1)) << "others begin with more";
  waited("memory", 1'000'000'000);
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  const auto stalls = ask(1);
  ASSERT_TRUE(stalls);
  EXPECT_EQ(stalls->resource, "stalls");
  EXPECT_EQ(stalls->reason,
            "some tasks wait for memory 100.0 % of the time, 5.0 % is borne; starting: 1");
  EXPECT_EQ(keeper_.report().value("waits", ""), stalls->reason);
  EXPECT_FALSE(ask(0)) << "one at a time all the same";
  EXPECT_FALSE(keeper_.report().contains("waits"));
  EXPECT_EQ(keeper.ask("xfce", 1)->resource, "window") << "waiting does not count here";
}

TEST_F(GatekeeperTest, WhatCannotBeReadKeepsNobodyOut) {
  files_.write("proc/loadavg", "nonsense\n");
  EXPECT_FALSE(ask(0));
  EXPECT_EQ(keeper_.room(), "not known yet");
}

/// The same host; all desktops together have 1,000 MiB, in a group that has 30,000.
class GatekeeperInGroupsTest : public GatekeeperTest {
 protected:
  GatekeeperInGroupsTest() {
    files_.write("proc/self/mountinfo",
                 "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
    files_.write("cgroup/cgroup.controllers", "memory\n");
    group("lab", 30'000, 500, 0);
    group("lab/panal", 1'000, 0, 0);
  }
  void group(const std::string& path, std::uint64_t limit_mib, std::uint64_t used_mib,
             std::uint64_t cache_mib) {
    const std::string files = "cgroup/" + path + "/memory.";
    files_.write(files + "max", std::to_string(limit_mib * kMib) + "\n");
    files_.write(files + "current", std::to_string(used_mib * kMib) + "\n");
    files_.write(files + "stat", "anon " + std::to_string((used_mib - cache_mib) * kMib) +
                                     "\nfile " + std::to_string(cache_mib * kMib) + "\n");
    files_.write(files + "events", "oom 0\noom_kill 0\n");
    files_.write("cgroup/" + path + "/cpu.stat", "usage_usec 1\n");
  }
  Gatekeeper made() {
    auto root = kernel::CgroupRoot::open(tree_);
    EXPECT_TRUE(root) << root.error().message();
    auto groups = enclosing_groups(*root, "lab/panal");
    EXPECT_TRUE(groups) << groups.error().message();
    return Gatekeeper{{tree_, 2'000 * kMib, 8, std::move(*groups)}};
  }
  /// Five numbers of desktops of 10 MiB each, and 50 MiB that they share.
  void learn(Gatekeeper& keeper) {
    for (std::uint64_t desktops = 0; desktops <= 10; desktops += 2) {
      group("lab/panal", 1'000, desktops == 0 ? 0 : 50 + 10 * desktops, 0);
      keeper.learn(desktops);
    }
  }
};

TEST_F(GatekeeperInGroupsTest, TheLimitOfAllDesktopsCountsWhereItIsLessThanTheHost) {
  auto keeper = made();
  EXPECT_FALSE(keeper.ask("xfce", 0));
  EXPECT_EQ(keeper.capacity().more, 9U) << "a sixteenth is its reserve";
  EXPECT_THAT(keeper.room(), HasSubstr("memory in group lab/panal runs out first"));
  group("lab/panal", 1'000, 890, 0);
  const auto wait = keeper.ask("xfce", 0);
  ASSERT_TRUE(wait);
  EXPECT_TRUE(wait->no_room);
  EXPECT_EQ(wait->resource, "memory");
  EXPECT_EQ(wait->reason,
            "no room for another desktop of image xfce: it takes 100 MiB of memory in group "
            "lab/panal (estimated), 47.5 MiB of 1000 MiB are left beside the reserve of 62.5 MiB");
}

TEST_F(GatekeeperInGroupsTest, PageCacheIsRoom) {
  auto keeper = made();
  group("lab/panal", 1'000, 890, 600);
  EXPECT_FALSE(keeper.ask("xfce", 0));
  EXPECT_EQ(keeper.capacity().more, 5U) << "but for as much of it as the reserve";
}

TEST_F(GatekeeperInGroupsTest, ALimitFurtherUpCountsToo) {
  auto keeper = made();
  group("lab", 3'000, 2'600, 0);
  EXPECT_FALSE(keeper.ask("xfce", 0));
  EXPECT_EQ(keeper.capacity().more, 2U);
  EXPECT_THAT(keeper.room(), HasSubstr("memory in group lab runs out first"));
}

TEST_F(GatekeeperInGroupsTest, AGroupWithoutLimitOrThatIsGoneKeepsNobodyOut) {
  auto keeper = made();
  files_.write("cgroup/lab/panal/memory.max", "max\n");
  files_.write("cgroup/lab/memory.current", "nonsense\n");
  EXPECT_FALSE(keeper.ask("xfce", 0));
  EXPECT_EQ(keeper.capacity().more, 100U) << "the host's";
}

TEST_F(GatekeeperInGroupsTest, MeasuresEachGroupForItself) {
  auto keeper = made();
  learn(keeper);
  EXPECT_FALSE(keeper.ask("xfce", 0));
  // 1,000 without a reserve of 62.5 and the 150 that are used.
  EXPECT_EQ(keeper.capacity().more, 78U);
  EXPECT_TRUE(keeper.capacity().measured);
}

TEST_F(GatekeeperInGroupsTest, WhatStartedLatelyIsCountedBeforeItHasTakenIt) {
  auto keeper = made();
  learn(keeper);
  EXPECT_FALSE(keeper.ask("xfce", 0));
  for (int i = 0; i < 70; ++i) keeper.ended(std::chrono::milliseconds(300));
  EXPECT_FALSE(keeper.ask("xfce", 0));
  EXPECT_EQ(keeper.capacity().more, 8U);
  for (int i = 0; i < 8; ++i) keeper.ended(std::chrono::milliseconds(300));
  const auto wait = keeper.ask("xfce", 0);
  ASSERT_TRUE(wait);
  EXPECT_TRUE(wait->no_room);
}

}  // namespace
}  // namespace panal::optimiser

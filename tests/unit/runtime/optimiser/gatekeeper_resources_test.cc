// Each resource the gatekeeper counts, on a machine on which desktops take something of all of
// them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/policy/units.h"
#include "runtime/optimiser/gatekeeper.h"
#include "tests/unit/runtime/optimiser/fake_machine.h"

namespace panal::optimiser {
namespace {

using policy::kMib;
using ::testing::HasSubstr;
using ::testing::Not;

/// A gatekeeper over a fake machine, told of all that it is told of on a node.
class Keeper {
 public:
  explicit Keeper(std::uint32_t id_ranges = 0, std::uint32_t addresses = 0)
      : keeper({machine.tree, 2'000 * kMib, 8, machine.groups(), {}, id_ranges, addresses, [this] {
                  return machine.now_ns();
                }}) {}

  void start(int count, const std::string& image = "xfce") {
    for (int i = 0; i < count; ++i) keeper.came(++last_, image);
    machine.desktops += count;
    machine.write();
  }
  void rest(int looks) {
    for (int i = 0; i < looks; ++i) {
      machine.pass(30);
      keeper.flowed(static_cast<std::uint64_t>(machine.flowed_bytes));
      keeper.learn(static_cast<std::size_t>(machine.desktops));
    }
  }
  /// Four, eight, twelve desktops; with kMinutes ten minutes and more at rest in all.
  void learn(int looks = 2) {
    for (int i = 0; i < 3; ++i) {
      start(4);
      rest(looks);
    }
  }
  static constexpr int kMinutes = 9;
  const policy::Resource& of(const std::string& name, const std::string& image = {}) {
    all_ = keeper.resources(image);
    for (const policy::Resource& one : all_)
      if (one.name == name) return one;
    ADD_FAILURE() << name << " is not counted";
    return all_.front();
  }

  FakeMachine machine;
  Gatekeeper keeper;

 private:
  DesktopId last_ = 0;
  std::vector<policy::Resource> all_;
};

struct Tightest {
  const char* name;
  std::function<void(FakeMachine&)> make;  ///< it so
  unsigned more = 0;
  const char* word = nullptr;
  const char* said = nullptr;
  std::uint32_t id_ranges = 0, addresses = 0;
  int looks = 2;
};

/// What is said to fit fits, and not one more; and the refusal names what ran out.
TEST(GatekeeperResources, EachEndsItWhereTheFewestFitIntoIt) {
  using M = FakeMachine;
  for (const Tightest& one : std::vector<Tightest>{
           {"memory", [](M& m) { m.available_mib = 2'503; }, 38, "memory",
            "it takes 10.0 MiB of memory (measured)"},
           {"memory in group panal", [](M& m) { m.group_mib = 1'000; }, 81, "memory",
            "it takes 10.0 MiB of memory in group panal (measured)"},
           {"processes and threads", [](M& m) { m.pid_max = 1'003; }, 38, "kernel",
            "it takes 8 of processes and threads (measured)"},
           {"processes in group panal", [](M& m) { m.group_pids = 403; }, 35, "kernel",
            "it takes 8 of processes in group panal (measured)"},
           {"open files", [](M& m) { m.file_max = 10'040; }, 73, "kernel",
            "it takes 100 of open files (measured)"},
           {"terminals", [](M& m) { m.pty_reserve = 4'000; }, 36, "kernel",
            "it takes 2 of terminals (measured), 0 of 4096 are left beside the reserve of 4000"},
           {"keys of root", [](M& m) { m.key_max = 100; }, 80, "kernel",
            "it takes 1 of keys of root (measured)"},
           {"bytes of root's keys", [](M& m) { m.key_bytes_max = 2'010; }, 81, "kernel",
            "it takes 20 of bytes of root's keys (measured)"},
           {"id ranges of desktops", [](M&) {}, 38, "kernel",
            "it takes 1 of id ranges of desktops (measured), 0 of 50 are left", 50},
           {"addresses of the desktops' network", [](M&) {}, 48, "network",
            "it takes 1 of addresses of the desktops' network (measured), 0 of 60 are left", 0, 60},
           {"CPU in the mean of minutes", [](M& m) { m.cores = 0.06; }, 19, "cpu",
            "it takes 0.0600 cores of CPU in the mean of minutes (measured)", 0, 0,
            Keeper::kMinutes},
           {"the busiest disk's time in the mean of minutes",
            [](M& m) {
              m.disk_percent = 2;
              m.other_disk_percent = 11;
            },
            27, "io", "% of the busiest disk's time in the mean of minutes (measured)", 0, 0,
            Keeper::kMinutes},
           {"link eth0 in the mean of minutes",
            [](M& m) {
              m.link_mbit = 100;
              m.sent_mbit = 1;
              m.other_mbit = 4.5;
            },
            73, "network", "Mbit/s of link eth0 in the mean of minutes (measured)", 0, 0,
            Keeper::kMinutes}}) {
    SCOPED_TRACE(one.name);
    Keeper node(one.id_ranges, one.addresses);
    one.make(node.machine);
    node.learn(one.looks);
    const auto all = node.keeper.resources({});
    const policy::Capacity now = node.keeper.capacity();
    ASSERT_LT(now.first_out, all.size());
    EXPECT_EQ(all[now.first_out].name, one.name);
    EXPECT_EQ(now.more, one.more);
    EXPECT_TRUE(now.measured);
    EXPECT_THAT(node.keeper.room(), HasSubstr(std::to_string(one.more) +
                                              " more desktops fit, by what this node measured; " +
                                              one.name + " runs out first"));
    node.start(static_cast<int>(one.more) - 1);
    node.machine.pass(30);
    const auto last = node.keeper.ask("xfce", 0);
    EXPECT_FALSE(last) << last->reason;
    node.start(1);
    node.machine.pass(30);
    const auto wait = node.keeper.ask("xfce", 0);
    ASSERT_TRUE(wait);
    EXPECT_TRUE(wait->no_room);
    EXPECT_EQ(wait->resource, one.word);
    EXPECT_THAT(wait->reason, HasSubstr("no room for another desktop of image xfce: "));
    EXPECT_THAT(wait->reason, HasSubstr(one.said));
  }
}

TEST(GatekeeperResources, WhatIsNotKnownYetDoesNotCountAndIsSaid) {
  Keeper node;
  node.machine.file_max = 1'000;
  node.start(2);
  node.rest(1);
  EXPECT_EQ(node.of("open files").unknown, "not measured yet");
  EXPECT_THAT(node.of("CPU in the mean of minutes").unknown, HasSubstr("ten minutes"));
  EXPECT_FALSE(node.keeper.ask("xfce", 0));
  EXPECT_THAT(node.keeper.room(), HasSubstr("by estimate; memory runs out first"));
  const nlohmann::json report = node.keeper.report();
  EXPECT_EQ(report["first_out"], "memory");
  EXPECT_EQ(report["by"], "estimate");
  bool said = false;
  for (const auto& one : report["resources"])
    if (one["name"] == "open files")
      said = one["unknown"] == "not measured yet" && !one.contains("more");
  EXPECT_TRUE(said) << report.dump();
  EXPECT_FALSE(report["images"]["xfce"]["resources"].contains("open files"));
  EXPECT_TRUE(report["images"]["xfce"]["resources"].contains("memory"));
}

TEST(GatekeeperResources, WhatDesktopsTakeNothingOfNeverEndsThem) {
  Keeper node;
  node.machine.terminals = 0;
  node.machine.pty_reserve = 4'096;
  node.learn();
  const policy::Resource& terminals = node.of("terminals");
  EXPECT_EQ(terminals.unknown, "");
  EXPECT_EQ(policy::fits(terminals), policy::kNoEnd);
  EXPECT_FALSE(node.keeper.ask("xfce", 0));
}

TEST(GatekeeperResources, AHogOfTerminalsIsSeenWhileStartsWait) {
  Keeper node;
  node.learn();
  EXPECT_FALSE(node.keeper.ask("xfce", 0));
  node.machine.terminals = 300;
  node.machine.pass(11);
  const auto wait = node.keeper.ask("xfce", 0);
  ASSERT_TRUE(wait) << "without a learn(): nothing is at rest in a storm";
  EXPECT_THAT(wait->reason, HasSubstr("terminals"));
}

TEST(GatekeeperResources, WhatTheKernelLacksIsNotCounted) {
  Keeper node;
  for (const char* file : {"proc/key-users", "proc/sys/kernel/pty/max", "proc/sys/fs/file-nr"})
    node.machine.at.write(file, "nonsense\n");
  EXPECT_FALSE(node.keeper.ask("xfce", 0));
  for (const policy::Resource& one : node.keeper.resources({}))
    EXPECT_THAT(one.name, Not(testing::AnyOf("open files", "terminals", "keys of root")));
}

TEST(GatekeeperResources, StartsUnderWayHaveAddressesAndTheirShareOfTheCpu) {
  Keeper node(0, 20);
  node.learn(Keeper::kMinutes);
  (void)node.keeper.ask("xfce", 7);  // as many as the gate lets start at first
  EXPECT_EQ(policy::fits(node.of("addresses of the desktops' network")), 1U);
  const double used = node.of("CPU in the mean of minutes").used;
  EXPECT_NEAR(used, 0.001 * 19, 1e-6);
}

/// Six of IceWM, then six of XFCE, which take four times the memory and twice the tasks.
class TwoImages : public ::testing::Test {
 protected:
  void grow(const std::string& image, double mib, double tasks, int count) {
    for (int i = 0; i < count; ++i) {
      node_.keeper.came(++last_, image);
      GroupSnapshot seen;
      seen.desktop = last_;
      // Half of it is in nobody's charge, or in one's.
      seen.usage.memory.emplace();
      seen.usage.memory->anon_bytes = static_cast<std::uint64_t>(mib / 2 * 1024 * 1024);
      seen.usage.pids = static_cast<std::uint64_t>(tasks);
      seen_.push_back(seen);
      taken_mib_ += mib;
      tasks_ += tasks;
      machine().desktops += 1;
      machine().memory_mib = taken_mib_ / machine().desktops;
      machine().tasks = tasks_ / machine().desktops;
      for (int look = 0; look < 3; ++look) {
        machine().pass(30);
        for (GroupSnapshot& one : seen_) one.at_ns = machine().now_ns();
        node_.keeper.saw(seen_, 0);
        node_.keeper.learn(static_cast<std::size_t>(machine().desktops));
      }
    }
  }
  FakeMachine& machine() { return node_.machine; }

  Keeper node_;
  DesktopId last_ = 0;
  double taken_mib_ = 0, tasks_ = 0;
  std::vector<GroupSnapshot> seen_;
};

TEST_F(TwoImages, EachHasACostOfItsOwn) {
  grow("icewm", 10, 12, 6);
  EXPECT_NEAR(node_.of("memory", "icewm").cost.each, 10, 0.1);
  EXPECT_NEAR(node_.of("memory", "xfce").cost.each, 10, 0.1) << "not seen yet: as the others";
  grow("xfce", 40, 24, 6);
  EXPECT_NEAR(node_.of("memory", "icewm").cost.each, 10, 0.1);
  EXPECT_NEAR(node_.of("memory", "xfce").cost.each, 40, 0.4);
  EXPECT_NEAR(node_.of("memory", "lxqt").cost.each, 25, 0.3) << "the mean of both images";
  EXPECT_NEAR(node_.of("memory").cost.each, 25, 0.3) << "the mean of those that run";
  EXPECT_NEAR(node_.of("processes and threads", "xfce").cost.each, 24, 0.3);
  EXPECT_NEAR(node_.of("processes and threads", "icewm").cost.each, 12, 0.2);
}

TEST_F(TwoImages, TheHeavyOneIsRefusedFirstWithItsOwnNumbers) {
  grow("icewm", 10, 12, 6);
  grow("xfce", 40, 24, 6);
  machine().available_mib = 2'000 + taken_mib_ + 30;
  machine().pass(30);
  EXPECT_FALSE(node_.keeper.ask("icewm", 0));
  const auto wait = node_.keeper.ask("xfce", 0);
  ASSERT_TRUE(wait);
  EXPECT_THAT(
      wait->reason,
      ::testing::ContainsRegex("image xfce: it takes (39|40)\\.[0-9] MiB of memory \\(measured\\), "
                               "30.0 MiB of 24576 MiB are left"));
  EXPECT_THAT(node_.keeper.room(), HasSubstr("1 more desktops fit"));
  EXPECT_THAT(node_.keeper.room(), ::testing::ContainsRegex("\\(icewm [23], xfce 0\\)"));
  const nlohmann::json images = node_.keeper.report()["images"];
  EXPECT_EQ(images["xfce"]["more"], 0);
  EXPECT_EQ(images["xfce"]["first_out"], "memory");
  EXPECT_EQ(images["xfce"]["running"], 6);
  EXPECT_GE(images["icewm"]["more"], 2);
}

TEST_F(TwoImages, WhoEndsIsNoMoreCounted) {
  grow("icewm", 10, 12, 3);
  grow("xfce", 40, 24, 1);
  EXPECT_EQ(node_.keeper.report()["images"].size(), 2U);
  node_.keeper.gone(last_);
  EXPECT_EQ(node_.keeper.report()["images"].size(), 1U);
  EXPECT_THAT(node_.keeper.room(), Not(HasSubstr("(icewm")));
}

}  // namespace
}  // namespace panal::optimiser

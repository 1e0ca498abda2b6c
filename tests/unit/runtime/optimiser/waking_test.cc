// A user returns, over a machine of plain files: who is waited for, and what a desktop that ends
// while its memory is recorded leaves behind.
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "runtime/optimiser/optimiser.h"
#include "tests/unit/runtime/optimiser/fake_node.h"

namespace panal::optimiser {
namespace {

/// Four pages, of which one came back and three are in swap.
void give_process(FakeNode& node, DesktopId id) {
  const std::string pid = std::to_string(::getpid());
  const std::string proc = "proc/" + pid + "/";
  node.files.write(FakeNode::at(id, "cgroup.procs"), pid + "\n");
  node.files.write(proc + "cgroup", "0::/panal/" + kernel_name(id) + "\n");
  node.files.write(proc + "comm", "nxagent\n");
  node.files.write(proc + "stat",
                   pid + " (nxagent) S 1 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9000 0 0\n");
  node.files.write(proc + "smaps",
                   "00010000-00014000 rw-p 00000000 00:00 0\nSize: 16 kB\nRss: 4 kB\nPss: 4 kB\n"
                   "Anonymous: 4 kB\nSwap: 12 kB\nSwapPss: 12 kB\nVmFlags: rd wr\n");
  std::string map(0x10 * 8, '\0');
  for (const std::uint64_t bits : {(1ULL << 63) | (1ULL << 56), 1ULL << 62, 1ULL << 62, 1ULL << 62})
    map.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  node.files.write(proc + "pagemap", map);
}

TEST(Waking, LeavesNoRecordOfADesktopThatEndedMeanwhile) {
  FakeNode node;
  node.desktop(1, 16 << 10);
  give_process(node, 1);
  std::filesystem::create_directories(node.files.path() + "/hot");
  auto opened = Optimiser::open({node.tree, node.root, "panal", node.files.path() + "/ksm.former",
                                 Logger::silent(), node.files.path() + "/hot"},
                                Settings{});
  ASSERT_TRUE(opened) << opened.error().message();
  Optimiser& optimiser = **opened;
  optimiser.started(1, {"school", "standard"}, false);
  const DesktopId ids[] = {1};
  optimiser.freeze_all(ids);
  std::atomic<bool> awake{false};
  optimiser.wake(1, [&awake] { awake = true; });
  ASSERT_TRUE(eventually([&] { return awake.load(); }));
  node.hold("hot/1.new");  // whoever writes the record waits here
  optimiser.session(1, true, 0);
  const auto records = [&] { return optimiser.figures().tally.records; };
  ASSERT_TRUE(eventually([&] { return records() == 1; })) << optimiser.report().dump(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  optimiser.ended(1);
  node.let_go_on("hot/1.new");
  const auto left = [&](const char* name) {
    return std::filesystem::exists(node.files.path() + "/hot/" + name);
  };
  EXPECT_TRUE(eventually([&] { return !left("1.new"); })) << "it was written";
  EXPECT_TRUE(eventually([&] { return !left("1"); }, std::chrono::seconds(2)));
}

TEST(Waking, FetchesAlsoWhatThisOneDidNotTake) {
  constexpr std::uint64_t kMuch = 8 << 20;
  FakeNode node;
  for (const DesktopId id : {1, 2}) node.desktop(id, 16 << 20);
  // By the kernel, or by a panald that was killed since.
  node.files.write(FakeNode::at(1, "memory.swap.current"), std::to_string(kMuch) + "\n");
  auto opened = Optimiser::open(
      {node.tree, node.root, "panal", node.files.path() + "/ksm.former", Logger::silent()},
      Settings{});
  ASSERT_TRUE(opened) << opened.error().message();
  Optimiser& optimiser = **opened;
  for (const DesktopId id : {1, 2}) optimiser.started(id, {"school", "standard"}, false);
  ASSERT_TRUE(eventually([&] {
    const auto seen = optimiser.last_seen();
    return seen.size() == 2 && seen[0].usage.memory && seen[1].usage.memory &&
           seen[0].usage.memory->swap_bytes == kMuch;
  })) << optimiser.report().dump(1);
  std::atomic<int> awake{0};
  for (const DesktopId id : {1, 2}) optimiser.wake(id, [&awake] { ++awake; });
  ASSERT_TRUE(eventually([&] { return awake == 2; }));
  EXPECT_EQ(optimiser.figures().tally.wakes, 1U);
  EXPECT_EQ(optimiser.figures().tally.wakes_at_once, 1U) << "the other has all in memory";
  optimiser.session(1, true, 0);
  std::this_thread::sleep_for(std::chrono::seconds(5));
  EXPECT_EQ(optimiser.figures().tally.record_cpu_ns, 0U) << "it may be what a user's day touched";
  optimiser.wake(1, [&awake] { ++awake; });
  EXPECT_EQ(awake.load(), 3) << "somebody takes over from who is at work";
  EXPECT_EQ(optimiser.figures().tally.wakes_at_once, 2U);
}

}  // namespace
}  // namespace panal::optimiser

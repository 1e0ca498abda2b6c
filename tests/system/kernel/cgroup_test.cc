#include "engine/kernel/cgroup.h"

#include <signal.h>

#include "engine/kernel/parent_limit.h"
#include "tests/system/kernel/real_cgroup.h"

namespace panal::kernel {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;

TEST_F(RealCgroup, HoldsAProcessInEveryHierarchyAndIsRemoved) {
  Cgroup group = make();
  const pid_t child = start(group);
  std::string where;
  {
    const auto dir = tree_.proc.open_dir(std::to_string(child));
    ASSERT_TRUE(dir);
    where = dir->read("cgroup").value_or("");
  }
  EXPECT_EQ(static_cast<std::size_t>(std::count(where.begin(), where.end(), '\n')),
            root_.hierarchies().size());
  for (std::size_t at = 0; at < where.size(); at = where.find('\n', at) + 1)
    EXPECT_NE(where.substr(at, where.find('\n', at) - at).find(path_), std::string::npos) << where;
  EXPECT_THAT(group.pids().value(), Contains(child));
  EXPECT_TRUE(group.populated().value());

  const auto used = group.statistics();
  ASSERT_TRUE(used) << used.error().message();
  EXPECT_EQ(used->pids, 1U);
  EXPECT_TRUE(used->memory && used->cpu);
  EXPECT_TRUE(group.io()) << group.io().error().message();
  EXPECT_TRUE(group.pressure(PressureResource::kMemory));

  ASSERT_FALSE(group.destroy(20ms)) << "a populated group cannot be removed";
  const auto reopened = Cgroup::open(root_, path_);
  ASSERT_TRUE(reopened);
  ASSERT_TRUE(reopened->kill_all(10s));
  EXPECT_TRUE(WIFSIGNALED(status_of(child)));
  EXPECT_FALSE(reopened->populated().value());
}

TEST_F(RealCgroup, FreezesThawsAndKillsFrozenOnes) {
  const Cgroup group = make();
  const pid_t child = start(group, [] {
    for (;;) {
    }
  });
  const auto frozen = group.freeze(10s);
  ASSERT_TRUE(frozen) << frozen.error().message();
  const auto before = group.statistics()->cpu->usage_ns;
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(group.statistics()->cpu->usage_ns, before) << "a frozen process uses no CPU";
  ASSERT_TRUE(group.thaw());
  for (int i = 0; i < 500 && group.statistics()->cpu->usage_ns == before; ++i)
    std::this_thread::sleep_for(10ms);
  EXPECT_GT(group.statistics()->cpu->usage_ns, before);
  ASSERT_TRUE(group.freeze(10s));
  ASSERT_TRUE(group.kill_all(10s));
  EXPECT_EQ(WTERMSIG(status_of(child)), SIGKILL);
}

TEST_F(RealCgroup, KillsWhatTheV1FreezerHolds) {
  const CgroupMount* v1 = root_.layout().with("freezer");
  if (v1 == nullptr) GTEST_SKIP() << "nothing is missing: v2 freezes here, with no v1 freezer";
  const Cgroup group = make();
  const pid_t child = start(group);
  ASSERT_TRUE(tree_.cgroup.write(v1->directory + "/" + path_ + "/freezer.state", "FROZEN"));
  const auto killed = group.kill_all(10s);
  ASSERT_TRUE(killed) << killed.error().message();
  EXPECT_EQ(WTERMSIG(status_of(child)), SIGKILL);
}

TEST_F(RealCgroup, LimitsHold) {
  const Cgroup group = make();
  Limits limits;
  limits.memory_bytes = std::uint64_t{32} << 20;
  limits.pids = 3;
  limits.cpu_weight = 50;
  limits.cpu_quota_permille = 500;
  const auto set = group.set_limits(limits);
  ASSERT_TRUE(set) << set.error().message();

  const pid_t forker = start(group, [] {
    int forked = 0;
    for (int i = 0; i < 10; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::pause();
        ::_exit(0);
      }
      if (child > 0) ++forked;
    }
    ::_exit(forked);
  });
  EXPECT_EQ(WEXITSTATUS(status_of(forker)), 2) << "three in all";
  ASSERT_TRUE(group.kill_all(10s));

  const pid_t hog = start(group, [] {
    const std::size_t size = std::size_t{128} << 20;
    auto* bytes = static_cast<volatile char*>(::malloc(size));
    for (std::size_t i = 0; i < size; i += 4096) bytes[i] = 1;
    ::pause();
  });
  EXPECT_EQ(WTERMSIG(status_of(hog)), SIGKILL);
  EXPECT_GE(group.statistics()->memory->oom_kills, 1U);
}

TEST_F(RealCgroup, GroupsMadeBelowGoToo) {
  Cgroup group = make();
  const auto below = Cgroup::create(root_, path_ + "/payload/deep");
  ASSERT_TRUE(below) << below.error().message();
  const pid_t child = start(*below);
  EXPECT_THAT(group.pids().value(), Contains(child));
  ASSERT_TRUE(group.kill_all(10s));
  (void)status_of(child);
  const auto gone = group.destroy(10s);
  ASSERT_TRUE(gone) << gone.error().message();
  EXPECT_FALSE(Cgroup::open(root_, path_));
}

TEST_F(RealCgroup, ParentLimitIsSetAndLeavesTheHostItsReserve) {
  (void)make();
  auto parent = Cgroup::open(root_, parent_path());
  ASSERT_TRUE(parent);
  ParentLimit limit(tree_, std::move(*parent), std::uint64_t{2} << 30, 0);
  const auto set = limit.update();
  ASSERT_TRUE(set) << set.error().message();
  const auto host = read_meminfo(tree_);
  ASSERT_TRUE(host);
  EXPECT_LE(*set, host->total - (std::uint64_t{2} << 30));
  EXPECT_GE(*set, std::uint64_t{256} << 20);
  const CgroupMount* memory = root_.layout().with("memory");
  ASSERT_NE(memory, nullptr);
  const std::string knob = memory->version == 2 ? "memory.max" : "memory.limit_in_bytes";
  EXPECT_EQ(tree_.cgroup.read(memory->directory + "/" + parent_path() + "/" + knob).value_or(""),
            std::to_string(*set) + "\n");
}

}  // namespace
}  // namespace panal::kernel

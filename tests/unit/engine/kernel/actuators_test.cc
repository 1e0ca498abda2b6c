// What acts on the kernel, as far as plain files and a stand-in for a system call can show it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "engine/kernel/io_stat.h"
#include "engine/kernel/oom_score.h"
#include "engine/kernel/process_memory.h"
#include "engine/kernel/psi_trigger.h"
#include "engine/kernel/reclaim.h"
#include "engine/kernel/sysctl.h"
#include "engine/kernel/zram_swap.h"
#include "tests/unit/engine/kernel/fixture_tree.h"
#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

TEST(Sysctl, NamesFiles) {
  EXPECT_EQ(sysctl_path("vm.swappiness").value(), "sys/vm/swappiness");
  EXPECT_EQ(sysctl_path("net.ipv4.conf.eth0/1.rp_filter").value(),
            "sys/net/ipv4/conf/eth0.1/rp_filter");
  for (const char* name : {"", ".", "vm.", ".vm", "vm..swappiness", "/vm", "vm./x", "vm.x/",
                           "a.//.b", "vm swappiness", "vm.\n"})
    EXPECT_EQ(code(sysctl_path(name)), EINVAL) << name;
}

TEST(Sysctl, ReadsAndWritesValues) {
  const FixtureTree fixture({{"proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"},
                             {"proc/sys/vm/swappiness", "60\n"}});
  const Tree tree = fixture.tree();
  EXPECT_EQ(read_sysctl(tree, "net.ipv4.tcp_rmem").value(), "4096 131072 6291456");
  ASSERT_TRUE(write_sysctl(tree, "vm.swappiness", "99"));
  EXPECT_EQ(read_sysctl(tree, "vm.swappiness").value(), "99");
  EXPECT_EQ(code(read_sysctl(tree, "vm.absent")), ENOENT);
  EXPECT_EQ(code(write_sysctl(tree, "vm.absent", "1")), ENOENT);
  EXPECT_EQ(code(write_sysctl(tree, "../x", "1")), EINVAL);
}

TEST(OomScore, ReadsAndWritesItsRange) {
  EXPECT_EQ(parse_oom_score_adj("-1000\n").value(), -1000);
  EXPECT_EQ(parse_oom_score_adj("1000\n").value(), 1000);
  for (const char* text : {"", "-", "x", "1001", "-1001", "--1", "1 2"})
    EXPECT_EQ(code(parse_oom_score_adj(text)), EPROTO) << text;
  const FixtureTree fixture(FixtureFiles{{"proc/42/oom_score_adj", "0\n"}});
  const Tree tree = fixture.tree();
  ASSERT_TRUE(write_oom_score_adj(tree, 42, 7));
  EXPECT_EQ(read_oom_score_adj(tree, 42).value(), 7);
  EXPECT_EQ(code(write_oom_score_adj(tree, 42, 1001)), EINVAL);
  EXPECT_EQ(code(write_oom_score_adj(tree, 43, 0)), ENOENT);
}

TEST(PsiTrigger, SpellsThresholds) {
  EXPECT_EQ(psi_trigger_text({100ms, 2s, false}).value(), "some 100000 2000000");
  EXPECT_EQ(psi_trigger_text({2s, 2s, true}).value(), "full 2000000 2000000");
  for (const PsiThreshold& bad :
       {PsiThreshold{100ms, 499ms}, PsiThreshold{100ms, 10001ms}, PsiThreshold{0us, 2s},
        PsiThreshold{-1us, 2s}, PsiThreshold{2001ms, 2s}})
    EXPECT_EQ(code(psi_trigger_text(bad)), EINVAL);
}

TEST(Reclaim, PokesTheLimitOfV1AndPutsItBack) {
  const FixtureTree fixture({{"cgroup/g/memory.limit_in_bytes", "9223372036854771712\n"},
                             {"cgroup/g/memory.usage_in_bytes", "8192\n"}});
  const Tree tree = fixture.tree();
  const Dir group = std::move(*tree.cgroup.open_dir("g"));
  const auto done = reclaim_v1(group, 4096);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->reached);
  EXPECT_EQ(done->before_bytes, 8192U);
  EXPECT_EQ(done->yield_bytes(), 0U) << "measured, not believed";
  EXPECT_EQ(fixture.read("cgroup/g/memory.limit_in_bytes"), "9223372036854771712\n");
  EXPECT_EQ(code(reclaim_v1(group, 0)), EINVAL);
  EXPECT_EQ(code(reclaim_v2(group, 0)), EINVAL);
  EXPECT_EQ(code(reclaim_v2(group, 1)), ENOENT);
}

TEST(Reclaim, AsksV2ForTheBytes) {
  const FixtureTree fixture(
      {{"cgroup/g/memory.current", "8192\n"}, {"cgroup/g/memory.reclaim", ""}});
  const Tree tree = fixture.tree();
  const Dir group = std::move(*tree.cgroup.open_dir("g"));
  const auto done = reclaim_v2(group, 4096);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(fixture.read("cgroup/g/memory.reclaim"), "4096");
  EXPECT_EQ(done->yield_bytes(), 0U);
}

TEST(IoCounting, IsStartedByALimitThatIsTakenAway) {
  const FixtureTree fixture(FixtureFiles{{"cgroup/g/blkio.throttle.read_bps_device", ""}});
  const Tree tree = fixture.tree();
  ASSERT_TRUE(start_counting_io_v1(*tree.cgroup.open_dir("g"), "8:0"));
  EXPECT_EQ(fixture.read("cgroup/g/blkio.throttle.read_bps_device").substr(0, 5), "8:0 0");
}

TEST(ZramSwap, TakesADeviceNobodyUses) {
  const FixtureTree fixture({{"sys/block/zram0/initstate", "1\n"},
                             {"sys/block/zram2/initstate", "0\n"},
                             {"sys/block/zramx/initstate", "0\n"},
                             {"sys/block/loop0/initstate", "0\n"}});
  const Tree tree = fixture.tree();
  EXPECT_EQ(find_free_zram(tree).value(), 2U);
  EXPECT_EQ(code(start_zram_swap(tree, 0, {.disk_bytes = 1 << 20, .algorithm = {}})), EBUSY);
  EXPECT_EQ(code(start_zram_swap(tree, 2, {.algorithm = {}})), EINVAL) << "no size";
  EXPECT_EQ(code(start_zram_swap(tree, 7, {.disk_bytes = 1 << 20, .algorithm = {}})), ENOENT);
  fixture.write("sys/block/zram2/initstate", "1\n");
  EXPECT_EQ(code(find_free_zram(tree)), ENODEV) << "no hot_add";
  fixture.write("sys/class/zram-control/hot_add", "5\n");
  EXPECT_EQ(find_free_zram(tree).value(), 5U);
  fixture.write("sys/class/zram-control/hot_add", "x\n");
  EXPECT_EQ(code(find_free_zram(tree)), EPROTO);
}

/// Stands in for the kernel: notes the calls, and refuses any piece that touches `hole`.
struct FakeKernel {
  AddressRange hole;
  int error = ENOMEM;
  std::vector<std::uint64_t> calls;  ///< bytes asked for
  std::size_t most_vectors = 0;

  ssize_t operator()(std::span<const iovec> batch) {
    std::uint64_t asked = 0;
    std::uint64_t taken = 0;
    bool refused = false;
    for (const iovec& piece : batch) {
      asked += piece.iov_len;
      const auto start = reinterpret_cast<std::uint64_t>(piece.iov_base);
      refused = refused || (start < hole.start + hole.bytes && hole.start < start + piece.iov_len);
      if (!refused) taken += piece.iov_len;
    }
    calls.push_back(asked);
    most_vectors = std::max(most_vectors, batch.size());
    errno = error;
    return taken == 0 && refused ? -1 : static_cast<ssize_t>(taken);
  }
};

AdviceBudget generous() { return {.deadline = std::chrono::steady_clock::now() + 1h}; }

TEST(AdviseRanges, BatchesAndSplits) {
  FakeKernel kernel;
  AdviceBudget budget = generous();
  budget.bytes_per_call = 4 * kPage;
  const std::vector<AddressRange> ranges = {
      {0x10000, kPage}, {0x20000, 0}, {0x30000, 6 * kPage}, {0x50000, kPage}};
  const auto done = advise_ranges(ranges, budget, std::ref(kernel));
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->complete);
  EXPECT_EQ(done->advised_bytes, 8 * kPage);
  EXPECT_EQ(done->refused_bytes, 0U);
  EXPECT_THAT(kernel.calls, ElementsAre(4 * kPage, 4 * kPage));
  EXPECT_TRUE(advise_ranges({}, budget, std::ref(kernel))->complete);
}

TEST(AdviseRanges, CutsBetweenHugePages) {
  constexpr std::uint64_t kMib = 1 << 20;
  FakeKernel kernel;
  AdviceBudget budget = generous();
  budget.bytes = 14 * kMib;
  const std::vector<AddressRange> ranges = {{kMib, kMib}, {5 * kMib, 20 * kMib}};
  const auto done = advise_ranges(ranges, budget, std::ref(kernel));
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->advised_bytes, 14 * kMib) << "all that it may";
  // Up to 8, 12, 16, and to where the budget ends.
  EXPECT_THAT(kernel.calls, ElementsAre(4 * kMib, 4 * kMib, 4 * kMib, 2 * kMib));
  EXPECT_EQ(done->next, (AddressRange{18 * kMib, 7 * kMib}));
}

TEST(AdviseRanges, GivesTheKernelNoMoreVectorsThanItTakes) {
  FakeKernel kernel;
  std::vector<AddressRange> ranges;
  for (std::uint64_t i = 1; i <= 1500; ++i) ranges.push_back({i * 2 * kPage, kPage});
  AdviceBudget budget = generous();
  budget.bytes_per_call = UINT64_MAX;
  const auto done = advise_ranges(ranges, budget, std::ref(kernel));
  ASSERT_TRUE(done && done->complete);
  EXPECT_EQ(done->advised_bytes, 1500 * kPage);
  EXPECT_EQ(kernel.most_vectors, 1024U);
  EXPECT_EQ(kernel.calls.size(), 2U);
}

TEST(AdviseRanges, GoesOnBehindWhatIsRefused) {
  FakeKernel kernel{.hole = {0x30000, kPage}, .calls = {}};
  const std::vector<AddressRange> ranges = {
      {0x10000, 2 * kPage}, {0x30000, 3 * kPage}, {0x50000, kPage}};
  const auto done = advise_ranges(ranges, generous(), std::ref(kernel));
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->complete);
  EXPECT_EQ(done->advised_bytes, 3 * kPage);
  EXPECT_EQ(done->refused_bytes, 3 * kPage);
  EXPECT_EQ(done->last_refusal, ENOMEM);
}

TEST(AdviseRanges, SaysWhereItsBudgetEnded) {
  FakeKernel kernel;
  const std::vector<AddressRange> ranges = {{0x10000, 2 * kPage}, {0x30000, 3 * kPage}};
  AdviceBudget budget = generous();
  budget.bytes = 3 * kPage + 5;
  const auto part = advise_ranges(ranges, budget, std::ref(kernel));
  ASSERT_TRUE(part);
  EXPECT_FALSE(part->complete);
  EXPECT_EQ(part->advised_bytes, 3 * kPage);
  EXPECT_EQ(part->next_index, 1U);
  EXPECT_EQ(part->next, (AddressRange{0x30000 + kPage, 2 * kPage}));
  budget.deadline = std::chrono::steady_clock::now() - 1s;
  const auto late = advise_ranges(ranges, budget, std::ref(kernel));
  ASSERT_TRUE(late);
  EXPECT_FALSE(late->complete);
  EXPECT_EQ(late->next, ranges[0]);
  EXPECT_EQ(kernel.calls.size(), 1U);
}

TEST(AdviseRanges, EndsWithTheProcess) {
  for (const int error : {ESRCH, EPERM, ENOSYS}) {
    FakeKernel kernel{.hole = {0x10000, kPage}, .error = error, .calls = {}};
    const std::vector<AddressRange> ranges = {{0x10000, kPage}, {0x30000, kPage}};
    EXPECT_EQ(code(advise_ranges(ranges, generous(), std::ref(kernel))), error);
  }
}

}  // namespace
}  // namespace panal::kernel

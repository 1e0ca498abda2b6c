#include "engine/kernel/ksm.h"

#include "engine/base/cleanup.h"
#include "engine/kernel/group_processes.h"
#include "tests/support/patience.h"
#include "tests/system/kernel/machine/memory_child.h"
#include "tests/system/kernel/real_cgroup.h"

namespace panal::kernel {
namespace {

using namespace std::chrono_literals;

/// Leaves the machine's KSM as it was.
class RealKsm : public RealCgroup {
 protected:
  void SetUp() override {
    RealCgroup::SetUp();
    if (HasFatalFailure()) return;
    const auto former = read_ksm_settings(tree_);
    ASSERT_TRUE(former) << former.error().message();
    former_ = *former;
  }
  void TearDown() override {
    RealCgroup::TearDown();
    if (!former_) return;
    const auto restored = write_ksm_settings(tree_, *former_);
    EXPECT_TRUE(restored) << restored.error().message();
    EXPECT_EQ(read_ksm_settings(tree_).value(), *former_);
  }
  std::optional<KsmSettings> former_;
};

TEST_F(RealKsm, WritesEverySettingAndRestoresIt) {
  KsmSettings wanted;
  wanted.run = KsmRun::kRunning;
  wanted.pages_to_scan = 1234;
  wanted.sleep_ms = 37;
  wanted.use_zero_pages = !former_->use_zero_pages;
  const bool advises = tree_.sys.exists("kernel/mm/ksm/advisor_mode");  // Linux 6.8
  wanted.smart_scan = tree_.sys.exists("kernel/mm/ksm/smart_scan") && !former_->smart_scan;
  wanted.max_page_sharing = former_->max_page_sharing * 2;
  // Somebody else's memory (a guest's) may have been merged by an earlier test.
  const auto merged = read_ksm_counters(tree_);
  ASSERT_TRUE(merged) << merged.error().message();
  if (merged->pages_shared != 0) {
    const auto refused = write_ksm_settings(tree_, wanted);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EBUSY);
    wanted.max_page_sharing = former_->max_page_sharing;
  }
  const auto written = write_ksm_settings(tree_, wanted);
  ASSERT_TRUE(written) << written.error().message();
  EXPECT_EQ(read_ksm_settings(tree_).value(), wanted);
  if (advises) {
    wanted.advisor = KsmAdvisor::kScanTime;
    wanted.pages_to_scan = 777;
    const auto advised = write_ksm_settings(tree_, wanted);
    ASSERT_TRUE(advised) << advised.error().message();
    auto now = read_ksm_settings(tree_);
    ASSERT_TRUE(now);
    EXPECT_EQ(now->advisor, KsmAdvisor::kScanTime);
    wanted.pages_to_scan = 888;
    EXPECT_TRUE(write_ksm_settings(tree_, wanted)) << "it is the advisor's";
  }
  wanted.advisor = KsmAdvisor::kNone;
  wanted.run = KsmRun::kStopped;
  ASSERT_TRUE(write_ksm_settings(tree_, wanted));
  EXPECT_EQ(read_ksm_settings(tree_).value(), wanted);
}

TEST_F(RealKsm, MergesAnEnlistedProcessAndTellsItsProfit) {
  constexpr std::size_t kSize = std::size_t{16} << 20;
  const Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kIdentical);
  const MemoryChild bystander(group, kSize, Pages::kDistinct);
  const auto before = read_ksm_counters(tree_);
  ASSERT_TRUE(before) << before.error().message();
  KsmSettings wanted = *former_;
  wanted.run = KsmRun::kRunning;
  wanted.pages_to_scan = 5000;
  wanted.sleep_ms = 5;
  ASSERT_TRUE(write_ksm_settings(tree_, wanted));
  KsmProcess merged;
  for (int i = 0; i < 2000 * patience() && merged.merging_pages < kSize / 4096 * 9 / 10; ++i) {
    std::this_thread::sleep_for(10ms);
    const auto read = read_ksm_process(tree_, child.pid());
    ASSERT_TRUE(read) << read.error().message();
    merged = *read;
  }
  EXPECT_GE(merged.merging_pages, kSize / 4096 * 9 / 10);
  const bool whole = ::prctl(kMemoryMerge + 1, 0, 0, 0, 0) >= 0;  // else by madvise: before 6.4
  EXPECT_EQ(merged.merge_any, whole);
  EXPECT_GT(merged.profit_bytes, static_cast<std::int64_t>(kSize / 2));
  const auto after = read_ksm_counters(tree_);
  ASSERT_TRUE(after);
  // Others' memory may be merged, and unmerged, meanwhile: no difference is the child's alone.
  EXPECT_GE(after->pages_sharing, kSize / 4096 / 2);
  EXPECT_TRUE(after->pages_scanned_total == 0 ||  // not counted before 6.6
              after->pages_scanned_total > before->pages_scanned_total);
  EXPECT_GT(after->general_profit_bytes, 0);
  const auto idle = read_ksm_process(tree_, bystander.pid());
  ASSERT_TRUE(idle);
  EXPECT_EQ(idle->merging_pages, 0U) << "not enlisted";
  EXPECT_FALSE(idle->merge_any);

  const std::vector<pid_t> pids = {child.pid(), bystander.pid()};
  const auto sum = read_group_processes(tree_, pids, {std::chrono::steady_clock::now() + 1min});
  ASSERT_TRUE(sum) << sum.error().message();
  EXPECT_EQ(sum->sum.processes, 2U);
  EXPECT_GE(sum->sum.ksm.merging_pages, merged.merging_pages);
  // Counted since 6.7.
  EXPECT_TRUE(!whole || sum->sum.maps.ksm >= kSize * 9 / 10) << sum->sum.maps.ksm;
  EXPECT_LT(sum->sum.maps.pss_anon, 2 * kSize) << "the merged ones count once";
  EXPECT_TRUE(child.touch());

  // A lab shows this one thread of the host's; elsewhere it is among the processes.
  const char* shown = ::getenv("PANAL_LAB_KSMD");
  auto ksmd = Ksmd::find(tree_);
  if (shown != nullptr) {
    EXPECT_FALSE(ksmd) << "a lab has a pid namespace of its own";
    auto dir = Dir::open(shown);
    ASSERT_TRUE(dir) << dir.error().message();
    ksmd = Ksmd(std::move(*dir));
  }
  ASSERT_TRUE(ksmd) << ksmd.error().message();
  const auto cpu = ksmd->cpu_ns();
  ASSERT_TRUE(cpu) << cpu.error().message();
  EXPECT_GT(*cpu, 0U);
}

}  // namespace
}  // namespace panal::kernel

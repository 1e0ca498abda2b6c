#include "netconfine/audit/audit_loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

namespace panal::netconfine {
namespace {

using Outcome = AuditReport::Outcome;

// A network that only counts audits.
class AuditedNetwork : public Network {
 public:
  explicit AuditedNetwork(bool tells) : tells_(tells) {}

  AuditReport audit() override {
    const std::lock_guard lock(mutex_);
    std::uint64_t seen = 0;
    (void)!read(events_.get(), &seen, sizeof(seen));
    ++audits_;
    audited_.notify_all();
    AuditReport report;
    report.outcome = outcome_;
    report.untold = untold_;
    return report;
  }
  int changes() override { return tells_ ? events_.get() : -1; }

  void change() {
    const std::uint64_t one = 1;
    ASSERT_EQ(write(events_.get(), &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
  }
  void answer(Outcome outcome) {
    const std::lock_guard lock(mutex_);
    outcome_ = outcome;
  }
  void look_at_links() {
    const std::lock_guard lock(mutex_);
    untold_ = true;
  }
  int audits() {
    const std::lock_guard lock(mutex_);
    return audits_;
  }
  bool wait_for(int audits) {
    std::unique_lock lock(mutex_);
    return audited_.wait_for(lock, std::chrono::seconds(30), [&] { return audits_ >= audits; });
  }

  Result<Link> attach(DesktopId, const UniqueFd&) override { return Link{}; }
  Result<void> detach(DesktopId) override { return {}; }
  Result<std::vector<Link>> links() override { return std::vector<Link>{}; }
  Result<void> recover(const std::set<DesktopId>&) override { return {}; }

 private:
  const bool tells_;
  UniqueFd events_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::mutex mutex_;
  std::condition_variable audited_;
  Outcome outcome_ = Outcome::kAsMeant;
  bool untold_ = false;
  int audits_ = 0;
};

// Longer than any test waits.
constexpr std::chrono::milliseconds kNever = std::chrono::hours(1);

AuditIntervals never() {
  return {.at_least = kNever, .untold = kNever, .links = kNever, .retry = kNever, .settle = {}};
}

TEST(AuditLoop, AuditsAtOnceAndWhenRulesChange) {
  AuditedNetwork network(true);
  const auto loop = AuditLoop::start(network, never());
  ASSERT_TRUE(loop);
  ASSERT_TRUE(network.wait_for(1));
  network.change();
  ASSERT_TRUE(network.wait_for(2));
  network.change();
  ASSERT_TRUE(network.wait_for(3));
}

TEST(AuditLoop, AuditsFromTimeToTimeWithoutAChange) {
  AuditedNetwork network(true);
  auto intervals = never();
  intervals.at_least = std::chrono::milliseconds(1);
  const auto loop = AuditLoop::start(network, intervals);
  ASSERT_TRUE(network.wait_for(5));
}

TEST(AuditLoop, AuditsOftenWhereNobodyTells) {
  AuditedNetwork network(false);
  auto intervals = never();
  intervals.untold = std::chrono::milliseconds(1);
  const auto loop = AuditLoop::start(network, intervals);
  ASSERT_TRUE(network.wait_for(5));
}

TEST(AuditLoop, AuditsMoreOftenWhereThereAreLinksOfWhoseChangesNobodyTells) {
  AuditedNetwork network(true);
  network.look_at_links();
  auto intervals = never();
  intervals.links = std::chrono::milliseconds(1);
  const auto loop = AuditLoop::start(network, intervals);
  ASSERT_TRUE(network.wait_for(5));
  EXPECT_LE(AuditIntervals().links, std::chrono::seconds(5)) << "drift is to be mended by then";
}

TEST(AuditLoop, TriesAgainSoonWhileDesktopsAreCutOff) {
  AuditedNetwork network(true);
  network.answer(Outcome::kCutOff);
  auto intervals = never();
  intervals.retry = std::chrono::milliseconds(1);
  const auto loop = AuditLoop::start(network, intervals);
  ASSERT_TRUE(network.wait_for(5));
}

TEST(AuditLoop, TellsOfEveryAuditAndEnds) {
  AuditedNetwork network(true);
  std::mutex mutex;
  int told = 0;
  {
    const auto loop = AuditLoop::start(network, never(), [&](const AuditReport&) {
      const std::lock_guard lock(mutex);
      ++told;
    });
    ASSERT_TRUE(network.wait_for(1));
  }
  const std::lock_guard lock(mutex);
  EXPECT_EQ(told, network.audits());
}

}  // namespace
}  // namespace panal::netconfine

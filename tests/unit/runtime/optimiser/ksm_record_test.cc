// KSM is the machine's: one panald of it governs, and what one that is gone has left is put back by
// whoever finds it.
#include "runtime/optimiser/ksm_record.h"

#include <chrono>
#include <thread>

#include "runtime/optimiser/ksm_keeper.h"
#include "tests/unit/runtime/optimiser/fake_ksm.h"

namespace panal::optimiser {
namespace {

constexpr KsmDecision kRest{true, 250, 99, KsmPhase::kRest};
constexpr MonotonicNs kLook = KsmKeeper::kLookEvery;

class KsmOfAMachine : public KsmKeeperTest {
 protected:
  std::string lock() const { return root_ / "lock"; }
  bool as_before() const {
    return value("run") == "0" && value("pages_to_scan") == "100" &&
           value("sleep_millisecs") == "20" && value("use_zero_pages") == "0";
  }
};

TEST_F(KsmOfAMachine, OneOfTwoNodesGovernsAndTheOtherWaits) {
  KsmKeeper one(tree_, saved(), lock());
  KsmKeeper other(tree_, saved(), lock());
  ASSERT_TRUE(one.apply(kBurst, true));
  EXPECT_EQ(ksm_is_governed(saved()), true);
  const auto refused = other.apply(kRest, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EBUSY);
  EXPECT_TRUE(other.taken_over());
  EXPECT_TRUE(other.apply(kRest, false)) << "said once";
  EXPECT_TRUE(other.restore()) << "it holds nothing";
  EXPECT_EQ(value("pages_to_scan"), "500") << "and turned nothing";
  EXPECT_FALSE(other.given_back(kLook));
  ASSERT_TRUE(one.restore());
  EXPECT_EQ(ksm_is_governed(saved()), false);
  EXPECT_FALSE(other.given_back(kLook + 1)) << "it looks once a minute";
  EXPECT_TRUE(other.given_back(2 * kLook));
  ASSERT_TRUE(other.apply(kRest, false));
  EXPECT_EQ(value("pages_to_scan"), "250");
  ASSERT_TRUE(other.restore());
  EXPECT_TRUE(as_before());
}

TEST_F(KsmOfAMachine, ANodeGoesOnFromWhatOneThatIsGoneHasLeft) {
  {
    KsmKeeper killed(tree_, saved(), lock());
    ASSERT_TRUE(killed.apply(kBurst, true));
  }
  EXPECT_EQ(ksm_is_governed(saved()), false);
  KsmKeeper other(tree_, saved(), lock());  // which began before, and found nothing
  ASSERT_TRUE(other.apply(kRest, true));
  ASSERT_TRUE(other.restore());
  EXPECT_TRUE(as_before()) << "the burst was not the machine's own";
}

TEST_F(KsmOfAMachine, ItsSuccessorWaitsForANodeThatGovernsMeanwhile) {
  {
    KsmKeeper killed(tree_, saved(), lock());
    ASSERT_TRUE(killed.apply(kBurst, true));
  }
  KsmKeeper other(tree_, saved(), lock());
  ASSERT_TRUE(other.apply(kRest, true));
  KsmKeeper next(tree_, saved(), lock());
  const auto recovered = next.recover();
  ASSERT_FALSE(recovered);
  EXPECT_EQ(recovered.error().code, EBUSY);
  EXPECT_TRUE(next.taken_over());
  EXPECT_FALSE(next.holds());
  ASSERT_TRUE(other.restore());
  EXPECT_TRUE(next.given_back(kLook));
  EXPECT_TRUE(as_before());
}

TEST_F(KsmOfAMachine, NothingIsTurnedWhileTheLockIsAnothers) {
  KsmKeeper keeper(tree_, saved(), lock());
  {
    const auto theirs = profile::MachineLock::take(lock());
    ASSERT_TRUE(theirs);
    const auto refused = keeper.apply(kBurst, true);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EBUSY);
  }
  EXPECT_FALSE(keeper.taken_over()) << "it is tried again";
  EXPECT_TRUE(as_before());
  EXPECT_EQ(ksm_is_governed(saved()), false);
  ASSERT_TRUE(keeper.apply(kBurst, true));
  auto theirs = profile::MachineLock::take(lock());
  ASSERT_TRUE(theirs) << "it is not held for long";
  std::thread ends([&theirs] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    theirs = fail(ENOENT, "given back");
  });
  EXPECT_TRUE(keeper.restore()) << "it is waited for";
  ends.join();
  EXPECT_TRUE(as_before());
}

TEST_F(KsmOfAMachine, WhatIsLeftIsPutBackByWhoeverFindsIt) {
  EXPECT_EQ(restore_left_ksm(tree_, saved(), lock()).value(), false) << "nothing is left";
  {
    KsmKeeper keeper(tree_, saved(), lock());
    ASSERT_TRUE(keeper.apply(kBurst, true));
    EXPECT_EQ(restore_left_ksm(tree_, saved(), lock()).value(), false) << "its governor lives";
    EXPECT_FALSE(left_ksm(tree_, saved()).value());
    EXPECT_EQ(value("pages_to_scan"), "500");
  }
  const auto left = left_ksm(tree_, saved());
  ASSERT_TRUE(left && *left);
  EXPECT_EQ((*left)->pages_to_scan, 100U);
  EXPECT_EQ(restore_left_ksm(tree_, saved(), lock()).value(), true);
  EXPECT_TRUE(as_before());
  EXPECT_FALSE(std::filesystem::exists(saved()));
  EXPECT_EQ(restore_left_ksm(tree_, saved(), lock()).value(), false);
}

TEST_F(KsmOfAMachine, WhatABootTookBackIsNotLeft) {
  {
    KsmKeeper keeper(tree_, saved(), lock());
    ASSERT_TRUE(keeper.apply(kBurst, true));
  }
  boot("other");
  EXPECT_FALSE(left_ksm(tree_, saved()).value());
  EXPECT_EQ(restore_left_ksm(tree_, saved(), lock()).value(), false);
  EXPECT_EQ(value("pages_to_scan"), "500") << "whoever set that since then";
  EXPECT_FALSE(std::filesystem::exists(saved()));
}

TEST_F(KsmOfAMachine, ItsDirectoryIsMade) {
  const std::string file = root_ / "machine" / "ksm.former";
  KsmKeeper keeper(tree_, file, lock());
  ASSERT_TRUE(keeper.apply(kBurst, true));
  EXPECT_TRUE(std::filesystem::exists(file));
  ASSERT_TRUE(keeper.restore());
}

}  // namespace
}  // namespace panal::optimiser

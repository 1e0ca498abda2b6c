#include "engine/policy/ksm_motion.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

Snapshot host_at(MonotonicNs at_ns, KsmRun run, std::uint64_t scanned) {
  Snapshot host;
  host.at_ns = at_ns;
  host.ksm.emplace();
  host.ksm->pages_scanned_total = scanned;
  host.ksm_settings.emplace();
  host.ksm_settings->run = run;
  return host;
}

TEST(KsmMotion, StandsOnceNothingWasScannedForAMinute) {
  KsmMotion motion;
  EXPECT_TRUE(motion.moves(host_at(5 * kSecond, KsmRun::kRunning, 100)));
  EXPECT_TRUE(motion.moves(host_at(64 * kSecond, KsmRun::kRunning, 100)));
  EXPECT_FALSE(motion.moves(host_at(65 * kSecond, KsmRun::kRunning, 100)));
  EXPECT_TRUE(motion.moves(host_at(66 * kSecond, KsmRun::kRunning, 101)));
}

TEST(KsmMotion, StandsWhereItIsTurnedOffOrNotThere) {
  KsmMotion motion;
  EXPECT_FALSE(motion.moves(Snapshot{}));
  EXPECT_FALSE(motion.moves(host_at(kSecond, KsmRun::kStopped, 100)));
  EXPECT_FALSE(motion.moves(host_at(2 * kSecond, KsmRun::kUnmerging, 100)));
  EXPECT_TRUE(motion.moves(host_at(500 * kSecond, KsmRun::kRunning, 100))) << "it has just begun";
}

TEST(KsmMotion, AKernelThatDoesNotCountIsBelieved) {
  KsmMotion motion;
  EXPECT_TRUE(motion.moves(host_at(kSecond, KsmRun::kRunning, 0)));
  EXPECT_TRUE(motion.moves(host_at(500 * kSecond, KsmRun::kRunning, 0)));
}

}  // namespace
}  // namespace panal::policy

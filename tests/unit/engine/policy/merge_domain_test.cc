#include "engine/policy/merge_domain.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {

void PrintTo(const MergeDomainDecision& decision, std::ostream* out) {
  *out << (decision.enlist ? decision.enlist->tenant + "/" + decision.enlist->trust : "nobody")
       << (decision.draining ? ", draining" : "");
}

namespace {

const MergeDomainId kA{"a", "office"};
const MergeDomainId kB{"b", "office"};
const MergeDomainId kGuests{"a", "guests"};

MergeDomainDecision enlist(const MergeDomainId& id) { return {id, false}; }
const MergeDomainDecision kNobody{std::nullopt, false};
const MergeDomainDecision kDraining{std::nullopt, true};

TEST(MergeDomain, FollowsTheTable) {
  const struct {
    const char* what;
    std::vector<MergeDomain> domains;
    MergeDomainDecision decision;
  } table[] = {
      {"none at all", {}, kNobody},
      {"nobody agreed", {{kA, false, 0, 100}}, kNobody},
      {"nothing to win", {{kA, true, 0, 0}}, kNobody},
      {"the larger", {{kA, true, 0, 100}, {kB, true, 0, 200}}, enlist(kB)},
      {"the first among equals", {{kB, true, 0, 100}, {kA, true, 0, 100}}, enlist(kA)},
      {"trust levels are apart", {{kA, true, 0, 100}, {kGuests, true, 0, 300}}, enlist(kGuests)},
      {"who is there stays", {{kA, true, 3, 100}, {kB, true, 0, 150}}, enlist(kA)},
      {"the agreement was taken back", {{kA, false, 3, 100}, {kB, true, 0, 50}}, kDraining},
      {"two at once must not be", {{kA, true, 1, 100}, {kB, true, 1, 100}}, kDraining},
  };
  for (const auto& row : table) {
    MergeDomainArbiter arbiter;
    EXPECT_EQ(arbiter.decide(0, row.domains), row.decision) << row.what;
  }
}

TEST(MergeDomain, ADomainIsDrainedForOneThatIsLongWorthTwice) {
  MergeDomainArbiter arbiter;
  const std::vector<MergeDomain> domains{{kA, true, 5, 100}, {kB, true, 0, 200}};
  EXPECT_EQ(arbiter.decide(0, domains), enlist(kA));
  EXPECT_EQ(arbiter.decide(29 * kMinute, domains), enlist(kA));
  EXPECT_EQ(arbiter.decide(30 * kMinute, domains), kDraining);
  // the last of the former is gone
  EXPECT_EQ(arbiter.decide(31 * kMinute, {{kA, true, 0, 100}, {kB, true, 0, 200}}), enlist(kB));
}

TEST(MergeDomain, ARivalThatShrinksBeginsAnew) {
  MergeDomainArbiter arbiter;
  const std::vector<MergeDomain> large{{kA, true, 5, 100}, {kB, true, 0, 200}};
  const std::vector<MergeDomain> small{{kA, true, 5, 100}, {kB, true, 0, 199}};
  (void)arbiter.decide(0, large);
  (void)arbiter.decide(20 * kMinute, small);
  EXPECT_EQ(arbiter.decide(31 * kMinute, large), enlist(kA));
  EXPECT_EQ(arbiter.decide(60 * kMinute, large), enlist(kA));
  EXPECT_EQ(arbiter.decide(61 * kMinute, large), kDraining);
}

TEST(MergeDomain, NeverTwoAtOnceWhateverComes) {
  std::uint32_t seed = 7;
  const auto random = [&seed](std::uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
  };
  MergeDomainArbiter arbiter;
  std::vector<MergeDomain> domains{{kA, true, 0, 9}, {kB, true, 0, 9}, {kGuests, true, 0, 9}};
  for (int minute = 0; minute < 20'000; ++minute) {
    MergeDomain& one = domains[random(3)];
    one.expected_bytes = random(40);
    one.agreed = random(10) != 0;
    MergeDomain& other = domains[random(3)];
    if (other.enlisted > 0 && random(3) == 0) --other.enlisted;
    const MergeDomainDecision decision = arbiter.decide(minute * kMinute, domains);
    unsigned holders = 0;
    for (MergeDomain& domain : domains) {
      if (decision.enlist == domain.id) {
        ASSERT_TRUE(domain.agreed);
        domain.enlisted += random(2);
      }
      holders += domain.enlisted > 0;
    }
    ASSERT_LE(holders, 1U);
  }
}

}  // namespace
}  // namespace panal::policy

#include "runtime/node/net_tally.h"

#include <gtest/gtest.h>

namespace panal::node {
namespace {

using netconfine::AuditReport;

TEST(NetTally, WhatWasDroppedNeverFallsWhenRulesBeginAnew) {
  NetTally tally;
  tally.dropped({{"denied", 10, 0}, {"fragment", 1, 0}});
  tally.dropped({{"denied", 15, 0}, {"fragment", 1, 0}});
  tally.dropped({{"denied", 3, 0}, {"fragment", 0, 0}});
  const auto figures = tally.figures();
  EXPECT_EQ(figures.drops.at("denied"), 18U);
  EXPECT_EQ(figures.drops.at("fragment"), 1U);
}

TEST(NetTally, CountsAuditsAndSaysWhetherDesktopsAreCutOff) {
  NetTally tally;
  tally.audited({});
  tally.audited(
      {AuditReport::Outcome::kCutOff, {{"table", "is gone"}, {"set", "misses pnl7"}}, ""});
  EXPECT_TRUE(tally.figures().cut_off);
  tally.audited({AuditReport::Outcome::kRepaired, {{"table", "is gone"}}, ""});
  const auto figures = tally.figures();
  EXPECT_FALSE(figures.cut_off);
  EXPECT_EQ(figures.drifts, 3U);
  EXPECT_EQ(figures.audits.at("as_meant"), 1U);
  EXPECT_EQ(figures.audits.at("repaired"), 1U);
  EXPECT_EQ(figures.audits.at("cut_off"), 1U);
}

}  // namespace
}  // namespace panal::node

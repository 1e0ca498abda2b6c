#include "runtime/space/space_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::space {
namespace {

using storage::QuotaFinding;
using storage::QuotaKind;
using ::testing::HasSubstr;
constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

config::Config base() {
  config::Config config;
  config.node_name = "n1";
  config.state_dir = "/var/lib/panal";
  config.homes_dir = "/srv/homes";
  return config;
}
std::vector<storage::MountLine> table(const std::string& homes_type) {
  return {{"/", "ext4", "/dev/sda1", "rw"}, {"/srv/homes", homes_type, "server:/export", "rw"}};
}
std::vector<QuotaFinding> only(QuotaKind kind) {
  return {{QuotaKind::kProject, kind == QuotaKind::kProject, "seen"},
          {QuotaKind::kQgroup, kind == QuotaKind::kQgroup, "seen"},
          {QuotaKind::kLoop, kind == QuotaKind::kLoop, "seen"}};
}

TEST(HomePlan, ALocalPlaceWithoutALimitIsWhatItAlwaysWas) {
  const auto config = base();
  const auto plan = plan_homes(config, table("ext4"), {});
  EXPECT_FALSE(plan.remote);
  EXPECT_EQ(plan.rules.quota, QuotaKind::kNone);
  EXPECT_EQ(plan.rules.node, "n1");
  EXPECT_FALSE(homes_want_probe(config, false)) << "nothing is tried for nothing";
}

TEST(HomePlan, AnotherMachinesHomesAreFilesAndNobodyProbesThem) {
  auto config = base();
  config.homes_limit_bytes = 512 * kMib;
  EXPECT_TRUE(homes_are_remote(config, table("nfs4")));
  EXPECT_FALSE(homes_want_probe(config, true));
  const auto plan = plan_homes(config, table("nfs4"), {});
  EXPECT_TRUE(plan.remote);
  EXPECT_EQ(plan.rules.quota, QuotaKind::kLoop);
  EXPECT_EQ(plan.rules.limit.bytes, 512 * kMib);
  EXPECT_EQ(plan.place, "nfs4 (server:/export)");
  EXPECT_THAT(plan.why, HasSubstr("under other ids"));
  config.homes_quota = "none";
  EXPECT_EQ(plan_homes(config, table("fuse.x"), {}).rules.quota, QuotaKind::kNone);
}

TEST(HomePlan, TheConfigurationMayKnowBetter) {
  auto config = base();
  config.homes_remote = "yes";
  EXPECT_TRUE(homes_are_remote(config, table("ext4")));
  config.homes_remote = "no";
  EXPECT_FALSE(homes_are_remote(config, table("nfs")));
  config.homes_remote = "auto";
  config.homes_dir = "/srv";
  EXPECT_FALSE(homes_are_remote(config, table("nfs")));
}

TEST(HomePlan, WhatCannotBeHadIsPlannedAndSaysWhy) {
  auto config = base();
  config.homes_limit_bytes = 512 * kMib;
  EXPECT_TRUE(homes_want_probe(config, false));
  EXPECT_EQ(plan_homes(config, table("ext4"), only(QuotaKind::kProject)).rules.quota,
            QuotaKind::kProject);
  config.homes_quota = "qgroup";
  const auto plan = plan_homes(config, table("ext4"), only(QuotaKind::kLoop));
  EXPECT_EQ(plan.rules.quota, QuotaKind::kQgroup) << "refused at the start, not left out";
  EXPECT_THAT(plan.why, HasSubstr("qgroup: seen"));
}

TEST(LayerPlan, IsMemoryForThoseThatAreThrownAway) {
  auto config = base();
  EXPECT_FALSE(layers_want_probe(config));
  EXPECT_EQ(plan_layers(config, {}).rules.persistent, QuotaKind::kNone);
  config.uppers_volatile = "memory";
  config.uppers_limit_bytes = 256 * kMib;
  EXPECT_TRUE(layers_want_probe(config));
  const auto plan = plan_layers(config, only(QuotaKind::kLoop));
  EXPECT_EQ(plan.rules.volatiles, QuotaKind::kMemory);
  EXPECT_EQ(plan.rules.persistent, QuotaKind::kLoop);
  EXPECT_EQ(plan.rules.limit.bytes, 256 * kMib);
  config.uppers_quota = "none";
  EXPECT_EQ(plan_layers(config, {}).rules.persistent, QuotaKind::kNone);
  EXPECT_EQ(plan_layers(config, {}).rules.volatiles, QuotaKind::kMemory);
  config.uppers_volatile = "disk";
  EXPECT_FALSE(plan_layers(config, {}).rules.limit.any()) << "nobody would hold to it";
}

TEST(Pool, LiesBesideTheDesktops) {
  auto config = base();
  config.uppers_pool_bytes = 512 * kMib;
  EXPECT_EQ(pool_spec(config).file, "/var/lib/panal/desktops.img");
  EXPECT_EQ(pool_spec(config).mount_point, "/var/lib/panal/desktops");
  config.desktops_dir = "/fast/desktops";
  EXPECT_EQ(pool_spec(config).file, "/fast/desktops.img");
}

}  // namespace
}  // namespace panal::space

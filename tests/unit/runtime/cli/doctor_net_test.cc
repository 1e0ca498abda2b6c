#include "runtime/cli/doctor_net.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace panal::cli {
namespace {

using ::testing::HasSubstr;

class DoctorNet : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "doctor-net-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    config_.policies_file = directory_ + "/network.toml";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  [[nodiscard]] Check look(const std::string& text,
                           const std::vector<store::NetAssignment>& given = {}) const {
    std::ofstream(config_.policies_file) << text;
    return check_net_policies(config_, given);
  }

  std::string directory_;
  config::Config config_;
};

TEST_F(DoctorNet, NoFileIsWellAndSaysWhatItMeans) {
  const Check check = check_net_policies(config_, {});
  EXPECT_EQ(check.verdict, Check::kOk);
  EXPECT_THAT(check.found, HasSubstr("desktops reach nothing"));
}

TEST_F(DoctorNet, MistakesHaveTheirPlace) {
  const Check check = look("\n[polcy.x]\n");
  EXPECT_EQ(check.verdict, Check::kWarning);
  EXPECT_THAT(check.found, HasSubstr("network.toml:2: unknown key polcy"));
  EXPECT_THAT(check.mend, HasSubstr("panal net check"));
  EXPECT_EQ(look("[service.x]\nto = [\"10.77.0.1\"]\n").verdict, Check::kWarning);
}

TEST_F(DoctorNet, WhatLeadsNowhereIsTold) {
  const std::string office = "[service.d]\nto = [\"10.0.0.1\"]\n[policy.o]\nreach = [\"d\"]\n";
  const Check no_way = look(office);
  EXPECT_EQ(no_way.verdict, Check::kWarning);
  EXPECT_THAT(no_way.found, HasSubstr("there is no uplink"));
  const Check missing = look(office, {{{store::NetScope::kTenant, "acme", 0}, "acme", "gone"}});
  EXPECT_EQ(missing.verdict, Check::kWarning);
  EXPECT_THAT(missing.found, HasSubstr("tenant acme has policy gone"));
  const Check group = look("[policy.c]\ngroup = \"g\"\n",
                           {{{store::NetScope::kTenant, "acme", 0}, "acme", "none"}});
  EXPECT_EQ(group.verdict, Check::kOk) << group.found;
  EXPECT_EQ(group.found, "0 services and 1 policies");
}

TEST_F(DoctorNet, AGroupsBridgeWantsNftables) {
  const std::string room = "[group.g]\nbridge = true\n[policy.c]\ngroup = \"g\"\n";
  EXPECT_EQ(look(room).verdict, Check::kOk) << look(room).found;
  config_.firewall_backend = "iptables";
  const Check refused = look(room);
  EXPECT_EQ(refused.verdict, Check::kWarning);
  EXPECT_THAT(refused.found, HasSubstr("group g: bridge = true: bridged groups need nftables"));
}

TEST_F(DoctorNet, WhatBoundsAllDesktopsTogetherIsTold) {
  config_.line_send = "1 Gbit";
  const Check one = look("[policy.c]\ngroup = \"g\"\n");
  EXPECT_EQ(one.verdict, Check::kOk);
  EXPECT_EQ(one.found, "0 services and 1 policies; all desktops together send 1 Gbit at most");
  config_.line_receive = "2000 Mbit";
  const Check both = look("[policy.c]\ngroup = \"g\"\n");
  EXPECT_THAT(both.found, HasSubstr("; all desktops together send 1 Gbit at most, receive 2 Gbit "
                                    "at most"));
  config_.line_receive = "fast";
  const Check bad = look("[policy.c]\ngroup = \"g\"\n");
  EXPECT_EQ(bad.verdict, Check::kWarning);
  EXPECT_THAT(bad.found, HasSubstr("line_receive = \"fast\" must be a whole number"));
}

}  // namespace
}  // namespace panal::cli

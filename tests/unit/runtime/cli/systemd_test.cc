#include "runtime/cli/supervisor/systemd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace panal::supervisor {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A machine with a systemctl that writes down what it was asked.
class Systemd : public testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("PANAL_CONFIG");
    std::string pattern = testing::TempDir() + "systemd-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    site_ = {directory_ + "/booted", directory_ + "/systemctl", "/built"};
    fs::create_directory(site_.booted);
  }
  void TearDown() override { fs::remove_all(directory_); }

  void systemctl(const std::string& body) const {
    std::ofstream(site_.systemctl) << "#!/bin/sh\necho \"$*\" >>" << directory_ << "/asked\n"
                                   << body;
    ::chmod(site_.systemctl.c_str(), 0755);
  }
  std::string asked() const {
    std::stringstream text;
    text << std::ifstream(directory_ + "/asked").rdbuf();
    return text.str();
  }

  std::string directory_;
  SystemdSite site_;
};

TEST_F(Systemd, KeepsOnlyTheNodeOfTheUsualConfiguration) {
  EXPECT_TRUE(systemd_keeps("", site_));
  EXPECT_TRUE(systemd_keeps("/etc/panal/panal.toml", site_));
  EXPECT_FALSE(systemd_keeps("/tmp/trial.toml", site_));
  ::setenv("PANAL_CONFIG", "/tmp/trial.toml", 1);
  EXPECT_FALSE(systemd_keeps("", site_));
  EXPECT_TRUE(systemd_keeps("/etc/panal/panal.toml", site_)) << "what is said counts";
  ::unsetenv("PANAL_CONFIG");
  fs::remove(site_.booted);
  EXPECT_FALSE(systemd_keeps("", site_));
}

TEST_F(Systemd, StartsTheInstalledUnit) {
  systemctl("exit 0\n");
  const auto started = start_unit(site_);
  EXPECT_TRUE(started) << started.error().message();
  EXPECT_EQ(asked(), "cat panal.service\nstart panal.service\n");
}

TEST_F(Systemd, LinksTheBuildsUnitsWhereNoneIsInstalled) {
  systemctl("[ \"$1\" != cat ]\n");
  const auto started = start_unit(site_);
  EXPECT_TRUE(started) << started.error().message();
  EXPECT_EQ(asked(),
            "cat panal.service\n"
            "link --runtime /built/panal-desktops.service /built/panal.service\n"
            "start panal.service\n");
}

TEST_F(Systemd, SaysWhatSystemctlSaid) {
  systemctl("[ \"$1\" != start ] || { echo Job failed; exit 1; }\n");
  const auto started = start_unit(site_);
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message(), HasSubstr("Job failed"));
  fs::remove(site_.systemctl);
  EXPECT_FALSE(start_unit(site_));
}

}  // namespace
}  // namespace panal::supervisor

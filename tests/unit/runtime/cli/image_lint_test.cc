#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "storage/image/image_store.h"
#include "tests/unit/runtime/cli/commands_fixture.h"

namespace panal::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

/// `panal image lint` over an image with a job of a package manager, a log and a library.
class ImageLint : public Commands {
 protected:
  void SetUp() override {
    Commands::SetUp();
    fs::create_directories(directory_ + "/state");
    storage::ImageStore images(directory_ + "/state/images");
    const auto staging = images.new_staging("icewm");
    ASSERT_TRUE(staging) << staging.error().message();
    put(*staging + "/root/var/log/dpkg.log", std::string(100'000, 'x'));
    put(*staging + "/root/usr/lib/libx.so", "\177ELF" + std::string(50'000, 'x'));
    put(*staging + "/root/etc/cron.daily/apt-compat", "#!/bin/sh\n");
    storage::VersionManifest manifest;
    manifest.image = "icewm";
    manifest.session = {"icewm-session"};
    const auto made = images.commit(*staging, manifest);
    ASSERT_TRUE(made) << made.error().message();
    version_ = made->version;
  }

  static void put(const std::string& file, const std::string& text) {
    fs::create_directories(fs::path(file).parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }

  std::string version_;
};

TEST_F(ImageLint, TellsWhatBreaksSharingAndWhatItCosts) {
  ASSERT_EQ(panal({"image", "lint", "icewm"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("package-manager-at-boot"));
  EXPECT_THAT(out(), HasSubstr(">= 19.0 MiB"));
  EXPECT_THAT(out(), HasSubstr("each desktop"));
  EXPECT_THAT(out(), HasSubstr("logs-in-image"));
  EXPECT_THAT(out(), HasSubstr("97.7 KiB"));
  EXPECT_THAT(out(), HasSubstr("e.g. /var/log/dpkg.log"));
  EXPECT_EQ(err(), "");

  ASSERT_EQ(panal({"image", "lint", "icewm:" + version_, "--json"}), ExitCode::kOk) << err();
  const auto told = json();
  EXPECT_EQ(told["version"], version_);
  EXPECT_EQ(told["complete"], true);
  ASSERT_EQ(told["findings"].size(), 2U);
  EXPECT_EQ(told["findings"][0]["rule"], "package-manager-at-boot");
  EXPECT_EQ(told["findings"][0]["estimated"], true);
  EXPECT_EQ(told["findings"][1]["bytes"], 100'000);
  EXPECT_EQ(told["findings"][1]["fix"], "remove");
}

TEST_F(ImageLint, LooksAtWhatADesktopHasWritten) {
  farm_with_desktops(1);
  const std::string version = "icewm:" + version_;
  store::Desktop& desktop = backends_.farm.desktops.begin()->second;
  EXPECT_EQ(panal({"image", "lint", version, "--desktop", "d-1"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("has not written anything"));
  desktop.persistent = true;
  put(directory_ + "/state/desktops/d" + std::to_string(desktop.id) +
          "/upper/persistent/upper/usr/lib/libx.so",
      "\177ELF" + std::string(50'000, 'x'));
  ASSERT_EQ(panal({"image", "lint", version, "--desktop", "d-1", "--json"}), ExitCode::kOk)
      << err();
  const auto findings = json()["findings"];
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[2]["rule"], "library-metadata-changed");
  EXPECT_EQ(findings[2]["desktop"], "d-1");
  EXPECT_EQ(findings[2]["paths"][0], "/usr/lib/libx.so");
  EXPECT_EQ(panal({"image", "lint", version, "--desktop", "gone"}), ExitCode::kNotFound);
  desktop.node = "n2";
  EXPECT_EQ(panal({"image", "lint", version, "--desktop", "d-1"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("on node n2"));
  desktop.image = "xfce";
  EXPECT_EQ(panal({"image", "lint", version, "--desktop", "d-1"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("of image xfce"));
}

TEST_F(ImageLint, AFixIsANewVersion) {
  ASSERT_EQ(panal({"image", "lint", "icewm", "--fix", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would remove /etc/cron.daily/apt-compat"));
  EXPECT_THAT(out(), HasSubstr("would remove /var/log/dpkg.log"));
  EXPECT_TRUE(backends_.farm.versions.empty());

  backends_.farm.database_answers = false;
  EXPECT_EQ(panal({"image", "lint", "icewm", "--fix"}), ExitCode::kNotRunning);
  backends_.farm.database_answers = true;
  ASSERT_EQ(panal({"image", "lint", "icewm", "--fix"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("2 repairs were made to a copy of " + version_));
  ASSERT_EQ(backends_.farm.versions.size(), 1U);
  EXPECT_NE(backends_.farm.versions[0].version, version_);
  EXPECT_TRUE(fs::exists(directory_ + "/state/images/icewm/" + version_ +
                         "/root/etc/cron.daily/apt-compat"));
  // The new one is the newest.
  ASSERT_EQ(panal({"image", "lint", "icewm", "--fix"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("nothing that --fix could mend"));
  ASSERT_EQ(panal({"image", "lint", "icewm"}), ExitCode::kOk);
  EXPECT_EQ(out(), "nothing breaks sharing\n");
}

TEST_F(ImageLint, RefusesWhatIsNotThere) {
  EXPECT_EQ(panal({"image", "lint"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "lint", "icewm", "--dry-run"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("--fix"));
  EXPECT_EQ(panal({"image", "lint", "gnome"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("there is no image gnome"));
  EXPECT_EQ(panal({"image", "lint", "icewm:7"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("has no version 7"));
  EXPECT_THAT(out(), Not(HasSubstr("RULE")));
}

}  // namespace
}  // namespace panal::cli

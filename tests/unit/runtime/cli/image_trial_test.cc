#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/runtime/cli/commands_fixture.h"

namespace panal::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

/// icewm with versions 2 (head) and 1 (default), both on this node.
class ImageTrials : public Commands {
 protected:
  void SetUp() override {
    Commands::SetUp();
    auto& farm = backends_.farm;
    farm.images = {{"icewm", "", ""}};
    for (const char* number : {"2", "1"}) {
      store::Version one;
      one.image = "icewm";
      one.version = number;
      one.commit = std::string(64, *number);
      farm.versions.push_back(one);
      backends_.disk.copies.push_back(FakeDisk::copy("icewm", number, one.commit));
    }
    farm.move("icewm", "head", "2");
    farm.move("icewm", "default", "1");
  }
  std::string at(const std::string& tag) { return backends_.farm.at("icewm", tag); }
  std::string picture(const std::string& version) const {
    return directory_ + "/state/images/icewm/" + version + "/trial.png";
  }
};

TEST_F(ImageTrials, ATrialSaysHowItWentAndWhereThePictureIs) {
  EXPECT_EQ(panal({"image", "trial", "icewm", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would start a throw-away desktop of icewm:2"));
  EXPECT_THAT(out(), HasSubstr("has not been tried on this node"));
  EXPECT_EQ(backends_.farm.trials, 0);

  EXPECT_EQ(panal({"image", "trial", "icewm"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("icewm:2: starting a throw-away desktop\n"));
  EXPECT_THAT(out(), HasSubstr("icewm:2 starts: good on 2026-11-27T00:00:00Z, 2 windows and a "
                               "picture after 3.4 s; its picture is " +
                               picture("2")));
  EXPECT_TRUE(std::filesystem::exists(picture("2")));
  EXPECT_EQ(at("default"), "1") << "a trial moves nothing";
  EXPECT_EQ(panal({"image", "trial", "icewm", "--json"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()["trial"]["good"], true);
  EXPECT_EQ(json()["trial"]["picture"], picture("2"));
  EXPECT_EQ(json()["trial"]["took_ms"], 3400);
  EXPECT_EQ(backends_.farm.trials, 2) << "who asks for a trial gets one";
  EXPECT_EQ(panal({"image", "show", "icewm:2"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr(picture("2")));
  EXPECT_EQ(panal({"image", "show", "icewm:1", "--json"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()["trial"]["good"], false);
}

TEST_F(ImageTrials, AFailedOneIsTheCommandsFailure) {
  backends_.farm.do_not_start = {"2"};
  EXPECT_EQ(panal({"image", "trial", "icewm"}), ExitCode::kFailed);
  EXPECT_THAT(err(), HasSubstr("icewm:2: its trial start failed: its session ended: no such "
                               "program\\x1b[31m; its picture is " +
                               picture("2")));
  EXPECT_EQ(panal({"image", "trial", "icewm", "--json"}), ExitCode::kFailed);
  EXPECT_EQ(json()["trial"]["good"], false);
  EXPECT_EQ(panal({"image", "trial", "icewm", "--dry-run"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("its last trial: its trial start failed"));
}

TEST_F(ImageTrials, PublishTriesWhatWasNotTriedAndOnlyOnce) {
  EXPECT_EQ(panal({"image", "publish", "icewm", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("a trial start would come first"));
  EXPECT_EQ(backends_.farm.trials, 0);
  EXPECT_EQ(panal({"image", "publish", "icewm"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("icewm:2: starting a throw-away desktop\n"));
  EXPECT_EQ(at("default"), "2");
  EXPECT_EQ(backends_.farm.changes.back().forced, "");
  EXPECT_EQ(panal({"image", "rollback", "icewm"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.trials, 1) << "back at once, whatever was tried";
  EXPECT_EQ(panal({"image", "publish", "icewm", "--json"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()["trial"]["good"], true);
  EXPECT_EQ(backends_.farm.trials, 1) << "it is known to be good";
  EXPECT_EQ(panal({"image", "publish", "icewm", "--hard", "1h"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), Not(HasSubstr("trial"))) << "it is published already";
}

TEST_F(ImageTrials, PublishRefusesWhatDoesNotStartUnlessItIsForced) {
  backends_.farm.do_not_start = {"2"};
  EXPECT_EQ(panal({"image", "publish", "icewm"}), ExitCode::kRefused);
  EXPECT_EQ(at("default"), "1");
  EXPECT_THAT(err(), HasSubstr("icewm:2 was not published: its trial start failed: its session "
                               "ended: no such program"));
  EXPECT_THAT(err(), HasSubstr("--force"));
  const std::string said = err();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_EQ(panal({"image", "publish", "icewm"}), ExitCode::kRefused);
  EXPECT_EQ(backends_.farm.trials, 2) << "what failed is tried again";
  EXPECT_EQ(panal({"image", "publish", "icewm", "--force"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.trials, 2);
  EXPECT_EQ(at("default"), "2");
  EXPECT_THAT(backends_.farm.changes.back().forced, HasSubstr("its trial start failed"));
  EXPECT_THAT(out(), HasSubstr("audit log"));
}

TEST_F(ImageTrials, WithoutPanaldNothingIsTried) {
  backends_.farm.node_answers = false;
  EXPECT_EQ(panal({"image", "trial", "icewm"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("panald does not run"));
  EXPECT_EQ(panal({"image", "publish", "icewm"}), ExitCode::kRefused);
  EXPECT_EQ(at("default"), "1");
  EXPECT_EQ(panal({"image", "publish", "icewm", "--force"}), ExitCode::kOk) << err();
  EXPECT_THAT(backends_.farm.changes.back().forced, HasSubstr("not been tried"));
  // A first version is registered, and waits.
  EXPECT_EQ(panal({"image", "import", "fedora", "/x", "--session", "startxfce4"}), ExitCode::kOk)
      << err();
  EXPECT_EQ(backends_.farm.at("fedora", "default"), "");
  EXPECT_EQ(backends_.farm.at("fedora", "head"), "9");
  EXPECT_THAT(out(), HasSubstr("new starts take nothing until panal image publish fedora:9"));
  backends_.farm.node_answers = true;
  EXPECT_EQ(panal({"image", "publish", "fedora"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.at("fedora", "default"), "9");
}

TEST_F(ImageTrials, NewVersionsGetDefaultOnlyWhenTheyStart) {
  backends_.farm.do_not_start = {"9"};
  EXPECT_EQ(panal({"image", "import", "fedora", "/x", "--session", "startxfce4"}),
            ExitCode::kFailed);
  EXPECT_THAT(err(), HasSubstr("new starts take nothing until panal image publish fedora:9: its "
                               "trial start failed"));
  EXPECT_EQ(backends_.farm.at("fedora", "default"), "");
  EXPECT_EQ(panal({"image", "commit", "icewm", "/x"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.trials, 1) << "nobody wants it published";
  EXPECT_EQ(panal({"image", "commit", "icewm", "/x", "--publish"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("new starts take 1 until"));
  EXPECT_EQ(at("default"), "1");
  EXPECT_EQ(at("head"), "9");
}

TEST_F(ImageTrials, ATrialOfAnotherCommitDoesNotCount) {
  ASSERT_EQ(panal({"image", "trial", "icewm"}), ExitCode::kOk) << err();
  backends_.farm.versions[0].commit = std::string(64, 'f');
  EXPECT_EQ(panal({"image", "publish", "icewm", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("another commit of its name was tried"));
}

}  // namespace
}  // namespace panal::cli

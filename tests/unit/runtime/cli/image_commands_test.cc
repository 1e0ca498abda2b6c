#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/unit/runtime/cli/commands_fixture.h"

namespace panal::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// icewm with versions 2 (head) and 1 (default), both commits and on this node; nobody uses them.
class Images : public Commands {
 protected:
  void SetUp() override {
    Commands::SetUp();
    auto& farm = backends_.farm;
    farm.images = {{"icewm", "small", ""}};
    for (const char* number : {"2", "1"}) {
      farm.versions.push_back(version("icewm", number));
      backends_.disk.copies.push_back(FakeDisk::copy("icewm", number, farm.versions.back().commit));
    }
    farm.move("icewm", "head", "2");
    farm.move("icewm", "default", "1");
    archive_ = directory_ + "/archive";
  }
  static store::Version version(const std::string& image, const std::string& number) {
    store::Version one;
    one.image = image;
    one.version = number;
    one.session = {"icewm-session"};
    one.commit = std::string(64, number[0]);
    one.message = "update " + number + "\x1b[2J";
    one.author = "carol";
    one.created = "2026-11-2" + number + "T10:00:00Z";
    return one;
  }
  /// Image xfce gets this layer on this node, and no other.
  void configure_layer(const std::string& layer) {
    if (plain_.empty()) {
      std::stringstream text;
      text << std::ifstream(directory_ + "/panal.toml").rdbuf();
      plain_ = text.str();
    }
    std::ofstream(directory_ + "/panal.toml")
        << plain_ << "[compose]\nlayers = { xfce = [\"" << layer << "\"] }\n";
  }
  void offer(const std::string& image, const std::string& number) {
    storage::ListedVersion one;
    one.image = image;
    one.version = number;
    one.commit = std::string(64, number[0]);
    one.created_unix_s = 1'764'000'000 + number[0];
    backends_.disk.offer.versions.push_back(one);
  }

  std::string archive_;
  std::string plain_;  ///< the configuration without a layer
};

TEST_F(Images, LsAndLogShowTagsAndCommits) {
  EXPECT_EQ(panal({"image", "ls", "--json"}), ExitCode::kOk) << err();
  ASSERT_EQ(json().size(), 2U);
  EXPECT_EQ(json()[0]["version"], "2");
  EXPECT_EQ(json()[0]["tags"], nlohmann::json::array({"head"}));
  EXPECT_EQ(json()[0]["default"], false);
  EXPECT_EQ(json()[1]["default"], true);
  EXPECT_EQ(json()[1]["commit"], std::string(64, '1'));
  EXPECT_EQ(panal({"image", "log", "icewm"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("2 (head)\n"));
  EXPECT_THAT(out(), HasSubstr("carol"));
  EXPECT_THAT(out(), HasSubstr("update 1\\x1b"));
  EXPECT_EQ(out().find('\x1b'), std::string::npos);
  EXPECT_EQ(panal({"image", "log", "icewm", "-n", "1", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json().size(), 1U);
  EXPECT_EQ(panal({"image", "log", "iecwm"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("did you mean icewm?"));
}

TEST_F(Images, ShowHasThePackagesOfACopy) {
  backends_.disk.copies[1].packages = {{"bash", "5.2"}, {"icewm", "3.3"}};
  EXPECT_EQ(panal({"image", "show", "icewm", "--json"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()["version"], "1");
  EXPECT_EQ(json()["here"], true);
  ASSERT_EQ(json()["packages"].size(), 2U);
  EXPECT_EQ(json()["packages"][0]["name"], "bash");
  EXPECT_EQ(panal({"image", "show", "icewm:head"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("packages          0"));
  EXPECT_EQ(panal({"image", "show", "icewm:3"}), ExitCode::kNotFound);
}

TEST_F(Images, DiffAnswersInPackagesAndFiles) {
  auto& diff = backends_.disk.diff;
  diff.packages = {{storage::Change::kChanged, "bash", "5.1", "5.2"}};
  diff.files = {{storage::Change::kAdded, "/usr/bin/new", 0, 4096}};
  EXPECT_EQ(panal({"image", "diff", "icewm"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.disk.compared.first, std::string(64, '1')) << "default";
  EXPECT_EQ(backends_.disk.compared.second, std::string(64, '2')) << "head";
  EXPECT_THAT(out(), HasSubstr("icewm:1 -> icewm:2: 1 packages and 1 files differ"));
  EXPECT_THAT(out(), Not(HasSubstr("/usr/bin/new")));
  EXPECT_EQ(panal({"image", "diff", "icewm:2", "icewm:1", "--files"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("/usr/bin/new"));
  EXPECT_EQ(panal({"image", "diff", "icewm", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()["packages"][0]["change"], "changed");
  EXPECT_EQ(json()["files"][0]["to_bytes"], 4096);
  backends_.farm.versions[1].commit.clear();
  EXPECT_EQ(panal({"image", "diff", "icewm"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("before versions were commits"));
}

TEST_F(Images, RmWritesTheRemovalDownAndDeletesTheCopy) {
  EXPECT_EQ(panal({"image", "rm", "icewm:2", "--dry-run"}), ExitCode::kOk);
  EXPECT_EQ(backends_.farm.versions.size(), 2U);
  EXPECT_EQ(panal({"image", "rm", "icewm:head"}), ExitCode::kUsage) << "a tag may have moved";
  EXPECT_EQ(panal({"image", "rm", "icewm:1"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("what new starts take"));
  EXPECT_EQ(panal({"image", "rm", "icewm:2"}), ExitCode::kOk) << err();
  EXPECT_FALSE(backends_.disk.has("icewm", "2"));
  ASSERT_EQ(backends_.farm.removals.size(), 1U);
  EXPECT_THAT(backends_.farm.removals[0].done_on, ElementsAre("n1"));
  EXPECT_FALSE(backends_.farm.removals[0].actor.empty());
}

TEST_F(Images, RmOfAnImageLeavesWhatNewStartsTakeForLast) {
  EXPECT_EQ(panal({"image", "rm", "icewm"}), ExitCode::kOk) << err();
  EXPECT_TRUE(backends_.farm.versions.empty());
  EXPECT_EQ(backends_.farm.removals.back().version, "1");
  EXPECT_TRUE(backends_.disk.copies.empty());
}

TEST_F(Images, RmLeavesAVersionThatIsALayerOnThisNode) {
  const std::string tree = directory_ + "/state/images/icewm/2/root";
  for (const std::string& layer : {std::string("icewm/2"), tree}) {
    configure_layer(layer);
    for (const char* word : {"icewm:2", "icewm"}) {
      for (const bool dry_run : {true, false}) {
        std::vector<std::string> words = {"image", "rm", word};
        if (dry_run) words.push_back("--dry-run");
        EXPECT_EQ(panal(words), ExitCode::kRefused) << out();
        EXPECT_THAT(err(), HasSubstr("icewm:2 stays: it is a layer of image xfce"));
        EXPECT_THAT(err(), HasSubstr("\"" + layer + "\" in layers under [compose]"));
      }
    }
    EXPECT_EQ(backends_.farm.versions.size(), 2U) << "all of the image, or nothing";
    EXPECT_TRUE(backends_.farm.removals.empty());
    EXPECT_EQ(backends_.disk.copies.size(), 2U);
  }
  configure_layer("icewm/1");
  EXPECT_EQ(panal({"image", "rm", "icewm:2"}), ExitCode::kOk) << err();
}

TEST_F(Images, ALayerStaysThoughAnotherNodeRemovedIt) {
  store::Removal removal;
  removal.image = "office";
  removal.version = "1";
  removal.actor = "eve";
  backends_.farm.removals = {removal};
  backends_.disk.copies.push_back(FakeDisk::copy("office", "1"));
  configure_layer("office/1");
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"image", "agree", "--dry-run"}, {"image", "agree"}, {"image", "gc"}}) {
    EXPECT_EQ(panal(words), ExitCode::kOk) << err();
    EXPECT_THAT(out(), HasSubstr("office:1, which eve removed at , stays: it is a layer of image "
                                 "xfce on this node (\"office/1\" in layers under [compose])"));
    EXPECT_THAT(out(), Not(HasSubstr("this node has what it should")));
    EXPECT_TRUE(backends_.disk.has("office", "1"));
    EXPECT_TRUE(backends_.farm.removals[0].done_on.empty());
  }
  EXPECT_EQ(backends_.disk.collections, 1) << "the rest is collected";
  configure_layer("office/2");
  EXPECT_EQ(panal({"image", "agree"}), ExitCode::kOk) << err();
  EXPECT_FALSE(backends_.disk.has("office", "1"));
  EXPECT_THAT(backends_.farm.removals[0].done_on, ElementsAre("n1"));
}

TEST_F(Images, ALayerIsNotExchangedForACommit) {
  backends_.disk.copies.push_back(FakeDisk::copy("office", "1"));
  configure_layer("office/1");
  EXPECT_EQ(panal({"image", "agree", "--register"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("office:1 is left as it is: it is a layer of image xfce"));
  EXPECT_TRUE(backends_.disk.copies.back().commit.empty());
}

TEST_F(Images, ARemovalThatFailedOnDiskIsMadeTrueLater) {
  backends_.disk.sticks = true;
  EXPECT_EQ(panal({"image", "rm", "icewm:2"}), ExitCode::kFailed);
  EXPECT_THAT(err(), HasSubstr("panal image agree tries that again"));
  EXPECT_TRUE(backends_.disk.has("icewm", "2"));
  EXPECT_EQ(backends_.farm.versions.size(), 1U);
  EXPECT_TRUE(backends_.farm.removals[0].done_on.empty());
  EXPECT_EQ(panal({"image", "agree"}), ExitCode::kFailed);
  backends_.disk.sticks = false;
  EXPECT_EQ(panal({"image", "agree", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would delete icewm:2"));
  EXPECT_TRUE(backends_.disk.has("icewm", "2"));
  EXPECT_EQ(panal({"image", "agree"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("icewm:2 deleted"));
  EXPECT_FALSE(backends_.disk.has("icewm", "2"));
  EXPECT_THAT(backends_.farm.removals[0].done_on, ElementsAre("n1"));
  EXPECT_EQ(panal({"image", "agree"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("this node has what it should"));
}

TEST_F(Images, AVersionThatWasMadeAgainIsNotTakenForTheRemovedOne) {
  store::Removal former;
  former.image = "icewm";
  former.version = "2";
  former.commit = std::string(64, 'f');
  backends_.farm.removals = {former};
  EXPECT_EQ(panal({"image", "agree"}), ExitCode::kOk) << err();
  EXPECT_TRUE(backends_.disk.has("icewm", "2"));
  // Without a commit one cannot be told from the other: what is registered stays.
  backends_.disk.copies[0].commit.clear();
  EXPECT_EQ(panal({"image", "agree"}), ExitCode::kOk) << err();
  EXPECT_TRUE(backends_.disk.has("icewm", "2"));
}

TEST_F(Images, AgreeTellsWhatDiffersAndRegistersWhenAsked) {
  backends_.farm.versions.push_back(version("icewm", "0"));                            // not here
  backends_.disk.copies.push_back(FakeDisk::copy("xfce", "5", std::string(64, '5')));  // unknown
  backends_.disk.copies.push_back(FakeDisk::copy("old", "1"));  // no commit yet
  EXPECT_EQ(panal({"image", "agree"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("icewm:0 is not on this node"));
  EXPECT_THAT(out(), HasSubstr("xfce:5 is on this node, but nobody knows of it"));
  EXPECT_EQ(backends_.farm.versions.size(), 3U);
  EXPECT_EQ(panal({"image", "agree", "--register"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.at("xfce", "default"), "5");
  EXPECT_EQ(backends_.farm.at("old", "default"), "1");
  EXPECT_EQ(backends_.farm.versions.size(), 5U);
  backends_.disk.copies[0].commit = std::string(64, 'e');
  EXPECT_EQ(panal({"image", "agree"}), ExitCode::kFailed);
  EXPECT_THAT(err(), HasSubstr("icewm:2 is another commit on this node"));
}

TEST_F(Images, GcMakesRemovalsTrueFirst) {
  store::Removal removal;
  removal.image = "gone";
  removal.version = "1";
  removal.actor = "eve";
  backends_.farm.removals = {removal};
  backends_.disk.copies.push_back(FakeDisk::copy("gone", "1"));
  EXPECT_EQ(panal({"image", "gc", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would delete gone:1, which eve removed"));
  EXPECT_THAT(out(),
              HasSubstr("would free 2.0 MiB: 5 objects, and what those versions alone need"));
  EXPECT_EQ(backends_.disk.collections, 0);
  EXPECT_EQ(panal({"image", "agree", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), Not(HasSubstr("has what it should")));
  EXPECT_EQ(panal({"image", "gc"}), ExitCode::kOk) << err();
  EXPECT_FALSE(backends_.disk.has("gone", "1"));
  EXPECT_EQ(backends_.disk.collections, 1);
  EXPECT_THAT(out(), HasSubstr("3.0 MiB freed: 7 objects, 1 leftovers"));
  EXPECT_EQ(panal({"image", "gc", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would free 2.0 MiB: 5 objects\n"));
  backends_.farm.database_answers = false;
  EXPECT_EQ(panal({"image", "gc"}), ExitCode::kOk) << "garbage goes without a database too";
  EXPECT_EQ(backends_.disk.collections, 2);
}

TEST_F(Images, VerifyNamesTheFilesAndRepairSaysWhatIsLeft) {
  EXPECT_EQ(panal({"image", "verify", "--rate", "50MiB"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.disk.rate, 50U << 20U);
  EXPECT_EQ(panal({"image", "repair"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("nothing is damaged"));
  storage::Damage damage;
  damage.kind = storage::Damage::Kind::kObjectCorrupt;
  damage.object.checksum = std::string(64, 'd');
  damage.what = "usr/bin/xterm has other bytes";
  damage.places = {"icewm 1: /usr/bin/xterm"};
  damage.more_places = 2;
  backends_.disk.damages = {damage};
  damage.object.checksum = std::string(64, 'e');
  backends_.disk.damages.push_back(damage);
  EXPECT_EQ(panal({"image", "verify"}), ExitCode::kFailed);
  EXPECT_THAT(out(), HasSubstr("icewm 1: /usr/bin/xterm\n  and 2 more"));
  EXPECT_THAT(err(), HasSubstr("2 objects are damaged"));
  EXPECT_EQ(panal({"image", "verify", "--json"}), ExitCode::kFailed);
  EXPECT_EQ(json()["damages"][0]["kind"], "corrupt");
  EXPECT_EQ(panal({"image", "repair", "--from", archive_, "--dry-run"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("would mend 2"));
  backends_.disk.beyond_repair = {std::string(64, 'e')};
  EXPECT_EQ(panal({"image", "repair", "--from", archive_}), ExitCode::kFailed);
  EXPECT_THAT(out(), HasSubstr("1 of 2 mended"));
  backends_.disk.beyond_repair.clear();
  EXPECT_EQ(panal({"image", "repair", "--from", archive_}), ExitCode::kOk) << err();
  EXPECT_EQ(panal({"image", "verify", "--rate", "fast"}), ExitCode::kUsage);
}

TEST_F(Images, VerifyReadsAnArchiveInADirectory) {
  backends_.disk.damages.resize(1);  // the node's, which nobody asked for
  EXPECT_EQ(panal({"image", "verify", "--archive", archive_, "--rate", "1MiB"}), ExitCode::kOk)
      << err();
  EXPECT_EQ(backends_.disk.looked_through, archive_ + " 1048576");
  EXPECT_THAT(out(), HasSubstr("20 objects"));
  storage::Damage damage;
  damage.kind = storage::Damage::Kind::kObjectCorrupt;
  damage.object.checksum = std::string(64, 'd');
  damage.what = "file is damaged";
  damage.places = {"icewm 1: /usr/bin/xterm"};
  backends_.disk.archive_damages = {damage};
  EXPECT_EQ(panal({"image", "verify", "--archive", archive_, "--json"}), ExitCode::kFailed);
  EXPECT_EQ(json()["objects"], 20);
  EXPECT_EQ(json()["damages"][0]["places"][0], "icewm 1: /usr/bin/xterm");
  EXPECT_THAT(err(), HasSubstr("push those versions again"));
  EXPECT_EQ(panal({"image", "verify", "--archive", "https://x/"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "verify", "--archive", archive_, "--rate", "fast"}), ExitCode::kUsage);
}

TEST_F(Images, RepairLooksBelowTheDirectoriesThatItMended) {
  storage::Damage damage;
  damage.kind = storage::Damage::Kind::kObjectCorrupt;
  damage.object = {std::string(64, 'd'), storage::ObjectType::kDirTree};
  damage.what = "directory is damaged";
  backends_.disk.damages = {damage};
  damage.object = {std::string(64, 'e'), storage::ObjectType::kFile};
  damage.what = "file is damaged";
  backends_.disk.hidden = {damage};
  EXPECT_EQ(panal({"image", "repair", "--from", archive_}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("2 of 2 mended"));
  EXPECT_TRUE(backends_.disk.damages.empty());

  backends_.disk.hidden = {damage};
  backends_.disk.beyond_repair = {damage.object.checksum};
  damage.object = {std::string(64, 'd'), storage::ObjectType::kDirTree};
  backends_.disk.damages = {damage};
  EXPECT_EQ(panal({"image", "repair", "--from", archive_}), ExitCode::kFailed);
  EXPECT_THAT(out(), HasSubstr("1 of 2 mended"));
  EXPECT_THAT(err(), HasSubstr("1 could not be mended"));
}

TEST_F(Images, ImportAndCommitRegisterWhatTheyMade) {
  EXPECT_EQ(
      panal({"image", "import", "fedora", "/x/rootfs.tar", "--session", "startxfce4", "--dry-run"}),
      ExitCode::kOk)
      << err();
  EXPECT_TRUE(backends_.disk.taken_in.empty());
  EXPECT_EQ(panal({"image", "import", "fedora", "/x/rootfs.tar", "--kind", "tar", "-m", "first",
                   "--session", "startxfce4"}),
            ExitCode::kOk)
      << err();
  ASSERT_EQ(backends_.disk.taken_in.size(), 1U);
  EXPECT_EQ(backends_.disk.taken_in[0].kind, storage::ImportKind::kTar);
  EXPECT_EQ(backends_.farm.at("fedora", "default"), "9");
  EXPECT_EQ(backends_.farm.versions[0].message, "first");
  EXPECT_FALSE(backends_.farm.versions[0].author.empty());
  EXPECT_THAT(out(), HasSubstr("is the default for new starts"));

  EXPECT_EQ(panal({"image", "commit", "icewm", "/x/tree", "-m", "fonts"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.disk.taken_in[1].kind, storage::ImportKind::kDirectory);
  EXPECT_THAT(backends_.disk.taken_in[1].session, ElementsAre("icewm-session"));
  EXPECT_EQ(backends_.farm.at("icewm", "head"), "9");
  EXPECT_EQ(backends_.farm.at("icewm", "default"), "1") << "nobody has published it";
  EXPECT_THAT(out(), HasSubstr("new starts take 1 until panal image publish icewm:9"));
  EXPECT_EQ(panal({"image", "commit", "icewm", "/x/tree", "--publish"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.at("icewm", "default"), "9");

  EXPECT_EQ(panal({"image", "import", "fedora", "/x", "--kind", "zip"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "import", "fedora:1", "/x"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "commit", "icewm", "/x", "-m", "two\nlines"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "build", "icewm", "-m", std::string(2001, 'x')}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "import", "Fedora", "/x"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("no image name"));
  EXPECT_EQ(panal({"image", "commit", "none", "/x"}), ExitCode::kNotFound);
}

TEST_F(Images, ExportAndPushTakeWhatIsPublished) {
  EXPECT_EQ(panal({"image", "export", "icewm", "/x/icewm.tar.zst"}), ExitCode::kOk) << err();
  EXPECT_THAT(backends_.disk.written, ElementsAre("icewm:1 /x/icewm.tar.zst"));
  EXPECT_EQ(panal({"image", "push", "icewm:head", archive_, "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_TRUE(backends_.disk.pushed.empty());
  EXPECT_EQ(panal({"image", "push", "icewm:head", archive_, "--life", "30d"}), ExitCode::kOk)
      << err();
  EXPECT_THAT(backends_.disk.pushed, ElementsAre(archive_ + " " + std::string(64, '2')));
  EXPECT_THAT(out(), HasSubstr("publisher's key is 0000"));
  EXPECT_EQ(panal({"image", "push", "icewm", archive_, "--withdraw"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "push", "gone:3", archive_, "--withdraw", "--dry-run"}), ExitCode::kOk);
  EXPECT_TRUE(backends_.disk.withdrawn.empty());
  EXPECT_EQ(panal({"image", "push", "gone:3", archive_, "--withdraw"}), ExitCode::kOk) << err();
  EXPECT_THAT(backends_.disk.withdrawn, ElementsAre(archive_ + " gone:3"));
  EXPECT_THAT(out(), HasSubstr("1.0 MiB freed"));
  EXPECT_EQ(panal({"image", "push", "icewm", "https://x/"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "push", "icewm", archive_, "--life", "long"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "push", "icewm"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("name the archive's directory"));
  EXPECT_EQ(panal({"image", "rotate-key"}), ExitCode::kUsage);
  EXPECT_EQ(panal({"image", "rotate-key", archive_, "/other", "--dry-run"}), ExitCode::kOk);
  EXPECT_TRUE(backends_.disk.rotated.empty());
  EXPECT_EQ(panal({"image", "rotate-key", archive_, "/other"}), ExitCode::kOk) << err();
  EXPECT_THAT(backends_.disk.rotated, ElementsAre(archive_, "/other"));
}

TEST_F(Images, PullFetchesTheNewestAndNeedsAKeyOnce) {
  offer("xfce", "3");
  offer("xfce", "4");
  offer("icewm", "2");
  EXPECT_EQ(panal({"image", "pull", "xfce", "--from", archive_}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("no key is trusted"));
  const std::string key(64, 'b');
  EXPECT_EQ(panal({"image", "pull", "xfce", "--from", archive_, "--key", key, "--dry-run"}),
            ExitCode::kOk)
      << err();
  EXPECT_THAT(out(), HasSubstr("would pull xfce:4"));
  EXPECT_EQ(panal({"image", "pull", "xfce", "--from", archive_}), ExitCode::kNotFound)
      << "a trial keeps no key";
  EXPECT_EQ(panal({"image", "pull", "xfce", "--from", archive_, "--key", key}), ExitCode::kOk)
      << err();
  EXPECT_THAT(backends_.disk.pulled_from, ElementsAre(archive_));
  EXPECT_EQ(backends_.farm.at("xfce", "default"), "4");
  EXPECT_EQ(panal({"image", "pull", "xfce:3", "--from", archive_ + "/", "--publish"}),
            ExitCode::kOk)
      << err();
  EXPECT_EQ(backends_.farm.at("xfce", "default"), "3");
  EXPECT_EQ(panal({"image", "pull", "xfc", "--from", archive_}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("did you mean xfce?"));
  EXPECT_EQ(panal({"image", "pull", "xfce:44", "--from", archive_}), ExitCode::kNotFound);

  EXPECT_EQ(panal({"image", "pull", "--list", "--from", archive_, "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()["versions"].size(), 3U);
  EXPECT_EQ(json()["versions"][0]["known"], "yes");
}

TEST_F(Images, AMistypedKeyTakesTheGoodOneFromNobody) {
  offer("xfce", "4");
  backends_.disk.publisher = std::string(64, 'b');
  ASSERT_EQ(panal({"image", "pull", "--list", "--from", archive_, "--key", std::string(64, 'b')}),
            ExitCode::kOk)
      << err();
  EXPECT_NE(panal({"image", "pull", "xfce", "--from", archive_, "--key", std::string(64, 'c')}),
            ExitCode::kOk);
  EXPECT_THAT(err(), HasSubstr("signed by the key bbbb"));
  EXPECT_TRUE(backends_.disk.pulled_from.empty());
  EXPECT_EQ(panal({"image", "pull", "xfce", "--from", archive_}), ExitCode::kOk) << err();
}

TEST_F(Images, PullMissingFetchesWhatIsRegisteredAndOffersNothingElse) {
  const std::string key(64, 'b');
  offer("icewm", "2");
  offer("other", "1");
  std::erase_if(backends_.disk.copies, [](const auto& one) { return one.version == "2"; });
  EXPECT_EQ(panal({"image", "pull", "--missing", "--from", archive_, "--key", key}), ExitCode::kOk)
      << err();
  EXPECT_TRUE(backends_.disk.has("icewm", "2"));
  EXPECT_FALSE(backends_.disk.has("other", "1"));
  EXPECT_EQ(panal({"image", "pull", "--missing", "--from", archive_}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("lacks nothing"));
  backends_.farm.versions[0].commit = std::string(64, 'c');
  EXPECT_EQ(panal({"image", "pull", "icewm:2", "--from", archive_}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("another commit here"));
}

TEST_F(Images, PullSaysWhatIsWrongWithItsWords) {
  const struct {
    std::vector<std::string> words;
    const char* said;
  } table[] = {
      {{"--from", "/x"}, "say what is to come"},
      {{"icewm", "--missing", "--from", "/x"}, "say what is to come"},
      {{"icewm"}, "--from is required"},
      {{"icewm", "--from", "gopher://x"}, ""},
      {{"icewm", "--from", "/x", "--most", "much"}, "is no size"},
      {{"i/c", "--from", "/x", "--key", "b"}, "names no image"},
  };
  for (const auto& wrong : table) {
    std::vector<std::string> words{"image", "pull"};
    words.insert(words.end(), wrong.words.begin(), wrong.words.end());
    EXPECT_EQ(panal(words), ExitCode::kUsage) << testing::PrintToString(words);
    EXPECT_THAT(err(), HasSubstr(wrong.said)) << testing::PrintToString(words);
  }
  EXPECT_EQ(panal({"image", "pull", "icewm", "--from", "/x", "--authorization-file",
                   directory_ + "/none"}),
            ExitCode::kNotFound);
  EXPECT_EQ(panal({"image", "pull", "icewm", "--from", "/x", "--token-file", "a",
                   "--authorization-file", "b"}),
            ExitCode::kUsage);
  std::ofstream(directory_ + "/token") << "Bearer x\x01y\n";
  EXPECT_EQ(panal({"image", "pull", "icewm", "--from", "/x", "--authorization-file",
                   directory_ + "/token"}),
            ExitCode::kUsage);
}

}  // namespace
}  // namespace panal::cli

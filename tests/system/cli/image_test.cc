// `panal image` with a real database and real repositories, two nodes of one farm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/cli/cli.h"
#include "tests/system/store/cluster.h"

namespace panal::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ImageCommands : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (std::getenv("PANAL_LAB") == nullptr || ::access(PANAL_BIN_DIR "/panal-unpack", X_OK) != 0)
      return;
    cluster_ = std::make_unique<store::Cluster>();
    cluster_->SetUp();
  }
  static void TearDownTestSuite() {
    if (cluster_) cluster_->TearDown();
    cluster_.reset();
  }
  void SetUp() override {
    if (!cluster_) GTEST_SKIP() << "run it in scripts/lab, with panal-unpack built";
    std::string pattern = testing::TempDir() + "images-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    ::chmod(directory_.c_str(), 0755);
    for (const char* node : {"one", "two"}) configure(node);
  }
  void TearDown() override {
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  /// Writes a node's configuration, with `more` at its end.
  void configure(const std::string& node, const std::string& more = "") const {
    const std::string state = directory_ + "/" + node;
    std::ofstream(state + ".toml")
        << "[node]\nname = \"" << node << "\"\n[paths]\nstate = \"" << cluster_->config().state_dir
        << "\"\nrun = \"" << cluster_->config().run_dir << "\"\nimages = \"" << state
        << "/images\"\n[database]\nuser = \"postgres\"\n[broker]\nuser = \"nobody\"\n"
        << more;
  }

  /// As an operator of this node.
  ExitCode on(const std::string& node, std::vector<std::string> words) {
    out_.str("");
    err_.str("");
    words.insert(words.begin(), {"--config", directory_ + "/" + node + ".toml", "image"});
    const auto backends = make_backends();
    return static_cast<ExitCode>(run(words, out_, err_, false, *backends));
  }
  std::string said() const { return out_.str() + err_.str(); }
  nlohmann::json json() const { return nlohmann::json::parse(out_.str()); }

  /// A root file system as small as an image can be.
  std::string tree(const std::string& name, const std::string& text) const {
    const std::string root = directory_ + "/" + name;
    fs::create_directories(root + "/usr/bin");
    fs::create_directories(root + "/etc");
    std::ofstream(root + "/usr/bin/session") << "#!/bin/sh\n" << text << "\n";
    std::ofstream(root + "/usr/bin/same") << std::string(100'000, 's');
    fs::permissions(root + "/usr/bin/session", fs::perms(0755));
    return root;
  }
  std::string default_of(const std::string& image) {
    EXPECT_EQ(on("one", {"ls", "--json"}), ExitCode::kOk) << said();
    for (const auto& version : json())
      if (version["image"] == image && version["default"] == true) return version["version"];
    return "";
  }
  std::string copy_of(const std::string& node, const std::string& version,
                      const std::string& image = "tiny") const {
    return directory_ + "/" + node + "/images/" + image + "/" + version + "/root/usr/bin/session";
  }

  static inline std::unique_ptr<store::Cluster> cluster_;
  std::string directory_;
  std::ostringstream out_, err_;
};

TEST_F(ImageCommands, TakeVersionsFromTheirMakingToTheirEndOnTwoNodes) {
  ASSERT_EQ(on("one", {"import", "tiny", tree("first", "echo 1"), "-m", "the first", "--session",
                       "/usr/bin/session"}),
            ExitCode::kOk)
      << said();
  EXPECT_EQ(default_of("tiny"), "") << "nothing was tried: panald does not run here";
  EXPECT_EQ(on("one", {"publish", "tiny"}), ExitCode::kRefused);
  EXPECT_THAT(said(), HasSubstr("panald does not run"));
  ASSERT_EQ(on("one", {"publish", "tiny", "--force"}), ExitCode::kOk) << said();
  const std::string first = default_of("tiny");
  ASSERT_FALSE(first.empty());
  ASSERT_EQ(on("one", {"commit", "tiny", tree("second", "echo 2"), "-m", "the second"}),
            ExitCode::kOk)
      << said();
  EXPECT_EQ(default_of("tiny"), first) << "nobody has published it";

  ASSERT_EQ(on("one", {"log", "tiny", "--json"}), ExitCode::kOk) << said();
  ASSERT_EQ(json().size(), 2U);
  const std::string second = json()[0]["version"];
  EXPECT_EQ(json()[0]["message"], "the second");
  EXPECT_EQ(json()[0]["commit"].get<std::string>().size(), 64U);
  EXPECT_EQ(json()[1]["version"], first);
  EXPECT_NE(json()[0]["commit"], json()[1]["commit"]);

  ASSERT_EQ(on("one", {"diff", "tiny", "--json"}), ExitCode::kOk) << said();
  ASSERT_EQ(json()["files"].size(), 1U) << out_.str();
  EXPECT_EQ(json()["files"][0]["path"], "/usr/bin/session");
  struct stat a{};
  struct stat b{};
  const auto same = [&](const std::string& version) {
    return directory_ + "/one/images/tiny/" + version + "/root/usr/bin/same";
  };
  ASSERT_EQ(::stat(same(first).c_str(), &a), 0);
  ASSERT_EQ(::stat(same(second).c_str(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino) << "one file on disk";

  EXPECT_EQ(on("one", {"publish", "tiny", "--hard", "1h", "--dry-run"}), ExitCode::kOk) << said();
  EXPECT_EQ(default_of("tiny"), first);
  EXPECT_EQ(on("one", {"publish", "tiny", "--hard", "1h", "--force"}), ExitCode::kOk) << said();
  EXPECT_EQ(default_of("tiny"), second);
  EXPECT_EQ(on("one", {"rollback", "tiny"}), ExitCode::kOk) << said();
  EXPECT_EQ(default_of("tiny"), first);
  EXPECT_EQ(on("one", {"rollback", "tiny"}), ExitCode::kRefused) << said();
  EXPECT_EQ(on("one", {"publish", "tiny:" + second, "--force"}), ExitCode::kOk) << said();
  EXPECT_EQ(on("one", {"tag", "tiny:" + first, "stable"}), ExitCode::kOk) << said();
  EXPECT_EQ(on("one", {"rm", "tiny:" + first}), ExitCode::kRefused);
  EXPECT_THAT(said(), HasSubstr("has tag stable"));
  EXPECT_EQ(on("one", {"verify"}), ExitCode::kOk) << said();
  EXPECT_EQ(on("one", {"export", "tiny:stable", directory_ + "/out.tar.gz"}), ExitCode::kOk)
      << said();
  EXPECT_TRUE(fs::exists(directory_ + "/out.tar.gz"));

  // To another node, by a directory that anybody could serve.
  const std::string archive = directory_ + "/archive";
  ASSERT_EQ(on("one", {"push", "tiny:" + first, archive}), ExitCode::kOk) << said();
  const std::string key = out_.str().substr(out_.str().rfind(' ') + 1, 64);
  EXPECT_EQ(on("two", {"pull", "tiny", "--from", archive}), ExitCode::kNotFound)
      << "nobody has said whose archive it is: " << said();
  ASSERT_EQ(on("two", {"pull", "--missing", "--from", archive, "--key", key}), ExitCode::kOk)
      << said();
  EXPECT_TRUE(fs::exists(copy_of("two", first)));
  EXPECT_FALSE(fs::exists(copy_of("two", second)));
  EXPECT_EQ(on("two", {"publish", "tiny:" + second}), ExitCode::kRefused) << "it has no copy";
  EXPECT_EQ(on("two", {"agree"}), ExitCode::kOk) << said();
  EXPECT_THAT(said(), HasSubstr("tiny:" + second + " is not on this node"));

  // Removed on one: the other makes it true when it looks.
  ASSERT_EQ(on("one", {"untag", "tiny:stable"}), ExitCode::kOk) << said();
  const std::string as_layer = "[compose]\nlayers = { xfce = [\"tiny/" + first + "\"] }\n";
  configure("one", as_layer);
  ASSERT_EQ(on("one", {"rm", "tiny:" + first}), ExitCode::kRefused) << said();
  EXPECT_THAT(said(), HasSubstr("it is a layer of image xfce on this node"));
  EXPECT_TRUE(fs::exists(copy_of("one", first)));
  configure("one");
  ASSERT_EQ(on("one", {"rm", "tiny:" + first}), ExitCode::kOk) << said();
  EXPECT_FALSE(fs::exists(copy_of("one", first)));
  EXPECT_TRUE(fs::exists(copy_of("two", first)));
  // What a node has as a layer stays there until it is none.
  configure("two", as_layer);
  for (const char* verb : {"gc", "agree"}) {
    ASSERT_EQ(on("two", {verb}), ExitCode::kOk) << said();
    EXPECT_THAT(said(), HasSubstr("stays: it is a layer of image xfce"));
    EXPECT_TRUE(fs::exists(copy_of("two", first)));
  }
  configure("two");
  ASSERT_EQ(on("two", {"gc"}), ExitCode::kOk) << said();
  EXPECT_FALSE(fs::exists(copy_of("two", first)));
  EXPECT_THAT(said(), HasSubstr("tiny:" + first + " deleted"));
  EXPECT_EQ(on("one", {"gc"}), ExitCode::kOk) << said();
  EXPECT_TRUE(fs::exists(copy_of("one", second))) << "what is needed stays";
}

TEST_F(ImageCommands, RepairFetchesWhatWasDamaged) {
  ASSERT_EQ(
      on("one", {"import", "mended", tree("whole", "echo whole"), "--session", "/usr/bin/session"}),
      ExitCode::kOk)
      << said();
  ASSERT_EQ(on("one", {"publish", "mended", "--force"}), ExitCode::kOk) << said();
  const std::string version = default_of("mended");
  const std::string archive = directory_ + "/archive";
  ASSERT_EQ(on("one", {"push", "mended:" + version, archive}), ExitCode::kOk) << said();
  const std::string key = out_.str().substr(out_.str().rfind(' ') + 1, 64);
  // Through the hard link, into the repository's own file.
  {
    std::fstream file(copy_of("one", version, "mended"), std::ios::in | std::ios::out);
    file.seekp(3);
    file.put('X');
  }
  EXPECT_EQ(on("one", {"verify"}), ExitCode::kFailed);
  EXPECT_THAT(said(), HasSubstr("/usr/bin/session"));
  EXPECT_EQ(on("one", {"repair", "--from", archive, "--dry-run"}), ExitCode::kOk) << said();
  EXPECT_EQ(on("one", {"repair", "--from", archive}), ExitCode::kOk) << said();
  EXPECT_EQ(on("one", {"verify"}), ExitCode::kOk) << said();
  std::ifstream mended(copy_of("one", version, "mended"));
  std::string line;
  std::getline(mended, line);
  EXPECT_EQ(line, "#!/bin/sh");
}

}  // namespace
}  // namespace panal::cli

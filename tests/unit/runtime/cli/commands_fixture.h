#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/runtime/cli/fake_store.h"

namespace panal::cli {

/// The whole of `panal` before a store in memory.
class Commands : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "cli-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    std::ofstream(directory_ + "/panal.toml")
        << "[node]\nname = \"n1\"\n[paths]\nstate = \"" << directory_ << "/state\"\nrun = \""
        << directory_.substr(0, 40) << "/run\"\n";
    std::ofstream(directory_ + "/password") << "correct horse\n";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  ExitCode panal(std::vector<std::string> words) {
    out_.str("");
    err_.str("");
    words.insert(words.begin(), {"--config", directory_ + "/panal.toml"});
    return static_cast<ExitCode>(run(words, out_, err_, false, backends_));
  }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }
  nlohmann::json json() const { return nlohmann::json::parse(out_.str()); }

  void farm_with_desktops(std::uint32_t count) {
    ASSERT_EQ(panal({"user", "add", "alice", "--password-file", directory_ + "/password"}),
              ExitCode::kOk)
        << err();
    backends_.farm.images = {{"icewm", "", "1"}};
    backends_.farm.versions = {{"icewm", "1", "", {}, false, 0, ""}};
    backends_.farm.move("icewm", "head", "1");
    backends_.farm.move("icewm", "default", "1");
    backends_.disk.copies = {FakeDisk::copy("icewm", "1")};
    ASSERT_EQ(panal({"desktop", "create", "d-%d", "--count", std::to_string(count), "--user",
                     "alice", "--image", "icewm"}),
              ExitCode::kOk)
        << err();
  }

  std::string directory_;
  std::ostringstream out_, err_;
  FakeBackends backends_;
};

}  // namespace panal::cli

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bench/density/command.h"
#include "bench/density/stored.h"

namespace panal::bench {
namespace {

/// A repository whose room has two corners, the second of which changed after the measurement.
class NoteParts : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "parts-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    source_ = name;
    std::filesystem::create_directories(source_ + "/room/kept");
    std::filesystem::create_directories(source_ + "/room/other");
    write("/room/kept/a.cc", "one\n");
    write("/room/other/b.cc", "one\n");
    git({"init", "--quiet"});
    commit();
    stored_.provenance.commit = git({"rev-parse", "HEAD"}).substr(0, 40);
    const auto trees = current_trees(source_, {"room"});
    ASSERT_TRUE(trees) << trees.error().message();
    stored_.provenance.trees = *trees;
    write("/room/other/b.cc", "two\n");
    commit();
  }
  void TearDown() override { std::filesystem::remove_all(source_); }

  void write(const std::string& path, const std::string& text) const {
    std::ofstream(source_ + path, std::ios::trunc) << text;
  }
  std::string git(std::vector<std::string> words) const {
    words.insert(words.begin(), {"git", "-C", source_, "-c", "user.name=x", "-c", "user.email=x"});
    const auto done = output_of(words);
    EXPECT_TRUE(done) << done.error().message();
    return done.value_or("");
  }
  void commit() const {
    git({"add", "--all"});
    git({"commit", "--quiet", "--message", "x"});
  }
  [[nodiscard]] std::vector<std::string> changed(const std::vector<std::string>& code) {
    note_parts(source_, code, stored_);
    const auto now = current_trees(source_, code);
    EXPECT_TRUE(now) << now.error().message();
    return now ? changed_since(stored_, *now) : code;
  }

  std::string source_;
  Stored stored_;
};

using Paths = std::vector<std::string>;

TEST_F(NoteParts, APartIsAsItWasInTheCommit) {
  EXPECT_EQ(changed({"room"}), Paths{"room"});
  EXPECT_EQ(changed({"room/kept"}), Paths{});
  EXPECT_EQ(changed({"room/other"}), Paths{"room/other"});
}

TEST_F(NoteParts, WhatWasNotCommittedIsNotKnown) {
  stored_.provenance.trees["room"] += " uncommitted";
  EXPECT_EQ(changed({"room/kept"}), Paths{"room/kept"});
}

TEST_F(NoteParts, ACommitThatIsNotHereIsNotKnown) {
  for (const char* name : {"", "0123456789abcdef", "--all"}) {
    stored_.provenance.commit = name;
    EXPECT_EQ(changed({"room/kept"}), Paths{"room/kept"}) << name;
  }
}

TEST_F(NoteParts, APathBesideWhatWasNotedIsNoPart) {
  stored_.provenance.trees = {{"roo", "aa"}};
  EXPECT_EQ(changed({"room/kept"}), Paths{"room/kept"});
}

}  // namespace
}  // namespace panal::bench

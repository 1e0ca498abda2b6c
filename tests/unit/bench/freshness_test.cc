#include "bench/density/freshness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bench/density/command.h"

namespace panal::bench {
namespace {

using ::testing::HasSubstr;

/// A repository whose one program is a copy of its one source.
class Freshness : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "freshness-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    top_ = name;
    source_ = top_ + "/source";
    build_ = top_ + "/build";
    std::filesystem::create_directories(source_ + "/bench/results");
    std::filesystem::create_directories(build_ + "/bin");
    write(source_ + "/program.cc", "one\n");
    write(source_ + "/bench/results/.gitkeep", "");
    git({"init", "--quiet"});
    commit();
    write(build_ + "/CMakeCache.txt", "CMAKE_HOME_DIRECTORY:INTERNAL=" + source_ + "\n");
    // As CMake writes it: what files there are is looked at every time, before all else.
    write(build_ + "/build.ninja",
          "rule look\n  command = test -e globs || touch globs\n  generator = 1\n  restat = 1\n"
          "rule again\n  command = touch build.ninja\n  generator = 1\n"
          "build always: phony\n"
          "build globs: look | always\n"
          "build build.ninja: again globs\n"
          "rule copy\n  command = cp $in $out\n"
          "build bin/panald: copy " +
              source_ + "/program.cc\nbuild panald: phony bin/panald\n");
    age(source_ + "/program.cc", std::chrono::seconds(60));
    make();
    age(build_ + "/bin/panald", std::chrono::seconds(30));
  }
  void TearDown() override { std::filesystem::remove_all(top_); }

  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
  }
  void git(std::vector<std::string> words) const {
    words.insert(words.begin(), {"git", "-C", source_, "-c", "user.name=x", "-c", "user.email=x"});
    const auto done = output_of(words);
    ASSERT_TRUE(done) << done.error().message();
  }
  void commit() const {
    git({"add", "--all"});
    git({"commit", "--quiet", "--message", "x"});
  }
  void make() const {
    const auto done = output_of({"ninja", "-C", build_});
    ASSERT_TRUE(done) << done.error().message();
  }
  void change(const std::string& text) const { write(source_ + "/program.cc", text); }
  /// As if done long ago: the clock of a file system may be coarse.
  static void age(const std::string& path, std::chrono::seconds by) {
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - by);
  }
  [[nodiscard]] std::string complaint() const {
    const auto checked = check_fresh(source_, build_, {"panald"});
    return checked ? "" : checked.error().context;
  }

  std::string top_, source_, build_;
};

TEST_F(Freshness, AcceptsWhatWasBuiltFromTheCommit) { EXPECT_EQ(complaint(), ""); }

TEST_F(Freshness, RefusesUncommittedChanges) {
  change("two\n");
  make();
  EXPECT_THAT(complaint(), HasSubstr("uncommitted changes (program.cc)"));
  write(source_ + "/new.cc", "x");
  EXPECT_THAT(complaint(), HasSubstr("(program.cc, 1 more)"));
}

TEST_F(Freshness, RefusesProgramsOlderThanTheCommit) {
  change("two\n");
  commit();
  EXPECT_THAT(complaint(), HasSubstr("are older than the commit"));
  make();
  EXPECT_EQ(complaint(), "");
}

TEST_F(Freshness, ResultsThemselvesAreNoChange) {
  write(source_ + "/bench/results/a.json", "{}");
  EXPECT_EQ(complaint(), "");
}

TEST_F(Freshness, RefusesProgramsOfAnotherTree) {
  write(build_ + "/CMakeCache.txt", "CMAKE_HOME_DIRECTORY:INTERNAL=" + top_ + "\n");
  EXPECT_THAT(complaint(), HasSubstr("was built from " + top_));
  std::filesystem::remove(build_ + "/CMakeCache.txt");
  EXPECT_THAT(complaint(), HasSubstr("is no build directory"));
}

TEST_F(Freshness, RefusesWhatIsNoRepository) {
  std::filesystem::remove_all(source_ + "/.git");
  EXPECT_THAT(complaint(), HasSubstr("not a git repository"));
}

}  // namespace
}  // namespace panal::bench

#include "storage/transfer/whole_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>

#include "engine/base/file_tree.h"
#include "tests/support/test_files.h"

namespace panal::storage {
namespace {

class WholeFileTest : public ::testing::Test, protected test::TestFiles {
 protected:
  void SetUp() override {
    const char* const base = std::getenv("TMPDIR");
    dir_ = std::string(base != nullptr ? base : "/tmp") + "/whole.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { (void)remove_tree(dir_); }

  std::size_t files() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir_)) ++count;
    return count;
  }

  std::string dir_;
};

TEST_F(WholeFileTest, IsReplacedWhole) {
  ASSERT_TRUE(replace_file(dir_ + "/a", "one", 0600));
  ASSERT_TRUE(replace_file(dir_ + "/a", "two", 0600));
  EXPECT_EQ(read(dir_ + "/a"), "two");
  EXPECT_EQ(files(), 1U);
  const auto again = create_file(dir_ + "/a", "three", 0600);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EEXIST);
  EXPECT_EQ(files(), 1U);
}

TEST_F(WholeFileTest, AFailureLeavesTheFormerAndNothingElse) {
  ASSERT_TRUE(replace_file(dir_ + "/a", "one", 0600));
  // As a full disk does: no file may grow.
  rlimit former{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &former), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit none{0, former.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  const auto replaced = replace_file(dir_ + "/a", "two", 0600);
  const auto made = create_file(dir_ + "/b", "two", 0600);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &former), 0);
  ::signal(SIGXFSZ, handler);
  ASSERT_FALSE(replaced);
  EXPECT_EQ(replaced.error().code, EFBIG);
  ASSERT_FALSE(made);
  EXPECT_EQ(read(dir_ + "/a"), "one");
  EXPECT_EQ(files(), 1U);
}

}  // namespace
}  // namespace panal::storage

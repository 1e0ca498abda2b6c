#include "storage/import/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/base/file_tree.h"
#include "storage/import/export.h"
#include "storage/import/source.h"

namespace panal::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ImportSpecTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "import.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
    spec_.image = "guest";
    spec_.session = {"startx"};
    spec_.source = dir_;
    spec_.unpacker = "/bin/sh";
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(dir_)); }

  Error refused() {
    ImageStore store(dir_ + "/images");
    const auto done = import_image(spec_, store, nullptr, nullptr);
    EXPECT_FALSE(done);
    EXPECT_FALSE(fs::exists(dir_ + "/images")) << "before anything is made";
    return done ? Error{} : done.error();
  }

  std::string dir_;
  ImportSpec spec_;
};

TEST_F(ImportSpecTest, IsLookedAtBeforeTheWork) {
  for (const char* name : {"", "a b", "a/b", "..", ".a", "-a", "a\n", "\xc3\xa4"}) {
    spec_.image = name;
    EXPECT_EQ(refused().code, EINVAL) << name;
  }
  spec_.image = std::string(129, 'a');
  EXPECT_EQ(refused().code, EINVAL);
  spec_.image = "guest";
  spec_.unpacker = "panal-unpack";
  EXPECT_EQ(refused().code, EINVAL);
  spec_.unpacker = dir_ + "/none";
  EXPECT_EQ(refused().code, ENOENT);
  spec_.unpacker = "/bin/sh";
  spec_.limits.bytes = 0;
  EXPECT_EQ(refused().code, EINVAL);
  spec_.limits = {};
  spec_.session.clear();
  EXPECT_THAT(refused().context, HasSubstr("--session"));
  spec_.session = {std::string("a\0b", 3)};
  EXPECT_EQ(refused().code, EINVAL);
}

TEST_F(ImportSpecTest, KindAndSourceGoTogether) {
  const auto code = [this](const std::string& source, ImportKind kind) {
    spec_.source = source;
    spec_.kind = kind;
    const auto opened = open_source(spec_);
    return opened ? 0 : opened.error().code;
  };
  const std::string file = dir_ + "/file.tar";
  std::ofstream(file) << "x";
  EXPECT_EQ(code(dir_ + "/none", ImportKind::kAuto), ENOENT);
  EXPECT_EQ(code(file, ImportKind::kDirectory), EINVAL);
  EXPECT_EQ(code(file, ImportKind::kTar), 0);
  EXPECT_EQ(code(file, ImportKind::kOci), 0) << "may be a tarball of a layout";
  EXPECT_EQ(code(dir_, ImportKind::kTar), EINVAL);
  EXPECT_EQ(code(dir_, ImportKind::kOci), EINVAL);
  EXPECT_EQ(code(dir_, ImportKind::kAuto), 0);
  EXPECT_EQ(open_source(spec_)->kind, ImportKind::kDirectory);
  EXPECT_EQ(open_source(spec_)->bytes, 1U);
  std::ofstream(dir_ + "/oci-layout") << "{}";
  EXPECT_EQ(open_source(spec_)->kind, ImportKind::kOci);
  EXPECT_EQ(code("/dev/null", ImportKind::kAuto), EINVAL);
  ASSERT_EQ(::mkfifo((dir_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(code(dir_ + "/fifo", ImportKind::kAuto), EINVAL) << "and nobody waits";
}

TEST(ImportKind, IsAWord) {
  EXPECT_EQ(*parse_import_kind("oci"), ImportKind::kOci);
  EXPECT_EQ(*parse_import_kind("auto"), ImportKind::kAuto);
  EXPECT_THAT(parse_import_kind("zip").error().context, HasSubstr("auto, tar, directory, oci"));
}

TEST(TarCompression, IsKnownByTheName) {
  EXPECT_EQ(*compression_of_name("a.tar"), TarCompression::kNone);
  EXPECT_EQ(*compression_of_name("/x/a.tgz"), TarCompression::kGzip);
  EXPECT_EQ(*compression_of_name("a.tar.zst"), TarCompression::kZstd);
  EXPECT_EQ(*compression_of_name("a.tar.xz"), TarCompression::kXz);
  for (const char* name : {"", "a", "a.zip", ".tar", "tar", "a.tar.bz2"})
    EXPECT_FALSE(compression_of_name(name)) << name;
}

TEST_F(ImportSpecTest, AnExportDependsOnTheTreeAlone) {
  std::string bytes[2];
  for (int i = 0; i < 2; ++i) {
    const std::string tree = dir_ + "/tree" + std::to_string(i);
    fs::create_directories(tree + "/b");
    // Made in another order, at another time.
    for (int j = 0; j < 40; ++j)
      std::ofstream(tree + "/b/" + std::to_string(i == 0 ? j : 39 - j)) << "same";
    fs::create_symlink("b", tree + "/a");
    std::ofstream(tree + "/c") << std::string(2'000'000, 'c');
    fs::create_hard_link(tree + "/c", tree + "/d");
    ExportSpec wanted;
    wanted.root = tree;
    wanted.file = dir_ + "/" + std::to_string(i) + ".tar.gz";
    wanted.compression = TarCompression::kGzip;
    const auto done = export_tar(wanted, nullptr, nullptr);
    ASSERT_TRUE(done) << done.error().message();
    std::ifstream in(wanted.file, std::ios::binary);
    bytes[i].assign(std::istreambuf_iterator<char>(in), {});
    EXPECT_GT(bytes[i].size(), 100U);
  }
  EXPECT_TRUE(bytes[0] == bytes[1]);
  std::atomic<bool> cancelled{true};
  ExportSpec wanted;
  wanted.root = dir_ + "/tree0";
  wanted.file = dir_ + "/cancelled.tar";
  EXPECT_EQ(export_tar(wanted, nullptr, &cancelled).error().code, ECANCELED);
  EXPECT_FALSE(fs::exists(wanted.file));
}

}  // namespace
}  // namespace panal::storage

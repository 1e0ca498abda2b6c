#include "engine/kernel/zram_writeback.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/kernel_paths.h"
#include "engine/kernel/zram_swap.h"
#include "tests/unit/engine/kernel/fixture_tree.h"
#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

using ::testing::HasSubstr;

TEST(ZramBdStat, IsThreeCountsOfFourKib) {
  EXPECT_EQ(parse_zram_bd_stat("     512       40     1024\n").value(),
            (ZramBacking{512 * 4096, 40 * 4096, 1024 * 4096}));
  EXPECT_EQ(parse_zram_bd_stat("1 2 3 4").value(), (ZramBacking{4096, 8192, 12288}))
      << "a later kernel's column";
  for (const char* bad : {"", "1 2", "1 2 x", "-1 2 3", "1 2 18446744073709551615", "1.5 2 3"})
    EXPECT_EQ(code(parse_zram_bd_stat(bad)), EPROTO) << bad;
}

TEST(ZramBacking, IsThereWhereADeviceShowsIt) {
  const FixtureTree without(FixtureFiles{{"sys/block/zram0/initstate", "0\n"}});
  const Tree without_tree = without.tree();
  EXPECT_FALSE(zram_writes_back(without_tree));
  without.write("sys/block/sda/backing_dev", "none\n");
  EXPECT_FALSE(zram_writes_back(without_tree)) << "that is no zram";
  without.write("sys/block/zram0/backing_dev", "none\n");
  EXPECT_TRUE(zram_writes_back(without_tree));
  const FixtureTree bare(FixtureFiles{});
  const Tree bare_tree = bare.tree();
  EXPECT_FALSE(zram_writes_back(bare_tree));
}

TEST(ZramBacking, IsNamedAsItWasGiven) {
  const FixtureTree files({{"sys/block/zram0/initstate", "1\n"},
                           {"sys/block/loop5/loop/backing_file", "/var/swap/panal\n"}});
  const Tree tree = files.tree();
  const auto dir = tree.sys.open_dir("block/zram0");
  ASSERT_TRUE(dir);
  EXPECT_EQ(read_zram_backing(tree, *dir).value(), "") << "this kernel cannot";
  for (const auto& [shown, place] : {std::pair{"none\n", ""}, std::pair{"/d/sdb1\n", "/d/sdb1"},
                                     std::pair{"/d/loop5\n", "/var/swap/panal"}}) {
    files.write("sys/block/zram0/backing_dev", shown);
    EXPECT_EQ(read_zram_backing(tree, *dir).value(), place);
  }
  files.write("sys/block/zram0/backing_dev", "/d/loop6\n");
  EXPECT_EQ(code(read_zram_backing(tree, *dir)), ENOENT) << "it went away meanwhile";
}

class WritebackPlace : public ::testing::Test {
 protected:
  std::string file(std::uint64_t bytes, mode_t mode) const {
    files_.write("place", "");
    const std::string path = files_.path() + "/place";
    EXPECT_EQ(::truncate(path.c_str(), static_cast<off_t>(bytes)), 0);
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  const FixtureTree files_{{}};
};

TEST_F(WritebackPlace, OfAFileMustBeRootsAlone) {
  const auto open = find_writeback_place(file(4 << 20, 0644));
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code, EPERM);
  EXPECT_THAT(open.error().message(), HasSubstr("mode 600"));
  const std::string path = file(4 << 20, 0600);
  if (::geteuid() != 0) {
    EXPECT_EQ(code(find_writeback_place(path)), EPERM) << "a user's";
    return;
  }
  EXPECT_EQ(find_writeback_place(path).value(), path);
  const std::string link = files_.path() + "/link";
  ASSERT_EQ(::symlink(path.c_str(), link.c_str()), 0);
  EXPECT_EQ(find_writeback_place(link).value(), path) << "as the kernel will name it";
  EXPECT_EQ(code(find_writeback_place(file(4096, 0600))), EINVAL) << "too small";
}

TEST_F(WritebackPlace, IsNothingElse) {
  EXPECT_EQ(code(find_writeback_place(files_.path() + "/none")), ENOENT);
  EXPECT_EQ(code(find_writeback_place(files_.path())), EINVAL);
  EXPECT_EQ(code(find_writeback_place(kernel_paths::kDevNull)), EINVAL);
}

FixtureFiles device_files() {
  return {{"sys/block/zram0/initstate", "0\n"},
          {"sys/block/zram0/comp_algorithm", ""},
          {"sys/block/zram0/backing_dev", ""},
          {"sys/block/zram0/writeback_limit", ""},
          {"sys/block/zram0/disksize", ""},
          {"sys/block/zram0/writeback_limit_enable", ""},
          {"sys/block/zram0/mem_limit", ""},
          {"sys/block/zram0/reset", ""},
          {"sys/block/zram0/bd_stat", "0 0 7\n"},
          {"sys/block/zram0/writeback", ""},
          {"sys/block/zram0/idle", ""}};
}

// What is no file is given to the kernel as it is; it would say what it thinks of this one.
const std::string kPlace = kernel_paths::kDevNull;

TEST(ZramSetUp, PutsThePlaceBehindItBeforeItHasASize) {
  const ZramSwapSettings settings{
      .disk_bytes = 1 << 20, .memory_limit_bytes = 4096, .algorithm = "lz4", .writeback = kPlace};
  const FixtureTree files(device_files());
  const Tree tree = files.tree();
  const auto done = set_up_zram(tree, 0, settings);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(files.read("sys/block/zram0/backing_dev"), kPlace);
  EXPECT_EQ(files.read("sys/block/zram0/disksize"), "1048576");
  EXPECT_EQ(files.read("sys/block/zram0/writeback_limit"), "0") << "nothing goes there by itself";
  EXPECT_EQ(files.read("sys/block/zram0/writeback_limit_enable"), "1");

  FixtureFiles refusing = device_files();
  refusing.erase("sys/block/zram0/backing_dev");
  const FixtureTree cannot(refusing);
  const Tree cannot_tree = cannot.tree();
  EXPECT_FALSE(set_up_zram(cannot_tree, 0, settings));
  EXPECT_EQ(cannot.read("sys/block/zram0/disksize"), "") << "the order";
  EXPECT_EQ(cannot.read("sys/block/zram0/reset"), "1");

  const FixtureTree plain(device_files());
  const Tree plain_tree = plain.tree();
  ASSERT_TRUE(set_up_zram(plain_tree, 0, {.disk_bytes = 1 << 20, .algorithm = {}}));
  EXPECT_EQ(plain.read("sys/block/zram0/backing_dev"), "") << "none was named";
  EXPECT_EQ(plain.read("sys/block/zram0/writeback_limit_enable"), "");
}

TEST(ZramSetUp, ThatFailsHalfWayGivesThePlaceBack) {
  FixtureFiles half = device_files();
  half.erase("sys/block/zram0/mem_limit");
  const FixtureTree files(half);
  const Tree tree = files.tree();
  EXPECT_FALSE(set_up_zram(tree, 0, {.disk_bytes = 4096, .algorithm = {}, .writeback = kPlace}));
  EXPECT_EQ(files.read("sys/block/zram0/reset"), "1");
  EXPECT_EQ(files.read("sys/block/zram0/disksize"), "1048576")
      << "older kernels forget a place only with a size";
  EXPECT_EQ(files.read("sys/block/zram0/writeback_limit_enable"), "0");
}

TEST(ZramWriteBack, SaysHowMuchAndWhat) {
  const FixtureTree files(device_files());
  const Tree tree = files.tree();
  const auto dir = tree.sys.open_dir("block/zram0");
  ASSERT_TRUE(dir);
  ASSERT_TRUE(mark_zram_idle(*dir));
  EXPECT_EQ(files.read("sys/block/zram0/idle"), "all");
  const auto written = write_back_zram(*dir, ZramWriteback::kIdle, 64 << 20);
  ASSERT_TRUE(written) << written.error().message();
  EXPECT_EQ(*written, 0U) << "by bd_stat, whatever was asked";
  EXPECT_EQ(files.read("sys/block/zram0/writeback_limit"), "16384");
  EXPECT_EQ(files.read("sys/block/zram0/writeback"), "idle");
  ASSERT_TRUE(write_back_zram(*dir, ZramWriteback::kHuge, 4096));
  EXPECT_EQ(files.read("sys/block/zram0/writeback"), "huge");
  files.write("sys/block/zram0/bd_stat", "what\n");
  EXPECT_EQ(code(write_back_zram(*dir, ZramWriteback::kHuge, 4096)), EPROTO);
}

}  // namespace
}  // namespace panal::kernel

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "storage/compose/btrfs/changes.h"
#include "storage/compose/copy/copy_tree.h"
#include "storage/compose/layer/layer_dir.h"
#include "storage/compose/layer/template_key.h"
#include "storage/compose/lvm/volumes.h"
#include "storage/compose/program/run_program.h"

namespace panal::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Layers : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "layers-XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { fs::remove_all(dir_); }

  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  static std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static struct stat stat_of(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return info;
  }

  std::string dir_;
};

TEST_F(Layers, ACopyIsWhatItWasMadeOf) {
  const std::string from = dir_ + "/from";
  fs::create_directories(from + "/etc/empty");
  fs::create_directories(from + "/var/cache/deep");
  write(from + "/etc/motd", "hello");
  write(from + "/var/cache/deep/file", "cached");
  ASSERT_EQ(::chmod((from + "/etc/motd").c_str(), 04751), 0);
  ASSERT_EQ(::chmod((from + "/etc").c_str(), 01711), 0);
  ASSERT_EQ(::link((from + "/etc/motd").c_str(), (from + "/etc/other-name").c_str()), 0);
  ASSERT_EQ(::symlink("../nowhere", (from + "/etc/link").c_str()), 0);
  write(from + "/hole", "");
  ASSERT_EQ(::truncate((from + "/hole").c_str(), 8 << 20), 0);
  const timespec times[2] = {{1'000'000, 0}, {1'000'001, 5}};
  for (const char* name : {"/etc/motd", "/etc/link", "/etc", ""})
    ASSERT_EQ(::utimensat(AT_FDCWD, (from + name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);

  CopyOptions options;
  options.leave_empty = [](std::string_view path) { return path == "var/cache"; };
  const std::string to = dir_ + "/to";
  const auto copied = copy_tree(from, to, options);
  ASSERT_TRUE(copied) << copied.error().message();
  EXPECT_EQ(read(to + "/etc/motd"), "hello");
  EXPECT_EQ(stat_of(to + "/etc/motd").st_mode & 07777, 04751U);
  EXPECT_EQ(stat_of(to + "/etc").st_mode & 07777, 01711U);
  // Equal files of a version may be one file; written to, each is its own.
  EXPECT_EQ(read(to + "/etc/other-name"), "hello");
  EXPECT_NE(stat_of(to + "/etc/motd").st_ino, stat_of(to + "/etc/other-name").st_ino);
  EXPECT_EQ(fs::read_symlink(to + "/etc/link"), "../nowhere");
  for (const char* name : {"/etc/motd", "/etc/link", "/etc", ""})
    EXPECT_EQ(stat_of(to + name).st_mtim.tv_sec, 1'000'001) << name;
  EXPECT_EQ(stat_of(to + "/hole").st_size, 8 << 20);
  EXPECT_LT(stat_of(to + "/hole").st_blocks, 64) << "a hole stays a hole";
  EXPECT_TRUE(fs::is_directory(to + "/etc/empty"));
  EXPECT_TRUE(fs::is_empty(to + "/var/cache"));
  EXPECT_EQ(copied->bytes, 5U + 5U + (8U << 20U));
  EXPECT_NE(stat_of(to + "/etc/motd").st_ino, stat_of(from + "/etc/motd").st_ino);
}

TEST_F(Layers, ACopyRefusesWhatIsNoPartOfAnImage) {
  fs::create_directories(dir_ + "/from/dev");
  ASSERT_EQ(::mkfifo((dir_ + "/from/dev/fifo").c_str(), 0600), 0);
  const auto copied = copy_tree(dir_ + "/from", dir_ + "/to", {});
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().code, EINVAL);
  EXPECT_THAT(copied.error().context, HasSubstr("dev/fifo"));
  const auto absent = copy_tree(dir_ + "/nothing", dir_ + "/other", {});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ENOENT);
  EXPECT_FALSE(fs::exists(dir_ + "/other"));
  const auto onto = copy_tree(dir_ + "/from", dir_ + "/from/dev", {});
  ASSERT_FALSE(onto);
  EXPECT_EQ(onto.error().code, EEXIST);
}

TEST_F(Layers, NamesTellBackendsAndWhatIsHalfDone) {
  EXPECT_EQ(layer_name("overlay", false), "volatile");
  EXPECT_EQ(layer_name("overlay", true), "persistent");
  EXPECT_EQ(layer_name("fuse-overlayfs", true), "fuse-overlayfs-persistent");
  const std::string upper = dir_ + "/d7/upper";
  EXPECT_EQ(persistent_backend(upper), "");
  ASSERT_TRUE(make_upper_dir(upper));
  EXPECT_EQ(stat_of(upper).st_mode & 07777, 0700U);
  fs::create_directories(upper + "/copy-volatile");
  EXPECT_EQ(persistent_backend(upper), "");
  fs::create_directories(upper + "/unionfs-fuse-persistent/upper");
  EXPECT_EQ(persistent_backend(upper), "unionfs-fuse");
  fs::remove_all(upper + "/unionfs-fuse-persistent");
  fs::create_directories(upper + "/persistent/upper");
  EXPECT_EQ(persistent_backend(upper), "overlay");

  // Where the layer has a file system of its own, its names are not always to be seen.
  fs::remove_all(upper + "/persistent");
  ASSERT_TRUE(note_persistent_backend(upper, "bind"));
  EXPECT_EQ(persistent_backend(upper), "bind");
  ASSERT_TRUE(note_persistent_backend(upper, "copy"));
  EXPECT_EQ(persistent_backend(upper), "copy");
  ASSERT_TRUE(forget_persistent_backend(upper));
  ASSERT_TRUE(forget_persistent_backend(upper));
  EXPECT_EQ(persistent_backend(upper), "");
  fs::create_directories(upper + "/persistent/upper");

  fs::create_directories(upper + "/trash-abcdef/volatile/upper");
  const auto aside = new_aside(upper);
  ASSERT_TRUE(aside);
  const auto emptied = empty_trash(upper);
  ASSERT_TRUE(emptied);
  EXPECT_EQ(*emptied, 2U);
  const auto discarded = discard_layer(upper, "copy-volatile");
  ASSERT_TRUE(discarded);
  EXPECT_TRUE(*discarded);
  const auto again = discard_layer(upper, "copy-volatile");
  ASSERT_TRUE(again);
  EXPECT_FALSE(*again);
  EXPECT_TRUE(fs::exists(upper + "/persistent/upper"));
}

TEST_F(Layers, RestingDesktopsAreThoseWithATraceThatDoNotRun) {
  for (const char* name : {"/state/d1", "/state/d2", "/state/d30", "/state/dx", "/state/lost+found",
                           "/run/d4/root", "/state/d"})
    fs::create_directories(dir_ + name);
  Recovered recovered;
  std::vector<std::string> seen;
  const auto done = for_each_resting({dir_ + "/state", dir_ + "/run", {"d2"}}, recovered,
                                     [&](RootSpec spec) -> Result<void> {
                                       seen.push_back(spec.desktop);
                                       if (spec.desktop == "d4") {
                                         EXPECT_EQ(spec.upper_dir, dir_ + "/state/d4/upper");
                                         EXPECT_EQ(spec.mount_point, dir_ + "/run/d4/root");
                                         return fail(EIO, "look at it");
                                       }
                                       return {};
                                     });
  ASSERT_TRUE(done);
  EXPECT_THAT(seen, ElementsAre("d1", "d30", "d4"));
  EXPECT_THAT(recovered.problems, ElementsAre(HasSubstr("d4: look at it")));
  Recovered none;
  EXPECT_TRUE(for_each_resting({dir_ + "/absent", dir_ + "/absent", {}}, none,
                               [](RootSpec) -> Result<void> { return fail(EIO, "none"); }));
  EXPECT_THAT(none.problems, IsEmpty());
}

TEST(TemplateKey, IsAFileNameThatTellsTwoPathsApart) {
  const std::string key = template_key("/var/lib/panal/images/icewm/2026.11.27-1/root");
  EXPECT_THAT(key, HasSubstr("icewm+2026.11.27-1+root-"));
  EXPECT_EQ(key, template_key("/var/lib/panal/images/icewm/2026.11.27-1/root"));
  EXPECT_NE(template_key("/a/icewm/1/root"), template_key("/b/icewm/1/root"));
  EXPECT_NE(template_key("/a b"), template_key("/a+b"));
  const std::string long_path(5000, 'x');
  for (const std::string& path : {std::string(), std::string("/"), std::string("../.."), long_path,
                                  std::string("\xff\x00\n", 3), std::string("/-rf")}) {
    const std::string one = template_key(path);
    EXPECT_LE(one.size(), 80U) << one;
    EXPECT_EQ(one.find('/'), std::string::npos) << one;
    EXPECT_NE(one.front(), '.') << one;
    EXPECT_NE(one.front(), '-') << one;
  }
}

TEST(Volumes, AreReadLineByLine) {
  const auto volumes =
      parse_volumes("  panal-t-a-0:version=/images/a/1/root,mine\n  pool:\n\n  plain\n");
  ASSERT_TRUE(volumes);
  ASSERT_EQ(volumes->size(), 3U);
  EXPECT_EQ((*volumes)[0].name, "panal-t-a-0");
  EXPECT_THAT((*volumes)[0].tags, ElementsAre("version=/images/a/1/root", "mine"));
  EXPECT_EQ((*volumes)[1].name, "pool");
  EXPECT_THAT((*volumes)[1].tags, IsEmpty());
  EXPECT_EQ((*volumes)[2].name, "plain");
  struct {
    const char* text;
    std::size_t count;
  } const malformed[] = {{"", 0},      {"\n \n\t\n", 0}, {":tag\n", 0},
                         {"  :\n", 0}, {"x:,,,", 1},     {"x:a:b", 1}};
  for (const auto& one : malformed) {
    const auto parsed = parse_volumes(one.text);
    ASSERT_TRUE(parsed) << one.text;
    EXPECT_EQ(parsed->size(), one.count) << one.text;
  }
  EXPECT_EQ((*parse_volumes("x:,,,"))[0].tags.size(), 0U);
  const auto endless = parse_volumes(std::string(200'001, '\n'));
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code, EPROTO);
}

/// What the kernel's search answers.
std::string item(std::uint32_t type, const std::string& data, std::uint64_t objectid = 257) {
  btrfs_ioctl_search_header header{};
  header.transid = 9;
  header.objectid = objectid;
  header.offset = 4096;
  header.type = type;
  header.len = static_cast<std::uint32_t>(data.size());
  std::string out(sizeof header, '\0');
  std::memcpy(out.data(), &header, sizeof header);
  return out + data;
}

std::string inode(std::uint64_t generation) {
  btrfs_inode_item one{};
  one.generation = generation;
  std::string out(sizeof one, '\0');
  std::memcpy(out.data(), &one, sizeof one);
  return out;
}

std::string extent(std::uint64_t generation, unsigned char kind, std::uint64_t place,
                   std::uint64_t bytes) {
  btrfs_file_extent_item one{};
  one.generation = generation;
  one.ram_bytes = bytes;
  one.type = kind;
  one.disk_bytenr = place;
  one.disk_num_bytes = bytes;
  one.num_bytes = bytes;
  std::string out(sizeof one, '\0');
  std::memcpy(out.data(), &one, sizeof one);
  return out;
}

TEST(BtrfsChanges, CountsWhatIsNewerThanTheSnapshot) {
  const std::string inline_one = extent(9, BTRFS_FILE_EXTENT_INLINE, 0, 5).substr(0, 21) + "hello";
  const std::string page =
      item(BTRFS_INODE_ITEM_KEY, inode(9)) + item(BTRFS_INODE_ITEM_KEY, inode(7)) +
      item(BTRFS_EXTENT_DATA_KEY, extent(9, BTRFS_FILE_EXTENT_REG, 4096, 8192)) +
      item(BTRFS_EXTENT_DATA_KEY, extent(7, BTRFS_FILE_EXTENT_REG, 4096, 100)) +
      item(BTRFS_EXTENT_DATA_KEY, extent(9, BTRFS_FILE_EXTENT_REG, 0, 1000)) +
      item(BTRFS_EXTENT_DATA_KEY, inline_one) + item(12, "a name", 300);
  const auto sum = parse_search_page(page, 7, 7);
  ASSERT_TRUE(sum) << sum.error().message();
  EXPECT_EQ(sum->changed.inodes, 1U);
  EXPECT_EQ(sum->changed.bytes, 8192U + 5U) << "neither old extents nor holes";
  EXPECT_EQ(sum->objectid, 300U);
  EXPECT_EQ(sum->type, 12U);
  EXPECT_EQ(sum->offset, 4096U);
}

TEST(BtrfsChanges, RefusesWhatIsCutShort) {
  const std::string whole = item(BTRFS_EXTENT_DATA_KEY, extent(9, BTRFS_FILE_EXTENT_REG, 1, 2));
  EXPECT_TRUE(parse_search_page(whole, 1, 7));
  EXPECT_TRUE(parse_search_page("", 0, 7));
  EXPECT_FALSE(parse_search_page(whole, 2, 7)) << "more items than there are";
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(parse_search_page(std::string_view(whole).substr(0, length), 1, 7)) << length;
  for (const std::string& data : {inode(9).substr(0, 100), std::string()})
    EXPECT_FALSE(parse_search_page(item(BTRFS_INODE_ITEM_KEY, data), 1, 7));
  const std::string short_extent = extent(9, BTRFS_FILE_EXTENT_REG, 1, 2);
  for (const std::size_t length : {0U, 20U, 30U, 52U})
    EXPECT_FALSE(
        parse_search_page(item(BTRFS_EXTENT_DATA_KEY, short_extent.substr(0, length)), 1, 7))
        << length;
}

TEST(RunProgram, SaysWhatItSaidOrWhyItFailed) {
  const auto said = run_program({"echo", "two words"}, std::chrono::seconds(10));
  ASSERT_TRUE(said) << said.error().message();
  EXPECT_EQ(*said, "two words\n");
  const auto failed = run_program({"ls", "/there/is/no/such"}, std::chrono::seconds(10));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, EIO);
  EXPECT_THAT(failed.error().context, HasSubstr("/there/is/no/such"));
  const auto absent = run_program({"no-such-program-here"}, std::chrono::seconds(10));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ENOENT);
  EXPECT_FALSE(has_program("no-such-program-here"));
  const auto slow = run_program({"sleep", "100"}, std::chrono::milliseconds(50));
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().code, ETIMEDOUT);
}

}  // namespace
}  // namespace panal::storage

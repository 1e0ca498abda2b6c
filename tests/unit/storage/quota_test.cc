#include "storage/quota/quota.h"

#include <endian.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>

#include <cstring>

#include "storage/quota/ext4_size.h"
#include "storage/quota/mount_table.h"
#include "storage/quota/probe.h"
#include "storage/quota/qgroup_items.h"
#include "storage/quota/reserve.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

TEST(QuotaKind, IsReadBack) {
  for (const QuotaKind kind : {QuotaKind::kNone, QuotaKind::kProject, QuotaKind::kQgroup,
                               QuotaKind::kLoop, QuotaKind::kMemory})
    EXPECT_EQ(parse_quota_kind(to_string(kind)), kind);
  for (const char* word : {"", "auto", "Loop", "loop ", "quota"})
    EXPECT_FALSE(parse_quota_kind(word)) << word;
}

constexpr const char* kTable =
    "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
    "30 22 0:30 / /srv/homes rw shared:5 master:1 - nfs4 server:/export rw,hard\n"
    "31 22 0:31 / /srv/homes\\040two rw - fuse.sshfs user@host: rw\n"
    "32 30 8:2 / /srv/homes/local rw - ext4 /dev/sda2 rw\n"
    "33 22 0:33 / /mnt rw -  tmpfs  rw\n";

TEST(MountTable, FindsWhatAPathLiesIn) {
  const auto table =
      parse_mountinfo(std::string(kTable).substr(0, std::string(kTable).find("33 ")));
  ASSERT_TRUE(table) << table.error().message();
  EXPECT_EQ(mount_of(*table, "/srv/homes")->type, "nfs4");
  EXPECT_EQ(mount_of(*table, "/srv/homes")->source, "server:/export");
  EXPECT_EQ(mount_of(*table, "/srv/homes/acme/alice")->type, "nfs4");
  EXPECT_EQ(mount_of(*table, "/srv/homes/local/x")->source, "/dev/sda2");
  EXPECT_EQ(mount_of(*table, "/srv/homesick")->type, "ext4") << "no prefix of a name";
  EXPECT_EQ(mount_of(*table, "/srv/homes two/x")->type, "fuse.sshfs");
  EXPECT_TRUE(is_mounted_at(*table, "/srv/homes"));
  EXPECT_FALSE(is_mounted_at(*table, "/srv"));
  EXPECT_EQ(mount_of({}, "/"), nullptr);
}

TEST(MountTable, TheLastOneAtAPlaceCounts) {
  const auto table = parse_mountinfo("1 0 8:1 / /a rw - ext4 x rw\n2 0 8:2 / /a rw - nfs y rw\n");
  ASSERT_TRUE(table);
  EXPECT_EQ(mount_of(*table, "/a/b")->type, "nfs");
}

TEST(MountTable, RefusesWhatIsNone) {
  for (const char* text :
       {"\n", "22\n", "22 1 8:1 / / rw,relatime\n", "22 1 8:1 / / rw - \n",
        "22 1 8:1 / rel rw - ext4 a rw\n", "22 1 8:1 / / rw shared:1 ext4 a rw\n",
        "22 1 8:1 /  rw - ext4 a rw\n", "- - - - - - -\n", "22 1 8:1 / / rw - ext4 a rw\nx\n"}) {
    const auto table = parse_mountinfo(text);
    ASSERT_FALSE(table) << text;
    EXPECT_EQ(table.error().code, EPROTO);
  }
  EXPECT_THAT(parse_mountinfo("22 1 8:1 / / rw - ext4 a rw\nx\n").error().context,
              HasSubstr("line 2"));
  EXPECT_TRUE(parse_mountinfo("")->empty());
}

TEST(MountTable, KnowsWhatIsOnAnotherMachine) {
  for (const char* type : {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse", "fuse.sshfs"})
    EXPECT_TRUE(is_remote_type(type)) << type;
  for (const char* type : {"ext4", "xfs", "btrfs", "tmpfs", "fuseblk", "overlay", "nfsd", ""})
    EXPECT_FALSE(is_remote_type(type)) << type;
}

std::vector<QuotaFinding> findings(bool project, bool qgroup, bool loop) {
  return {{QuotaKind::kProject, project, project ? "works" : "it is off"},
          {QuotaKind::kQgroup, qgroup, qgroup ? "works" : "no btrfs"},
          {QuotaKind::kLoop, loop, loop ? "works" : "no loop devices"}};
}

TEST(QuotaChoice, TakesTheFirstThatWorksAndSaysWhyNotTheOthers) {
  const SpaceLimit limit{64 * kMib, 0};
  EXPECT_EQ(choose_quota(findings(true, true, true), {}, limit, false)->kind, QuotaKind::kProject);
  EXPECT_EQ(choose_quota(findings(false, true, true), {}, limit, false)->kind, QuotaKind::kQgroup);
  const auto loop = choose_quota(findings(false, false, true), {}, limit, false);
  ASSERT_TRUE(loop);
  EXPECT_EQ(loop->kind, QuotaKind::kLoop);
  EXPECT_THAT(loop->why, HasSubstr("project: it is off; qgroup: no btrfs"));
  const auto none = choose_quota(findings(false, false, false), {}, limit, false);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().context, HasSubstr("loop: no loop devices"));
}

TEST(QuotaChoice, KnowsWhatAKindCannot) {
  const auto inodes = choose_quota(findings(false, true, true), {}, {64 * kMib, 100}, false);
  ASSERT_TRUE(inodes);
  EXPECT_EQ(inodes->kind, QuotaKind::kLoop) << "btrfs has no limit of inodes";
  const auto small = choose_quota(findings(false, false, true), {}, {kMib, 0}, false);
  ASSERT_FALSE(small);
  EXPECT_THAT(small.error().context, HasSubstr("at least 16 MiB"));
}

TEST(QuotaChoice, NoLimitIsNoQuotaUnlessAnotherIsAskedFor) {
  EXPECT_EQ(choose_quota({}, {}, {}, false)->kind, QuotaKind::kNone);
  EXPECT_EQ(choose_quota({}, QuotaKind::kNone, {64 * kMib, 0}, false)->kind, QuotaKind::kNone);
  EXPECT_FALSE(choose_quota(findings(false, true, true), QuotaKind::kProject, {}, false));
  EXPECT_EQ(choose_quota(findings(true, true, true), QuotaKind::kProject, {}, false)->kind,
            QuotaKind::kProject);
  // Where files cannot be shown under other ids only a file system in a file will do.
  EXPECT_EQ(choose_quota(findings(true, true, true), {}, {64 * kMib, 0}, true)->kind,
            QuotaKind::kLoop);
  EXPECT_FALSE(choose_quota(findings(true, true, true), QuotaKind::kProject, {}, true));
}

TEST(ReserveRule, IsFreedAtTheEdgeAndComesBackWithRoomToSpare) {
  const std::uint64_t reserve = 64 * kMib;
  EXPECT_EQ(decide_reserve(9 * kMib, reserve, true), ReserveStep::kKeep);
  EXPECT_EQ(decide_reserve(7 * kMib, reserve, true), ReserveStep::kFree);
  EXPECT_EQ(decide_reserve(0, reserve, true), ReserveStep::kFree);
  EXPECT_EQ(decide_reserve(71 * kMib, reserve, false), ReserveStep::kKeep) << "just freed";
  EXPECT_EQ(decide_reserve(137 * kMib, reserve, false), ReserveStep::kMake);
  EXPECT_EQ(decide_reserve(~std::uint64_t{0}, reserve, false), ReserveStep::kMake);
}

std::string superblock(std::uint32_t blocks, std::uint32_t log, std::uint32_t incompat,
                       std::uint32_t high) {
  std::string bytes(kExt4SuperblockBytes, '\0');
  const auto put = [&bytes](std::size_t at, std::uint32_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
      bytes[at + i] = static_cast<char>(value >> (8 * i) & 0xffU);
  };
  put(0x4, blocks, 4);
  put(0x18, log, 4);
  put(0x38, 0xef53, 2);
  put(0x60, incompat, 4);
  put(0x150, high, 4);
  return bytes;
}

TEST(Ext4Size, IsTheSuperblocks) {
  EXPECT_EQ(*parse_ext4_size(superblock(8192, 2, 0x242, 7)), 8192U * 4096U) << "not 64 bit";
  EXPECT_EQ(*parse_ext4_size(superblock(1, 0, 0x2c2, 1)), ((std::uint64_t{1} << 32U) + 1) * 1024);
}

TEST(Ext4Size, RefusesWhatIsNoExt4) {
  const std::string good = superblock(8192, 2, 0x242, 0);
  for (const std::size_t size : {std::size_t{0}, std::size_t{0x3a}, good.size() - 1})
    EXPECT_FALSE(parse_ext4_size(good.substr(0, size))) << size;
  EXPECT_FALSE(parse_ext4_size(std::string(kExt4SuperblockBytes, '\0')));
  EXPECT_FALSE(parse_ext4_size(superblock(1, 7, 0, 0)));
  EXPECT_FALSE(parse_ext4_size(superblock(1, 4'000'000'000, 0, 0)));
  EXPECT_FALSE(parse_ext4_size(superblock(0, 6, 0x80, 0xffffffff)));
}

std::string item(std::uint64_t offset, std::uint32_t type, const std::string& content) {
  btrfs_ioctl_search_header header{};
  header.offset = offset;
  header.type = type;
  header.len = static_cast<__u32>(content.size());
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + content;
}
std::string info_item(std::uint64_t group, std::uint64_t bytes) {
  btrfs_qgroup_info_item info{};
  info.rfer = htole64(bytes);
  return item(group, BTRFS_QGROUP_INFO_KEY,
              std::string(reinterpret_cast<const char*>(&info), sizeof info));
}
std::string limit_item(std::uint64_t group, std::uint64_t flags, std::uint64_t bytes) {
  btrfs_qgroup_limit_item limit{};
  limit.flags = htole64(flags);
  limit.max_rfer = htole64(bytes);
  return item(group, BTRFS_QGROUP_LIMIT_KEY,
              std::string(reinterpret_cast<const char*>(&limit), sizeof limit));
}

TEST(QgroupItems, AreReadOfTheRightGroup) {
  const auto both = parse_qgroup_items(
      info_item(9, 1) + info_item(7, 4096) + limit_item(7, BTRFS_QGROUP_LIMIT_MAX_RFER, 65536), 3,
      7);
  ASSERT_TRUE(both) << both.error().message();
  EXPECT_EQ(both->referenced_bytes, 4096U);
  EXPECT_EQ(both->limit_bytes, 65536U);
  EXPECT_FALSE(parse_qgroup_items(info_item(7, 4096) + limit_item(7, 0, 9), 2, 7)->limit_bytes);
}

TEST(QgroupItems, RefusesWhatIsCut) {
  const std::string good = info_item(7, 4096);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse_qgroup_items(good.substr(0, size), 1, 7)) << size;
  EXPECT_FALSE(parse_qgroup_items(good, 2, 7));
  EXPECT_FALSE(parse_qgroup_items(good, 1, 8));
  EXPECT_FALSE(parse_qgroup_items("", 0, 7));
  EXPECT_FALSE(parse_qgroup_items(item(7, BTRFS_QGROUP_INFO_KEY, "short"), 1, 7));
  EXPECT_FALSE(parse_qgroup_items(good + item(7, BTRFS_QGROUP_LIMIT_KEY, "x"), 2, 7));
}

}  // namespace
}  // namespace panal::storage

// What tells how busy disks and links are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/kernel/disk_stat.h"
#include "engine/kernel/net_dev.h"
#include "tests/unit/engine/kernel/fixture_tree.h"
#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const char* const kNetDev =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop "
    "fifo colls carrier compressed\n"
    "    lo: 1868756    2406    0    0    0     0          0         0  1868756    2406    0    0  "
    "  0     0       0          0\n"
    "  eth0:5000000     100    0    3    0     0          0         0  7000000     200    0    4   "
    " "
    "0     0       0          0\n";

TEST(NetDev, BothWaysOfEachLink) {
  const auto links = parse_net_dev(kNetDev);
  ASSERT_TRUE(links) << links.error().message();
  EXPECT_THAT(*links, ElementsAre(LinkCounters{"lo", 1868756, 1868756, 4812, 0},
                                  LinkCounters{"eth0", 5000000, 7000000, 300, 7}));
  EXPECT_THAT(parse_net_dev("").value(), IsEmpty());
}

TEST(NetDev, MalformedTables) {
  const std::string good = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
  EXPECT_TRUE(parse_net_dev("a:" + good));
  EXPECT_TRUE(parse_net_dev("a:" + good + " 17")) << "a later kernel's";
  for (const std::string& bad : std::vector<std::string>{
           "eth0:", "a: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "a: x" + good, "a: -1" + good,
           " :" + good, "a b:" + good, "a: 99999999999999999999" + good})
    EXPECT_EQ(code(parse_net_dev(bad)), EPROTO) << bad;
}

TEST(NetDev, ReadsWhatTheHostHas) {
  const FixtureTree host({{"proc/net/dev", kNetDev},
                          {"proc/42/net/dev", "lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n"},
                          {"sys/class/net/eth0/speed", "1000\n"},
                          {"sys/class/net/down/speed", "-1\n"}});
  EXPECT_EQ(read_net_dev(host.tree())->size(), 2U);
  EXPECT_EQ(read_net_dev(host.tree(), 42)->size(), 1U) << "another network namespace";
  EXPECT_TRUE(read_net_dev(host.tree(), 43).error().is_gone());
  EXPECT_EQ(read_link_speed(host.tree(), "eth0"), 1'000'000'000U);
  EXPECT_FALSE(read_link_speed(host.tree(), "down"));
  EXPECT_FALSE(read_link_speed(host.tree(), "absent"));
}

const char* const kDiskStats =
    "   8       0 sda 1000 10 2000 300 4000 50 6000 700 0 800 900 0 0 0 0 1 2\n"
    "   8       1 sda1 1 1 1 1 1 1 1 1 0 1 1\n"
    " 253       0 zram0 1 1 1 1 1 1 1 1 0 9999 1\n"
    "   7       0 loop0 1 1 1 1 1 1 1 1 0 9999 1\n";

TEST(DiskStat, BytesAndBusyTime) {
  const auto disks = parse_disk_stat(kDiskStats);
  ASSERT_TRUE(disks) << disks.error().message();
  ASSERT_EQ(disks->size(), 4U);
  EXPECT_EQ(disks->front(), (DiskCounters{"sda", 2000 * 512, 6000 * 512, 800}));
  EXPECT_THAT(parse_disk_stat("").value(), IsEmpty());
  for (const char* bad : {"8 0 sda 1 2 3", "8 0 sda 1 2 x 4 5 6 7 8 9 10 11",
                          "8 0 sda 1 2 3 4 5 6 -7 8 9 10 11", "8 0 sda 1 2 3 4 5 6 7 8 9 ten 11",
                          "8 0 sda 1 2 99999999999999999 4 5 6 7 8 9 10 11", "\n\n"})
    EXPECT_EQ(code(parse_disk_stat(bad)), EPROTO) << bad;
}

TEST(DiskStat, WholeDisksWithSomethingBehindThem) {
  const FixtureTree host({{"proc/diskstats", kDiskStats},
                          {"sys/block/sda/size", "1"},
                          {"sys/block/zram0/size", "1"},
                          {"sys/block/loop0/size", "1"}});
  const auto disks = read_disk_stat(host.tree());
  ASSERT_TRUE(disks) << disks.error().message();
  ASSERT_EQ(disks->size(), 1U);
  EXPECT_EQ(disks->front().name, "sda");
}

}  // namespace
}  // namespace panal::kernel

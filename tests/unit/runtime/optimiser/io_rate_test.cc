#include "runtime/optimiser/io_rate.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <nlohmann/json.hpp>

#include "engine/policy/units.h"
#include "runtime/optimiser/optimiser.h"
#include "tests/unit/runtime/optimiser/fake_node.h"

namespace panal::optimiser {
namespace {

using policy::kSecond;

TEST(IoRate, IsTheDifferenceOfTwoLooks) {
  IoRate rate;
  EXPECT_TRUE(rate.due(5 * kSecond));
  EXPECT_FALSE(rate.last());
  EXPECT_EQ(rate.look({1000, 500, 3, 2}, 5 * kSecond), IoStatistics{}) << "of before we looked";
  EXPECT_EQ(rate.read_bytes_per_second(), 0);
  EXPECT_FALSE(rate.due(34 * kSecond));
  EXPECT_TRUE(rate.due(35 * kSecond));
  EXPECT_EQ(rate.look({5000, 500, 5, 2}, 45 * kSecond), (IoStatistics{4000, 0, 2, 0}));
  EXPECT_EQ(rate.read_bytes_per_second(), 100);
  EXPECT_EQ(rate.written_bytes_per_second(), 0);
  EXPECT_EQ(rate.last()->read_bytes, 5000U);
}

TEST(IoRate, CountersThatBeginAnewAddNothing) {
  IoRate rate;
  (void)rate.look({1 << 20, 1 << 20, 9, 9}, kSecond);
  EXPECT_EQ(rate.look({4096, 0, 1, 0}, 31 * kSecond), IoStatistics{});
  EXPECT_EQ(rate.read_bytes_per_second(), 0);
  EXPECT_EQ(rate.look({8192, 0, 2, 0}, 31 * kSecond), (IoStatistics{4096, 0, 1, 0}))
      << "at the same moment: no speed, and no division by nothing";
  EXPECT_EQ(rate.read_bytes_per_second(), 0);
}

/// What panald says of a desktop on a machine of plain files.
nlohmann::json told_by(const std::string& machine) {
  FakeNode node(machine);
  node.desktop(1, 16 << 20);
  auto opened = Optimiser::open(
      {node.tree, node.root, "panal", node.files.path() + "/ksm.former", Logger::silent()},
      Settings{});
  EXPECT_TRUE(opened) << opened.error().message();
  if (!opened) return {};
  (*opened)->started(1, {"school", "standard"}, false);
  const auto told = [&] { return (*opened)->report()["desktops"]["1"]; };
  EXPECT_TRUE(eventually([&] { return told().contains("written_bytes"); })) << told().dump(1);
  return told();
}

TEST(IoRate, IsToldOfEachDesktopOnV2) {
  const auto told = told_by("v2-6.1");
  EXPECT_EQ(told.value("read_bytes", -1), 196608);
  EXPECT_EQ(told.value("written_bytes", -1), 1048576);
  EXPECT_EQ(told.value("written_bytes_per_second", -1), 0) << "one look";
}

TEST(IoRate, IsToldOfEachDesktopOnV1) {
  const auto told = told_by("v1-6.18");
  EXPECT_EQ(told.value("read_bytes", -1), 0);
  EXPECT_EQ(told.value("written_bytes", -1), 1048576);
}

TEST(CountIo, HasV1CountOnTheDiskOfTheDesktopsAndAsksNothingOfV2) {
  const FakeNode second("v2-6.1");
  EXPECT_TRUE(count_io(second.tree, second.root, "panal", "/"));
  const FakeNode first("v1-6.18");
  struct stat info{};
  ASSERT_EQ(::stat("/", &info), 0);
  const std::string device =
      std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
  const std::string knob = "cgroup/blkio/panal/blkio.throttle.read_bps_device";
  first.files.write(knob, "");
  if (major(info.st_dev) == 0) {
    EXPECT_FALSE(count_io(first.tree, first.root, "panal", "/")) << "no disk holds it";
    return;
  }
  first.files.write("sys/dev/block/" + device + "/dev", device + "\n");
  const auto counted = count_io(first.tree, first.root, "panal", "/");
  ASSERT_TRUE(counted) << counted.error().message();
  EXPECT_TRUE(first.files.read(knob).starts_with(device + " 0")) << "the limit is gone again";
}

}  // namespace
}  // namespace panal::optimiser

#include "runtime/optimiser/census.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

using policy::kMib;
using policy::kMinute;
using policy::kSecond;

GroupSnapshot seen(DesktopId id, MonotonicNs at_ns, std::uint64_t anon_mib, std::uint64_t cpu_ns,
                   std::uint64_t tasks) {
  GroupSnapshot one;
  one.desktop = id;
  one.at_ns = at_ns;
  one.usage.memory.emplace();
  one.usage.memory->anon_bytes = anon_mib * kMib;
  one.usage.memory->file_bytes = 500 * kMib;
  one.usage.cpu.emplace();
  one.usage.cpu->usage_ns = cpu_ns;
  one.usage.pids = tasks;
  return one;
}

TEST(Census, CountsDesktopsByImage) {
  Census census;
  EXPECT_TRUE(census.counts().empty());
  census.came(1, "xfce", 0);
  census.came(2, "xfce", 0);
  census.came(3, "icewm", 0);
  EXPECT_EQ(census.counts(), (policy::ImageCounts{{"icewm", 1}, {"xfce", 2}}));
  census.came(3, "xfce", 0);
  EXPECT_EQ(census.counts(), (policy::ImageCounts{{"xfce", 3}})) << "made anew from another image";
  census.gone(1);
  census.gone(1);
  census.gone(99);
  EXPECT_EQ(census.counts(), (policy::ImageCounts{{"xfce", 2}}));
}

TEST(Census, OfTooManyImagesTheOthersAreOne) {
  Census census;
  const auto most = static_cast<DesktopId>(Census::kMostImages);
  for (DesktopId id = 1; id <= most + 2; ++id) census.came(id, "i" + std::to_string(id), 0);
  EXPECT_EQ(census.counts().size(), Census::kMostImages + 1);
  EXPECT_EQ(census.counts().at(""), 2);
  census.gone(most + 1);
  census.gone(most + 2);
  EXPECT_EQ(census.counts().size(), Census::kMostImages);
}

TEST(Census, WeighsImagesByTheirOwnMemoryTasksAndTime) {
  Census census;
  for (const DesktopId id : {1, 2}) census.came(id, "xfce", 0);
  census.came(3, "icewm", 0);
  const auto look = [&census](MonotonicNs at_ns, std::uint64_t minutes) {
    census.saw({seen(1, at_ns, 20, minutes * 6'000'000, 30), seen(2, at_ns, 40, 0, 30),
                seen(3, at_ns, 10, minutes * 1'000'000, 10), seen(77, at_ns, 9'999, 0, 999)});
  };
  look(kMinute, 1);
  EXPECT_DOUBLE_EQ(census.weights(Weigh::kMemory).of("xfce"), 1.5) << "30 beside 10, no page cache";
  EXPECT_DOUBLE_EQ(census.weights(Weigh::kTasks).of("icewm"), 0.5);
  EXPECT_EQ(census.weights(Weigh::kCpu).of("xfce"), 1) << "time is known at the second look";
  look(3 * kMinute, 3);
  EXPECT_NEAR(census.weights(Weigh::kCpu).of("xfce"), 1.5, 1e-9) << "3 ms a minute beside 1";
}

TEST(Census, WhoHasJustComeTeachesNothing) {
  Census census;
  census.came(1, "xfce", 0);
  census.came(2, "icewm", 10 * kMinute);
  census.saw({seen(1, 10 * kMinute, 30, 1, 30),
              seen(2, 10 * kMinute + Census::kSettlesNs - kSecond, 300, 1, 300)});
  EXPECT_EQ(census.weights(Weigh::kMemory).of("icewm"), 1);
  EXPECT_EQ(census.weights(Weigh::kMemory).of("xfce"), 1);
  census.saw({seen(2, 10 * kMinute + Census::kSettlesNs, 10, 1, 10)});
  EXPECT_DOUBLE_EQ(census.weights(Weigh::kMemory).of("icewm"), 0.5);
}

TEST(Census, AGroupThatWasMadeAnewCountsItsTimeAnew) {
  Census census;
  for (const DesktopId id : {1, 2}) census.came(id, id == 1 ? "xfce" : "icewm", 0);
  const auto look = [&census](std::uint64_t minute, std::uint64_t first, std::uint64_t second) {
    const MonotonicNs at_ns = static_cast<MonotonicNs>(minute) * kMinute;
    census.saw({seen(1, at_ns, 1, first, 1), seen(2, at_ns, 1, second, 1)});
  };
  look(1, 50'000'000'000, 0);
  look(2, 1'000'000, 1'000'000);
  EXPECT_EQ(census.weights(Weigh::kCpu).of("xfce"), 1) << "not known of two images yet";
  look(4, 3'000'000, 3'000'000);
  EXPECT_NEAR(census.weights(Weigh::kCpu).of("xfce"), 1, 1e-9) << "both 1 ms a minute";
}

}  // namespace
}  // namespace panal::optimiser

#include "engine/policy/quiet.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

constexpr QuietConfig kConfig;

/// Of one minute.
struct Minute {
  const char* what;
  double cpu_seconds, cpu_wait_seconds, io_wait_seconds;
  std::uint64_t disk_bytes, network_bytes;
  bool quiet;
};

Doings after(const Doings& before, const Minute& minute) {
  Doings now = before;
  now.at_ns += kMinute;
  *now.cpu_ns += whole(minute.cpu_seconds * 1e9);
  *now.cpu_wait_us += whole(minute.cpu_wait_seconds * 1e6);
  *now.io_wait_us += whole(minute.io_wait_seconds * 1e6);
  *now.disk_bytes += minute.disk_bytes;
  *now.network_bytes += minute.network_bytes;
  return now;
}

Doings first_look() { return {kMinute, 5'000'000'000, 100'000, 100'000, 7 * kMib, 3 * kMib}; }

TEST(Quiet, IsWhoeverNeitherComputesNorReadsNorSendsNorWaitsToDoSo) {
  for (const Minute& minute :
       {Minute{"an XFCE desktop at rest", 0.012, 0.02, 0, 0, 0, true},
        Minute{"a clock, and links kept alive", 0.3, 1, 0.1, 40'000, 6'000, true},
        Minute{"a second of work", 0.9, 0, 0, 0, 0, false},
        Minute{"a computation", 55, 3, 0, 0, 0, false},
        Minute{"a computation that gets next to no CPU", 0.3, 58, 0, 0, 0, false},
        Minute{"a disk that does not answer", 0.01, 0, 50, 0, 0, false},
        Minute{"a slow download to memory", 0.2, 0, 0, 0, 600'000, false},
        Minute{"a copy to a disk", 0.2, 0.1, 1, 600'000, 0, false}}) {
    Quiet quiet;
    const Doings before = first_look();
    quiet.saw(before, kConfig);
    EXPECT_EQ(quiet.since_ns(), 0) << "one look tells nothing";
    quiet.saw(after(before, minute), kConfig);
    EXPECT_EQ(quiet.since_ns(), minute.quiet ? before.at_ns : 0) << minute.what;
  }
}

TEST(Quiet, WhatIsPagedOutToADiskAndFetchedBackIsNobodysWork) {
  struct Case {
    const char* what;
    std::uint64_t disk_bytes, refaulted_pages, swapped_bytes;
    bool on_disk, quiet;
  };
  for (const Case& c :
       {Case{"it fetches back 8 MiB, which go out again", 16 * kMib, 2048, 0, true, true},
        Case{"30 MiB of it are paged out", 30 * kMib, 0, 30 * kMib, true, true},
        Case{"it reads files besides", 17 * kMib, 2048, 0, true, false},
        Case{"all of it from zswap's pool", 0, 2048, 0, true, true},
        Case{"swap is zram, the disk's traffic its own", 16 * kMib, 2048, 0, false, false}}) {
    Doings before = first_look();
    if (c.on_disk) {
      before.refaulted_pages = 100;
      before.swapped_bytes = 5 * kMib;
    }
    Doings now = after(before, {"", 0.2, 0, 0, c.disk_bytes, 0, true});
    if (c.on_disk) {
      *now.refaulted_pages += c.refaulted_pages;
      *now.swapped_bytes += c.swapped_bytes;
    }
    Quiet quiet;
    quiet.saw(before, kConfig);
    quiet.saw(now, kConfig);
    EXPECT_EQ(quiet.since_ns() != 0, c.quiet) << c.what;
  }
}

TEST(Quiet, BeginsAnewAfterEachLoudMinute) {
  const Minute rest{"", 0.01, 0, 0, 0, 0, true};
  const Minute work{"", 30, 0, 0, 0, 0, false};
  Quiet quiet;
  Doings now = first_look();
  quiet.saw(now, kConfig);
  for (int minute = 1; minute <= 20; ++minute) {
    now = after(now, minute % 7 == 0 ? work : rest);
    quiet.saw(now, kConfig);
  }
  EXPECT_EQ(quiet.since_ns(), 15 * kMinute) << "the fourteenth, from the first look on, was loud";
}

TEST(Quiet, ALookTooSoonNeitherCountsNorHidesWhatFollows) {
  const Minute work{"", 3, 0, 0, 0, 0, false};
  Quiet quiet;
  const Doings before = first_look();
  quiet.saw(before, kConfig);
  Doings soon = before;
  soon.at_ns += 6 * kSecond;
  *soon.cpu_ns += 1'000'000'000;
  EXPECT_FALSE(quiet.due(soon.at_ns));
  quiet.saw(soon, kConfig);
  EXPECT_EQ(quiet.since_ns(), 0);
  const Doings now = after(before, work);
  ASSERT_TRUE(quiet.due(now.at_ns));
  quiet.saw(now, kConfig);
  EXPECT_EQ(quiet.since_ns(), 0) << "three seconds of CPU time, one of them unseen before";
}

TEST(Quiet, WhatIsNotKnownOrBeganAnewDisturbsNobody) {
  Quiet quiet;
  Doings before;
  before.at_ns = kMinute;
  quiet.saw(before, kConfig);
  Doings now = first_look();
  now.at_ns = 2 * kMinute;
  quiet.saw(now, kConfig);
  EXPECT_EQ(quiet.since_ns(), kMinute) << "nothing was known before";
  Doings anew = now;
  anew.at_ns = 3 * kMinute;
  anew.cpu_ns = anew.network_bytes = 1;
  quiet.saw(anew, kConfig);
  EXPECT_EQ(quiet.since_ns(), kMinute);
}

TEST(Quiet, ReadsWhatTheGroupsFilesTell) {
  GroupSnapshot group;
  group.at_ns = 5;
  Doings doings = doings_of(group, true);
  EXPECT_EQ(doings.at_ns, 5);
  EXPECT_FALSE(doings.cpu_ns || doings.cpu_wait_us || doings.io_wait_us || doings.disk_bytes ||
               doings.network_bytes);
  group.usage.cpu = GroupCpu{11, 0, 0};
  group.usage.io = IoStatistics{20, 3, 1, 1};
  group.pressure.cpu.emplace().some.total_us = 7;
  group.pressure.io.emplace().some.total_us = 9;
  doings = doings_of(group, false);
  EXPECT_EQ(doings.cpu_ns, 11U);
  EXPECT_EQ(doings.disk_bytes, 23U);
  EXPECT_EQ(doings.cpu_wait_us, 7U);
  EXPECT_EQ(doings.io_wait_us, 9U);
}

}  // namespace
}  // namespace panal::policy

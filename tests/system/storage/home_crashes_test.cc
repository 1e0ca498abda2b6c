// What is left of homes where something is killed, or the disk is full.
#include "tests/system/storage/home_kinds_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

TEST_F(HomeKindsTest, AKilledRestoreLeavesTheOldHomeAndNoHalf) {
  for (const QuotaKind kind : {QuotaKind::kNone, QuotaKind::kLoop}) {
    const auto homes =
        store(kind, kind == QuotaKind::kLoop ? SpaceLimit{32 * kMib, 0} : SpaceLimit{});
    ASSERT_TRUE(homes->put("acme", "alice", false, me("fill"), [&](int tree) -> Result<void> {
      live_in("/proc/self/fd/" + std::to_string(tree));
      return {};
    }));
    const auto before = back_up(*homes, "alice", dir_ + "/backup");
    ASSERT_TRUE(before);
    for (const int delay_us : {0, 500, 2000, 5000, 10'000, 20'000, 50'000, 100'000}) {
      const pid_t child = ::fork();
      if (child == 0) {
        (void)restore(*homes, "alice", dir_ + "/backup", true);
        for (;;) ::pause();
      }
      ::usleep(static_cast<useconds_t>(delay_us));
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
      const auto recovered = homes->recover({});
      ASSERT_TRUE(recovered) << recovered.error().message();
      for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/homes/acme"))
        EXPECT_THAT(entry.path().filename().string(), ::testing::AnyOf("alice", ".alice.img"))
            << delay_us;
      const auto after = back_up(*homes, "alice", dir_ + "/after");
      ASSERT_TRUE(after) << delay_us << ": " << after.error().message();
      EXPECT_EQ(after->sum, before->sum) << delay_us;
    }
    ASSERT_TRUE(homes->remove("acme", "alice"));
  }
}

TEST_F(HomeKindsTest, AKilledDeletionLeavesAllOfTheHomeOrNothing) {
  for (const QuotaKind kind : {QuotaKind::kNone, QuotaKind::kLoop}) {
    const auto homes =
        store(kind, kind == QuotaKind::kLoop ? SpaceLimit{32 * kMib, 0} : SpaceLimit{});
    int whole = 0, gone = 0;
    for (unsigned nth = 1, end = 0; end == 0; ++nth)
      for (const bool recovered : {false, true}) {
        SCOPED_TRACE(std::string(to_string(kind)) + ", before call " + std::to_string(nth) +
                     (recovered ? ", recovered" : ""));
        ASSERT_TRUE(lived_in(*homes, "alice"));
        // Of this life: times of files are part of the sum.
        const auto before = back_up(*homes, "alice", dir_ + "/before");
        ASSERT_TRUE(before) << before.error().message();
        const auto run =
            test::run_killed_before(nth, [&] { return homes->remove("acme", "alice") ? 0 : 1; });
        if (run.finished) {
          EXPECT_EQ(run.status, 0);
          end = nth;
        }
        if (recovered) {
          const auto done = homes->recover({});
          ASSERT_TRUE(done) << done.error().message();
        }
        // The next start, which the database has given the home to.
        HomeSpec next = spec(1);
        next.leased = true;
        const auto attached = homes->attach(next);
        ASSERT_TRUE(attached) << attached.error().message();
        EXPECT_EQ(homes->info("acme", "alice", false)->quota, kind);
        const bool empty = std::filesystem::is_empty(next.mount_point);
        ++(empty ? gone : whole);
        ASSERT_TRUE(homes->detach(next));
        if (!empty) {
          const auto after = back_up(*homes, "alice", dir_ + "/after");
          ASSERT_TRUE(after) << after.error().message();
          EXPECT_EQ(after->sum, before->sum);
        }
        ASSERT_TRUE(homes->recover({}));
        for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/homes/acme"))
          EXPECT_THAT(entry.path().filename().string(), ::testing::AnyOf("alice", ".alice.img"));
      }
    EXPECT_GT(whole, 2);
    EXPECT_GT(gone, 2);
    ASSERT_TRUE(homes->remove("acme", "alice"));
  }
}

TEST_F(HomeKindsTest, AHalfDeletedHomeIsNoHomeForCommandsEither) {
  const auto homes = store(QuotaKind::kLoop, {32 * kMib, 0});
  const std::string tenant = dir_ + "/homes/acme/";
  const auto break_off = [&] {
    EXPECT_TRUE(lived_in(*homes, "alice"));
    std::filesystem::rename(tenant + ".alice.img", tenant + "...new.alice.img");
  };
  break_off();
  EXPECT_EQ(back_up(*homes, "alice", dir_ + "/x").error().code, ENOENT);
  EXPECT_TRUE(std::filesystem::is_empty(tenant));
  break_off();
  EXPECT_TRUE(homes->remove("acme", "alice")) << "it is told to go on";
  EXPECT_TRUE(std::filesystem::is_empty(tenant));
  break_off();
  EXPECT_TRUE(lived_in(*homes, "alice"));
  EXPECT_EQ(homes->info("acme", "alice", false)->quota, QuotaKind::kLoop);
}

TEST_F(HomeKindsTest, AHomeWithFilesIsNotTakenForAHalfDeletedOne) {
  // A stray half of a file beside a home that is a directory, which nothing of ours leaves.
  const auto homes = store(QuotaKind::kNone, {});
  ASSERT_TRUE(lived_in(*homes, "alice"));
  const std::string tenant = dir_ + "/homes/acme/";
  write(tenant + "...new.alice.img", "");
  const HomeSpec home = spec(1);
  const auto attached = homes->attach(home);
  ASSERT_TRUE(attached) << attached.error().message();
  EXPECT_EQ(read(home.mount_point + "/.config/panel"), "blue");
  ASSERT_TRUE(homes->detach(home));
  EXPECT_THAT(names_in(tenant), ::testing::ElementsAre("alice"));
}

TEST_F(HomeKindsTest, AHomeInAFileIsWholeOrNoneWhereverPuttingItInPlaceIsKilled) {
  const auto homes = store(QuotaKind::kLoop, {16 * kMib, 0});
  const std::string tenant = dir_ + "/homes/acme/";
  int whole = 0;
  for (unsigned nth = 1, end = 0; end == 0; ++nth) {
    SCOPED_TRACE(nth);
    ASSERT_TRUE(lived_in(*homes, "alice"));
    const auto before = back_up(*homes, "alice", dir_ + "/before");
    ASSERT_TRUE(before) << before.error().message();
    // As a new home is before its last step.
    std::filesystem::rename(tenant + ".alice.img", tenant + "...new.alice.img");
    std::filesystem::rename(tenant + "alice", tenant + "..new.alice");
    const auto run = test::run_killed_before(nth, [&] {
      const auto quota = make_quota(QuotaKind::kLoop);
      return quota->replace(tenant + "..new.alice", tenant + "alice") ? 0 : 1;
    });
    if (run.finished) {
      EXPECT_EQ(run.status, 0);
      end = nth;
    }
    const auto recovered = homes->recover({});
    ASSERT_TRUE(recovered) << recovered.error().message();
    if (names_in(tenant).empty()) continue;
    ++whole;
    EXPECT_THAT(names_in(tenant), ::testing::UnorderedElementsAre("alice", ".alice.img"));
    const auto after = back_up(*homes, "alice", dir_ + "/after");
    ASSERT_TRUE(after) << after.error().message();
    EXPECT_EQ(after->sum, before->sum);
    ASSERT_TRUE(homes->remove("acme", "alice"));
    EXPECT_TRUE(std::filesystem::is_empty(tenant));
  }
  EXPECT_GT(whole, 2) << "without its directory, with it, and with all done";
}

TEST_F(HomeKindsTest, AHomeInAFileThatLacksItsDirectoryIsAHomeForAll) {
  const auto homes = store(QuotaKind::kLoop, {16 * kMib, 0});
  const auto plain = store(QuotaKind::kNone, {});
  const std::string place = dir_ + "/homes/acme/alice";
  ASSERT_TRUE(lived_in(*homes, "alice"));
  const auto before = back_up(*homes, "alice", dir_ + "/before");
  ASSERT_TRUE(before) << before.error().message();
  ASSERT_EQ(::rmdir(place.c_str()), 0);

  EXPECT_THAT(*homes->homes_of("acme"), ::testing::ElementsAre("alice"));
  const auto info = homes->info("acme", "alice", false);
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->quota, QuotaKind::kLoop);
  const auto seen = back_up(*homes, "alice", dir_ + "/seen");
  ASSERT_TRUE(seen) << seen.error().message();
  EXPECT_EQ(seen->sum, before->sum);
  for (HomeStore* through : {homes.get(), plain.get()}) {
    const auto over = restore(*through, "alice", dir_ + "/before", false);
    ASSERT_FALSE(over) << "nothing is silently overwritten, nor hidden by a directory";
    EXPECT_EQ(over.error().code, EEXIST) << over.error().message();
  }

  const auto recovered = homes->recover({});
  ASSERT_TRUE(recovered) << recovered.error().message();
  EXPECT_EQ(stat_of(place).st_mode & 07777U, 0700U);
  EXPECT_THAT(names_in(dir_ + "/homes/acme"),
              ::testing::UnorderedElementsAre("alice", ".alice.img"));
  ASSERT_EQ(::rmdir(place.c_str()), 0);
  const auto put = restore(*plain, "alice", dir_ + "/before", true);
  ASSERT_TRUE(put) << put.error().message();
  EXPECT_EQ(homes->info("acme", "alice", false)->quota, QuotaKind::kLoop);
  EXPECT_TRUE(std::filesystem::is_directory(place));

  ASSERT_EQ(::rmdir(place.c_str()), 0);
  const auto removed = homes->remove("acme", "alice");
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/homes/acme"));
  const auto again = homes->remove("acme", "alice");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ENOENT);
}

TEST_F(HomeKindsTest, TroubleWithOneTenantKeepsNoOtherFromRecovery) {
  const auto homes = store(QuotaKind::kNone, {});
  ASSERT_TRUE(lived_in(*homes, "alice"));
  const std::string lock = dir_ + "/homes/acme/.alice.lock";
  for (const char* tenant : {"aaa", "zzz"}) write(dir_ + "/homes/" + tenant, "a file");
  write(lock, "d1@n1");
  const auto recovered = homes->recover({});
  ASSERT_FALSE(recovered);
  EXPECT_EQ(recovered.error().code, ENOTDIR) << recovered.error().message();
  EXPECT_FALSE(std::filesystem::exists(lock));
}

TEST_F(HomeKindsTest, HalvesOfSnapshotsGoWithRecoveryAndWithTheirHome) {
  const auto homes = store(QuotaKind::kLoop, {16 * kMib, 0});
  ASSERT_TRUE(lived_in(*homes, "alice"));
  const std::string snapshots = dir_ + "/homes/acme/..snap.alice";
  // What is killed leaves the last two; the first is whole.
  const auto leave = [&] {
    make(snapshots + "/whole");
    for (const char* name : {".whole.img", ".half.img.new", ".file.img"})
      write(snapshots + "/" + name, "");
  };
  leave();
  const HomeSpec open = spec(1);
  ASSERT_TRUE(homes->attach(open));
  ASSERT_TRUE(homes->recover({"d1"}));
  EXPECT_EQ(names_in(snapshots).size(), 4U) << "somebody has the home";
  ASSERT_TRUE(homes->detach(open));
  ASSERT_TRUE(homes->recover({}));
  EXPECT_THAT(names_in(snapshots), ::testing::UnorderedElementsAre("whole", ".whole.img"));
  leave();
  const auto removed = homes->remove("acme", "alice");
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/homes/acme"));
}

TEST_F(HomeKindsTest, ASnapshotWhoseDeletionIsKilledIsWholeOrNone) {
  const auto homes = store(QuotaKind::kLoop, {16 * kMib, 0});
  ASSERT_TRUE(lived_in(*homes, "alice"));
  const std::string snapshots = dir_ + "/homes/acme/..snap.alice";
  bool finished = false;
  for (unsigned nth = 1; !finished; ++nth) {
    SCOPED_TRACE(nth);
    make(snapshots + "/monday");
    write(snapshots + "/.monday.img", "");
    finished = test::run_killed_before(nth, [&] {
                 return homes->remove_snapshot("acme", "alice", "monday") ? 0 : 1;
               }).finished;
    const auto info = homes->info("acme", "alice", false);
    ASSERT_TRUE(info) << info.error().message();
    for (const std::string& name : info->snapshots)
      EXPECT_TRUE(std::filesystem::exists(snapshots + "/." + name + ".img"));
    ASSERT_TRUE(homes->recover({}));
    EXPECT_NE(names_in(snapshots).size(), 1U);
  }
}

TEST_F(HomeKindsTest, AFullDiskLosesNoHomeAndLeavesNoHalf) {
  const std::string disk = dir_ + "/disk.img";
  ASSERT_TRUE(loop_file::make(disk, {32 * kMib, 300}));
  const std::string point = make_mount_point("homes");
  {
    const auto tree = loop_file::open(disk);
    ASSERT_TRUE(tree) << tree.error().message();
    ASSERT_TRUE(mount::attach(tree->get(), point));
  }
  const auto homes = store(QuotaKind::kNone, {});
  ASSERT_TRUE(homes->put("acme", "alice", false, me("fill"), [&](int tree) -> Result<void> {
    live_in("/proc/self/fd/" + std::to_string(tree));
    return {};
  }));
  const auto before = back_up(*homes, "alice", dir_ + "/backup");
  ASSERT_TRUE(before);
  // First the bytes come to their end, then the inodes, and at last both are there again.
  for (const bool inodes : {false, true}) {
    std::filesystem::create_directories(point + "/filler");
    if (inodes) {
      for (int i = 0;; ++i)
        if (UniqueFd file(::open((point + "/filler/" + std::to_string(i)).c_str(),
                                 O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
            !file)
          break;
    } else {
      const UniqueFd file(
          ::open((point + "/filler/big").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      const std::string block(65536, 'x');
      while (::write(file.get(), block.data(), block.size()) > 0) {
      }
    }
    const auto put = restore(*homes, "alice", dir_ + "/backup", true);
    ASSERT_FALSE(put) << "inodes: " << inodes;
    EXPECT_EQ(put.error().code, ENOSPC) << put.error().message();
    HomeSpec fresh = spec(5, "bob");
    if (inodes) {
      EXPECT_FALSE(homes->attach(fresh));
    }
    std::filesystem::remove_all(point + "/filler");
    ASSERT_TRUE(homes->recover({}));
    EXPECT_THAT(*homes->homes_of("acme"), ::testing::ElementsAre("alice"));
    EXPECT_EQ(back_up(*homes, "alice", dir_ + "/after")->sum, before->sum);
  }
  ASSERT_TRUE(restore(*homes, "alice", dir_ + "/backup", true));
}

TEST_F(HomeKindsTest, WhatACrashOfThisNodeLeftDoesNotCountOnceTheDatabaseHasSpoken) {
  const auto homes = store(QuotaKind::kNone, {});
  ASSERT_TRUE(homes->attach(spec(1)));
  HomeSpec next = spec(2);
  EXPECT_FALSE(homes->attach(next));
  next.leased = true;
  EXPECT_TRUE(homes->attach(next));
  ASSERT_TRUE(homes->detach(next));
}

}  // namespace
}  // namespace panal::storage

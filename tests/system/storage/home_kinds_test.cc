#include <fcntl.h>
#include <signal.h>
#include <sys/xattr.h>

#include <thread>
#include <utility>

#include "storage/backup/backup.h"
#include "storage/home/home_store.h"
#include "storage/quota/kinds.h"
#include "storage/quota/loop_mount.h"
#include "tests/support/kill_at_call.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

class HomeKindsTest : public StorageTest {
 protected:
  HomeSpec spec(int number, const std::string& home = "alice") {
    HomeSpec spec;
    spec.tenant = "acme";
    spec.home = home;
    spec.desktop = "d" + std::to_string(number);
    spec.uid = spec.gid = 1000;
    spec.ids = {1'000'000 + static_cast<std::uint32_t>(number) * 65536, 65536};
    spec.mount_point = make_mount_point("run/" + spec.desktop + "/home");
    return spec;
  }
  std::unique_ptr<HomeStore> store(QuotaKind kind, SpaceLimit limit,
                                   const std::string& node = "n1") {
    return std::make_unique<HomeStore>(dir_ + "/homes", HomeRules{node, kind, limit});
  }
  HomeOwner me(const std::string& what) { return {what + "-" + std::to_string(::getpid()), "n1"}; }

  Result<backup::Report> back_up(HomeStore& homes, const std::string& home,
                                 const std::string& file) {
    backup::Report report;
    const UniqueFd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    PANAL_TRY(homes.with_tree("acme", home, "", me("backup"), [&](int tree) -> Result<void> {
      PANAL_ASSIGN(report, backup::write(tree, {"acme", home}, out.get(), {}));
      return {};
    }));
    return report;
  }
  Result<void> restore(HomeStore& homes, const std::string& home, const std::string& file,
                       bool over) {
    const UniqueFd in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    return homes.put("acme", home, over, me("restore"), [&](int tree) -> Result<void> {
      PANAL_TRY(backup::read(in.get(), tree, {}, {}));
      return {};
    });
  }
  /// What a user may have at home.
  void live_in(const std::string& home) {
    make(home + "/.config");
    write(home + "/.config/panel", "blue");
    write(home + "/letter", std::string(300'000, 'l'));
    std::filesystem::create_hard_link(home + "/letter", home + "/same");
    std::filesystem::create_symlink("letter", home + "/link");
    std::filesystem::create_symlink("/etc/passwd", home + "/.config/out");
    write(home + "/a name with spaces and \xc3\xa4 \xff", "bytes");
    ASSERT_EQ(::setxattr((home + "/letter").c_str(), "user.note", "seen", 4, 0), 0);
    ASSERT_EQ(::chmod((home + "/letter").c_str(), 0640), 0);
    ASSERT_EQ(::chown((home + "/letter").c_str(), 1000, 100), 0);
    const timespec times[] = {{1'000'000'000, 0}, {1'000'000'000, 123'456'789}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (home + "/.config").c_str(), times, 0), 0);
    ASSERT_EQ(::mkfifo((home + "/pipe").c_str(), 0600), 0);
  }
  static void make(const std::string& path) { std::filesystem::create_directories(path); }
  static std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path))
      names.push_back(entry.path().filename().string());
    return names;
  }
  /// A home that somebody has lived in.
  Result<void> lived_in(HomeStore& homes, const std::string& home) {
    return homes.put("acme", home, true, me("fill"), [&](int tree) -> Result<void> {
      live_in("/proc/self/fd/" + std::to_string(tree));
      return {};
    });
  }
};

TEST_F(HomeKindsTest, AHomeInAFileIsOneForDesktopsAndHasItsLimit) {
  const auto homes = store(QuotaKind::kLoop, {32 * kMib, 0});
  const HomeSpec first = spec(1);
  const auto attached = homes->attach(first);
  ASSERT_TRUE(attached) << attached.error().message();
  EXPECT_EQ(stat_of(first.mount_point).st_uid, first.ids.first + 1000);
  EXPECT_EQ(stat_of(first.mount_point).st_mode & 07777U, 0700U);
  EXPECT_TRUE(std::filesystem::is_empty(first.mount_point)) << "no lost+found";
  ASSERT_EQ(inside(first.ids, 1000,
                   [&] {
                     const int fd =
                         ::open((first.mount_point + "/letter").c_str(), O_WRONLY | O_CREAT, 0600);
                     const std::string block(65536, 'x');
                     std::uint64_t written = 0;
                     while (::write(fd, block.data(), block.size()) > 0) written += block.size();
                     return errno == ENOSPC && written > 8 * kMib && written < 32 * kMib ? 0 : 1;
                   }),
            0);
  EXPECT_EQ(homes->attach(spec(2)).error().code, EBUSY);
  ASSERT_TRUE(homes->detach(first));
  const HomeSpec second = spec(3);
  const auto again = homes->attach(second);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(stat_of(second.mount_point + "/letter").st_uid, second.ids.first + 1000);
  ASSERT_TRUE(homes->detach(second));
  const auto info = homes->info("acme", "alice", false);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->quota, QuotaKind::kLoop);
  ASSERT_TRUE(homes->remove("acme", "alice"));
  EXPECT_TRUE(homes->homes_of("acme")->empty());
}

TEST_F(HomeKindsTest, ABackupComesBackTheSameAndIsTheSameTwice) {
  for (const QuotaKind kind : {QuotaKind::kNone, QuotaKind::kLoop}) {
    const auto homes =
        store(kind, kind == QuotaKind::kLoop ? SpaceLimit{32 * kMib, 0} : SpaceLimit{});
    const HomeSpec home = spec(1);
    ASSERT_TRUE(homes->attach(home));
    // On the disk's side of the mapping.
    ASSERT_TRUE(homes->detach(home));
    ASSERT_TRUE(homes->put("acme", "alice", true, me("fill"), [&](int tree) -> Result<void> {
      live_in("/proc/self/fd/" + std::to_string(tree));
      return {};
    }));
    const std::string one = dir_ + "/one";
    const auto report = back_up(*homes, "alice", one);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(report->left_out, 1U) << "the pipe";
    EXPECT_EQ(report->sum.size(), 64U);
    ASSERT_TRUE(back_up(*homes, "alice", dir_ + "/two"));
    EXPECT_EQ(read(one), read(dir_ + "/two"));

    const auto restored = restore(*homes, "bob", one, false);
    ASSERT_TRUE(restored) << restored.error().message();
    ASSERT_TRUE(homes->with_tree("acme", "bob", "", me("look"), [&](int tree) -> Result<void> {
      const std::string root = "/proc/self/fd/" + std::to_string(tree);
      EXPECT_EQ(read(root + "/.config/panel"), "blue");
      EXPECT_EQ(stat_of(root + "/letter").st_ino, stat_of(root + "/same").st_ino);
      EXPECT_EQ(stat_of(root + "/letter").st_mode & 07777U, 0640U);
      EXPECT_EQ(stat_of(root + "/letter").st_gid, 100U);
      EXPECT_EQ(std::filesystem::read_symlink(root + "/.config/out"), "/etc/passwd");
      EXPECT_EQ(stat_of(root + "/.config").st_mtim.tv_nsec, 123'456'789);
      EXPECT_EQ(read(root + "/a name with spaces and \xc3\xa4 \xff"), "bytes");
      char note[8] = {};
      EXPECT_EQ(::getxattr((root + "/letter").c_str(), "user.note", note, sizeof note), 4);
      return {};
    }));
    const auto second = back_up(*homes, "bob", dir_ + "/three");
    ASSERT_TRUE(second);
    EXPECT_EQ(second->sum, report->sum) << "the sum is the content's";
    ASSERT_TRUE(homes->remove("acme", "alice"));
    ASSERT_TRUE(homes->remove("acme", "bob"));
  }
}

TEST_F(HomeKindsTest, ABadBackupChangesNothing) {
  const auto homes = store(QuotaKind::kNone, {});
  ASSERT_TRUE(homes->put("acme", "alice", false, me("fill"), [&](int tree) -> Result<void> {
    live_in("/proc/self/fd/" + std::to_string(tree));
    return {};
  }));
  const std::string good = dir_ + "/good";
  ASSERT_TRUE(back_up(*homes, "alice", good));
  const std::string bytes = read(good);
  const auto before = back_up(*homes, "alice", dir_ + "/before");
  ASSERT_TRUE(before);
  for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 40) {
    write(dir_ + "/cut", bytes.substr(0, cut));
    const auto put = restore(*homes, "alice", dir_ + "/cut", true);
    ASSERT_FALSE(put) << cut;
    EXPECT_EQ(put.error().code, EPROTO) << put.error().message();
    std::string flipped = bytes;
    flipped[cut] = static_cast<char>(flipped[cut] ^ 4);
    write(dir_ + "/flipped", flipped);
    // Some bits carry nothing (what fills up blocks): then all of the home is there.
    if (restore(*homes, "carol", dir_ + "/flipped", false)) {
      EXPECT_EQ(back_up(*homes, "carol", dir_ + "/carol")->sum, before->sum) << cut;
      ASSERT_TRUE(homes->remove("acme", "carol"));
    }
  }
  EXPECT_EQ(back_up(*homes, "alice", dir_ + "/after")->sum, before->sum);
  EXPECT_THAT(*homes->homes_of("acme"), ::testing::ElementsAre("alice"));
  EXPECT_EQ(restore(*homes, "alice", good, false).error().code, EEXIST);
}

TEST_F(HomeKindsTest, NothingIsRestoredOverAHomeThatIsOpen) {
  for (const QuotaKind kind : {QuotaKind::kNone, QuotaKind::kLoop}) {
    const auto homes =
        store(kind, kind == QuotaKind::kLoop ? SpaceLimit{32 * kMib, 0} : SpaceLimit{});
    const HomeSpec open = spec(1);
    ASSERT_TRUE(homes->attach(open));
    ASSERT_EQ(inside(open.ids, 1000,
                     [&] {
                       const int fd =
                           ::open((open.mount_point + "/mine").c_str(), O_WRONLY | O_CREAT, 0644);
                       return fd >= 0 && ::write(fd, "mine", 4) == 4 ? 0 : errno;
                     }),
              0);
    ASSERT_TRUE(
        homes->put("acme", "other", false, me("fill"), [](int) -> Result<void> { return {}; }));
    ASSERT_TRUE(back_up(*homes, "other", dir_ + "/other"));
    const auto over = restore(*homes, "alice", dir_ + "/other", true);
    ASSERT_FALSE(over);
    EXPECT_EQ(over.error().code, EBUSY);
    EXPECT_THAT(over.error().context, HasSubstr("is open in d1 on node n1"));
    EXPECT_EQ(back_up(*homes, "alice", dir_ + "/x").error().code, EBUSY);
    EXPECT_EQ(homes->remove("acme", "alice").error().code, EBUSY);
    EXPECT_EQ(read(open.mount_point + "/mine"), "mine");
    ASSERT_TRUE(homes->detach(open));
    ASSERT_TRUE(restore(*homes, "alice", dir_ + "/other", true));
    ASSERT_TRUE(homes->remove("acme", "alice"));
    ASSERT_TRUE(homes->remove("acme", "other"));
  }
}

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

TEST_F(HomeKindsTest, AHomeThatIsStillMountedLosesNoSnapshotToItsDeletion) {
  const auto homes = store(QuotaKind::kLoop, {16 * kMib, 0});
  ASSERT_TRUE(lived_in(*homes, "alice"));
  const std::string file = dir_ + "/homes/acme/.alice.img";
  const std::string snapshots = dir_ + "/homes/acme/..snap.alice";
  for (const std::string name : {"monday", "tuesday"}) {
    make(snapshots + "/" + name);
    std::filesystem::copy_file(file, snapshots + "/." + name + ".img");
  }
  for (const std::string& mounted : {file, snapshots + "/.tuesday.img"}) {
    const auto held = loop_file::open(mounted);
    ASSERT_TRUE(held) << held.error().message();
    const auto removed = homes->remove("acme", "alice");
    ASSERT_FALSE(removed) << mounted;
    EXPECT_EQ(removed.error().code, EBUSY);
    EXPECT_THAT(removed.error().context, HasSubstr("is still mounted"));
    EXPECT_THAT(homes->info("acme", "alice", false)->snapshots,
                ::testing::ElementsAre("monday", "tuesday"));
    EXPECT_FALSE(homes->info("acme", "alice", false)->owner) << "and is not locked";
  }
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

TEST_F(HomeKindsTest, LocksOfOtherNodesAreTheirs) {
  const auto here = store(QuotaKind::kNone, {}, "n1");
  const auto there = store(QuotaKind::kNone, {}, "n2");
  ASSERT_TRUE(there->attach(spec(7)));
  ASSERT_TRUE(here->recover({}));
  HomeSpec mine = spec(8);
  const auto refused = here->attach(mine);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("open in d7 on node n2"));
  mine.leased = true;
  EXPECT_FALSE(here->attach(mine)) << "the database says nothing of n2";
  mine.evicted = "d7@n2";
  EXPECT_TRUE(here->attach(mine)) << "n2 has let its lease expire";
  ASSERT_TRUE(there->detach(spec(7))) << "what it does later is not its any more";
  EXPECT_EQ(read(dir_ + "/homes/acme/.alice.lock"), "d8@n1");
  ASSERT_TRUE(here->detach(mine));
}

TEST_F(HomeKindsTest, AHomeInAFileStaysLockedAsLongAsItIsMounted) {
  const auto here = store(QuotaKind::kLoop, {16 * kMib, 0}, "n1");
  const auto there = store(QuotaKind::kLoop, {16 * kMib, 0}, "n2");
  const std::string lock = dir_ + "/homes/acme/.alice.lock";
  HomeSpec first = spec(1);
  HomeSpec next = spec(2);
  first.leased = next.leased = true;
  const auto attached = here->attach(first);
  ASSERT_TRUE(attached) << attached.error().message();
  // What a process of the desktop does that takes its time to end.
  UniqueFd used(::open(first.mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(used);
  const auto detached = here->detach(first);
  ASSERT_FALSE(detached);
  EXPECT_EQ(detached.error().code, EBUSY);
  EXPECT_THAT(detached.error().context, HasSubstr("is still mounted"));
  EXPECT_FALSE(*mount::is_mount_point(first.mount_point)) << "it is out of sight";
  EXPECT_EQ(read(lock), "d1@n1");
  for (const auto& [homes, home] : {std::pair(there.get(), &next), std::pair(here.get(), &next),
                                    std::pair(here.get(), &first)}) {
    const auto refused = homes->attach(*home);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EBUSY);
    EXPECT_EQ(read(lock), "d1@n1");
  }
  ASSERT_TRUE(here->detach(next)) << "it has nothing of the home";
  EXPECT_EQ(here->release(first).error().code, EBUSY);
  ASSERT_TRUE(here->recover({}));
  EXPECT_EQ(read(lock), "d1@n1") << "a panald that begins anew waits as well";

  std::thread end([&used] {
    ::usleep(300'000);
    used.reset();
  });
  const auto waited = here->detach(first);
  end.join();
  ASSERT_TRUE(waited) << waited.error().message();
  EXPECT_FALSE(std::filesystem::exists(lock));
  const auto moved = there->attach(next);
  ASSERT_TRUE(moved) << moved.error().message();
  ASSERT_TRUE(there->detach(next));
}

TEST_F(HomeKindsTest, NoHomesNameIsTakenForOneOfOurs) {
  const auto homes = store(QuotaKind::kLoop, {16 * kMib, 0});
  int number = 1;
  for (const char* name : {"new.alice", "lock.n1.abcdef", "snap.x", "x.img", "alice"}) {
    const HomeSpec home = spec(number++, name);
    const auto attached = homes->attach(home);
    ASSERT_TRUE(attached) << name << ": " << attached.error().message();
    ASSERT_TRUE(homes->recover({home.desktop})) << name;
    EXPECT_EQ(homes->info("acme", name, false)->owner->holder, home.desktop) << name;
    ASSERT_TRUE(homes->detach(home)) << name;
    ASSERT_TRUE(homes->recover({})) << name;
  }
  const auto names = homes->homes_of("acme");
  ASSERT_TRUE(names);
  EXPECT_EQ(names->size(), 5U);
  for (const auto& name : *names) {
    EXPECT_EQ(homes->info("acme", name, false)->quota, QuotaKind::kLoop) << name;
    ASSERT_TRUE(homes->remove("acme", name)) << name;
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/homes/acme"));
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

TEST_F(HomeKindsTest, APlainHomeHasNoSnapshotsAndSaysWhatToUse) {
  const auto homes = store(QuotaKind::kNone, {});
  ASSERT_TRUE(
      homes->put("acme", "alice", false, me("fill"), [](int) -> Result<void> { return {}; }));
  const auto made = homes->snapshot("acme", "alice", "monday", me("snapshot"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, EOPNOTSUPP);
  EXPECT_THAT(made.error().context, HasSubstr("panal home backup"));
  EXPECT_EQ(homes->set_limit("acme", "alice", {kMib, 0}, me("quota")).error().code, EOPNOTSUPP);
  for (const char* name : {"", ".x", "-x", "a/b", "a b"})
    EXPECT_EQ(homes->snapshot("acme", "alice", name, me("snapshot")).error().code, EINVAL) << name;
}

}  // namespace
}  // namespace panal::storage

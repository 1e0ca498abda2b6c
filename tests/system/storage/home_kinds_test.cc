// Homes in files and plain ones: limits, locks, backups.
#include "tests/system/storage/home_kinds_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

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

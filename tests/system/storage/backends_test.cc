// What every backend must do, whatever it is made of.
#include <signal.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "tests/system/storage/backend_suite.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;

class EachBackend : public BackendSuite, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    if (!IsSkipped()) open_backend(GetParam());
  }

  /// Appends to a file as a user of the desktop; 0 or an errno.
  static int append(const RootSpec& desktop, unsigned user, const std::string& path) {
    return inside(desktop.ids, user, [&] {
      const int fd = ::open((desktop.mount_point + path).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
      return fd < 0 ? errno : (::write(fd, "!", 1) == 1 ? 0 : errno);
    });
  }
};

INSTANTIATE_TEST_SUITE_P(All, EachBackend,
                         ::testing::Values("overlay", "tmpfs", "bind", "copy", "copy-on-btrfs",
                                           "btrfs", "fuse-overlayfs", "unionfs-fuse", "lvm"),
                         [](const auto& one) {
                           std::string name = one.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

TEST_P(EachBackend, ShowsTheVersionWithTheDesktopsIds) {
  const RootSpec desktop = spec(1);
  const auto made = backend_->provision(desktop);
  ASSERT_TRUE(made) << made.error().message();
  const std::string& root = desktop.mount_point;
  EXPECT_EQ(read(root + "/etc/motd"), "hello");
  EXPECT_EQ(read(root + "/bin/tool"), "a program");
  EXPECT_EQ(stat_of(root + "/etc/motd").st_uid, desktop.ids.first);
  EXPECT_EQ(stat_of(root + "/etc/private").st_uid, desktop.ids.first + 1000);
  EXPECT_EQ(stat_of(root + "/etc/private").st_mode & 07777, 0600U);
  EXPECT_EQ(stat_of(root + "/usr/bin/tool").st_mode & 07777, 0755U);
  EXPECT_TRUE(S_ISLNK(stat_of(root + "/bin").st_mode));
  EXPECT_EQ(stat_of(root).st_mode & 07777, 0755U);
  EXPECT_EQ(stat_of(root).st_uid, desktop.ids.first);
  const auto destroyed = backend_->destroy(desktop);
  ASSERT_TRUE(destroyed) << destroyed.error().message();
  EXPECT_EQ(mounts(), 0);
  ASSERT_TRUE(backend_->destroy(desktop)) << "nothing mounted is not an error";
}

TEST_P(EachBackend, TakesWhatADesktopWritesAndNothingReachesTheVersion) {
  const RootSpec desktop = spec(1);
  const auto made = backend_->provision(desktop);
  ASSERT_TRUE(made) << made.error().message();
  const std::string& root = desktop.mount_point;
  EXPECT_EQ(inside(desktop.ids, 0, [&] { return create(root + "/etc/new"); }), 0);
  EXPECT_EQ(stat_of(root + "/etc/new").st_uid, desktop.ids.first);
  // A file only user 1000 may read: the backend's own credentials must suffice.
  EXPECT_EQ(append(desktop, 1000, "/etc/private"), 0);
  EXPECT_EQ(read(root + "/etc/private"), "of user 1000!");
  EXPECT_EQ(append(desktop, 1001, "/etc/private"), EACCES);
  // Root inside deletes, renames directories and changes owners.
  EXPECT_EQ(inside(desktop.ids, 0,
                   [&] {
                     if (::unlink((root + "/etc/motd").c_str()) != 0) return errno;
                     return ::chown((root + "/root").c_str(), 1000, 1000) != 0 ? errno : 0;
                   }),
            0);
  const int renamed = inside(desktop.ids, 0, [&] {
    return ::rename((root + "/home").c_str(), (root + "/house").c_str()) != 0 ? errno : 0;
  });
  // Unions in user space have no redirection; mv(1) copies then, as between disks.
  if (renamed != EXDEV || GetParam().find("fuse") == std::string::npos) {
    EXPECT_EQ(renamed, 0);
  }
  EXPECT_FALSE(std::filesystem::exists(root + "/etc/motd"));
  EXPECT_EQ(inside(desktop.ids, 0, [&] { return create(root + "/usr/bin/mine"); }),
            backend_->traits().writable_all ? 0 : EROFS);

  EXPECT_EQ(read(version_ + "/etc/private"), "of user 1000");
  EXPECT_TRUE(std::filesystem::exists(version_ + "/etc/motd"));
  EXPECT_TRUE(std::filesystem::exists(version_ + "/home"));
  EXPECT_FALSE(std::filesystem::exists(version_ + "/usr/bin/mine"));
  const auto destroyed = backend_->destroy(desktop);
  EXPECT_TRUE(destroyed) << destroyed.error().message();
}

TEST_P(EachBackend, EqualFilesOfAVersionAreWrittenToOneByOne) {
  if (GetParam() == "fuse-overlayfs")
    GTEST_SKIP() << "nothing is missing: it takes them for one, and no desktop gets it (choice.h)";
  // As hard-link checkouts have them.
  ASSERT_EQ(::link((version_ + "/etc/motd").c_str(), (version_ + "/etc/issue").c_str()), 0);
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_->provision(desktop));
  ASSERT_EQ(append(desktop, 0, "/etc/motd"), 0);
  EXPECT_EQ(read(desktop.mount_point + "/etc/motd"), "hello!");
  EXPECT_EQ(read(desktop.mount_point + "/etc/issue"), "hello");
  EXPECT_EQ(read(version_ + "/etc/issue"), "hello");
  ASSERT_TRUE(backend_->destroy(desktop));
}

TEST_P(EachBackend, IdsOfOthersCannotTouchARoot) {
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_->provision(desktop));
  const IdRange other{desktop.ids.first + 65536, 65536};
  // EOVERFLOW: an idmapped mount has no name for such an id.
  EXPECT_THAT(inside(other, 0, [&] { return create(desktop.mount_point + "/etc/x"); }),
              ::testing::AnyOf(EACCES, EOVERFLOW));
  EXPECT_EQ(inside(desktop.ids, 0,
                   [&] {
                     return ::mknod((desktop.mount_point + "/null").c_str(), S_IFCHR | 0666,
                                    makedev(1, 3)) == 0
                                ? 0
                                : errno;
                   }),
            EPERM);
  EXPECT_TRUE(backend_->destroy(desktop));
}

TEST_P(EachBackend, VolatileIsDiscardedAndPersistentIsKept) {
  for (const bool persistent : {false, true}) {
    const RootSpec desktop = spec(persistent ? 2 : 1, persistent);
    const auto made = backend_->provision(desktop);
    if (persistent && !backend_->traits().persistent) {
      ASSERT_FALSE(made);
      EXPECT_EQ(made.error().code, EOPNOTSUPP);
      EXPECT_EQ(mounts(), 0);
      continue;
    }
    ASSERT_TRUE(made) << made.error().message();
    ASSERT_EQ(inside(desktop.ids, 0, [&] { return create(desktop.mount_point + "/etc/mine"); }), 0);
    ASSERT_TRUE(backend_->destroy(desktop));
    const auto again = backend_->provision(desktop);
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(std::filesystem::exists(desktop.mount_point + "/etc/mine"), persistent);
    ASSERT_TRUE(backend_->destroy(desktop));
    EXPECT_EQ(mounts(), 0);
  }
}

TEST_P(EachBackend, PersistentMeansTheSameUnderAnotherIdRange) {
  if (!backend_->traits().persistent)
    GTEST_SKIP() << "nothing is missing: " << GetParam() << " keeps nothing";
  RootSpec desktop = spec(1, true);
  ASSERT_TRUE(backend_->provision(desktop));
  ASSERT_EQ(inside(desktop.ids, 0, [&] { return create(desktop.mount_point + "/etc/mine"); }), 0);
  ASSERT_EQ(append(desktop, 1000, "/etc/private"), 0);
  ASSERT_TRUE(backend_->destroy(desktop));
  desktop.ids.first += 10 * 65536;
  ASSERT_TRUE(backend_->provision(desktop));
  EXPECT_EQ(stat_of(desktop.mount_point + "/etc/mine").st_uid, desktop.ids.first);
  EXPECT_EQ(stat_of(desktop.mount_point + "/etc/private").st_uid, desktop.ids.first + 1000);
  EXPECT_EQ(append(desktop, 1000, "/etc/private"), 0);
  ASSERT_TRUE(backend_->destroy(desktop));
}

TEST_P(EachBackend, APersistentRootIsErasedForGood) {
  if (!backend_->traits().persistent)
    GTEST_SKIP() << "nothing is missing: " << GetParam() << " keeps nothing";
  const RootSpec desktop = spec(1, true);
  ASSERT_TRUE(backend_->provision(desktop));
  ASSERT_EQ(inside(desktop.ids, 0, [&] { return create(desktop.mount_point + "/etc/mine"); }), 0);
  const auto erased = backend_->erase(desktop);
  ASSERT_TRUE(erased) << erased.error().message();
  EXPECT_EQ(mounts(), 0);
  EXPECT_FALSE(std::filesystem::exists(desktop.upper_dir));
  ASSERT_TRUE(backend_->provision(desktop));
  EXPECT_FALSE(std::filesystem::exists(desktop.mount_point + "/etc/mine"));
  ASSERT_TRUE(backend_->destroy(desktop));
}

/// The version's files, all of them, as the desktop sees them.
void expect_whole(const RootSpec& desktop) {
  int lines = 0;
  for (int i = 0; i < 200; ++i)
    lines += std::filesystem::exists(desktop.mount_point + "/var/log/" + std::to_string(i)) ? 1 : 0;
  EXPECT_EQ(lines, 200);
  EXPECT_TRUE(std::filesystem::exists(desktop.mount_point + "/usr/share/big"));
  EXPECT_TRUE(std::filesystem::exists(desktop.mount_point + "/bin/tool"));
}

TEST_P(EachBackend, WhatAKilledStartLeftIsFoundByRecover) {
  // LVM's programs take long, and more moments show more.
  const std::vector<int> delays_ms = GetParam() == "lvm" ? std::vector<int>{50, 400, 1500}
                                                         : std::vector<int>{0, 1, 2, 4, 8, 16, 60};
  for (const bool persistent : {false, true}) {
    if (persistent && !backend_->traits().persistent) continue;
    const RootSpec desktop = spec(persistent ? 2 : 1, persistent);
    for (const int delay_ms : delays_ms) {
      SCOPED_TRACE((persistent ? "persistent, " : "volatile, ") + std::to_string(delay_ms) + " ms");
      const pid_t child = ::fork();
      if (child == 0) {
        if (backend_->provision(desktop)) (void)create(desktop.mount_point + "/etc/stale");
        for (;;) ::pause();
      }
      ::usleep(static_cast<useconds_t>(delay_ms) * 1000);
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
      const auto recovered = backend_->recover(scope());
      ASSERT_TRUE(recovered) << recovered.error().message();
      EXPECT_THAT(recovered->problems, ::testing::IsEmpty());
      EXPECT_EQ(mounts(), 0);
      const auto nothing = backend_->recover(scope());
      ASSERT_TRUE(nothing);
      EXPECT_EQ(nothing->unmounted + nothing->removed, 0U) << "once is enough";
      const auto again = backend_->provision(desktop);
      ASSERT_TRUE(again) << again.error().message();
      expect_whole(desktop);
      if (!persistent) {
        EXPECT_FALSE(std::filesystem::exists(desktop.mount_point + "/etc/stale"));
      }
      ASSERT_TRUE(backend_->destroy(desktop));
      EXPECT_EQ(mounts(), 0);
    }
  }
}

TEST_P(EachBackend, RecoverTouchesNothingOfDesktopsThatRun) {
  const RootSpec lives = spec(1);
  const RootSpec died = spec(2);
  ASSERT_TRUE(backend_->provision(lives));
  ASSERT_TRUE(backend_->provision(died));
  ASSERT_EQ(inside(lives.ids, 0, [&] { return create(lives.mount_point + "/etc/mine"); }), 0);
  const auto recovered = backend_->recover(scope({"d1"}));
  ASSERT_TRUE(recovered) << recovered.error().message();
  EXPECT_THAT(recovered->problems, ::testing::IsEmpty());
  EXPECT_GE(recovered->unmounted, 1U);
  EXPECT_FALSE(std::filesystem::exists(died.mount_point + "/etc/motd"));
  EXPECT_TRUE(std::filesystem::exists(lives.mount_point + "/etc/mine"));
  EXPECT_EQ(append(lives, 1000, "/etc/private"), 0) << "and it still takes writes";
  ASSERT_TRUE(backend_->destroy(lives));
  EXPECT_EQ(mounts(), 0);
}

TEST_P(EachBackend, RefusesWhatCannotBe) {
  RootSpec desktop = spec(1);
  desktop.version_root = base_ + "/images/icewm/7/root";
  const auto absent = backend_->provision(desktop);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ENOENT);
  EXPECT_THAT(absent.error().context, HasSubstr("icewm/7/root"));
  EXPECT_EQ(mounts(), 0);

  const RootSpec twice = spec(2);
  ASSERT_TRUE(backend_->provision(twice));
  const auto second = backend_->provision(twice);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EBUSY);
  EXPECT_TRUE(std::filesystem::exists(twice.mount_point + "/etc/motd")) << "the first still stands";
  ASSERT_TRUE(backend_->destroy(twice));

  RootSpec limited = spec(3);
  limited.limits.bytes = std::uint64_t{8} << 20U;
  const auto bounded = backend_->provision(limited);
  EXPECT_EQ(bounded.has_value(), backend_->traits().limits);
  ASSERT_TRUE(backend_->destroy(limited));
}

TEST_P(EachBackend, LaysLayersOverTheVersionOrSaysThatItCannot) {
  RootSpec desktop = spec(1);
  const std::string office = base_ + "/layers/office";
  const std::string site = base_ + "/layers/site";
  for (const auto& name : {office + "/usr/bin", site + "/etc"})
    std::filesystem::create_directories(name);
  write(office + "/usr/bin/writer", "a writer");
  write(site + "/etc/motd", "welcome to the site");
  write(office + "/etc-of-office", "");
  desktop.layers = {office, site};
  const auto made = backend_->provision(desktop);
  if (!backend_->traits().layers) {
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, EOPNOTSUPP);
    EXPECT_EQ(mounts(), 0);
    return;
  }
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(read(desktop.mount_point + "/usr/bin/writer"), "a writer");
  EXPECT_EQ(read(desktop.mount_point + "/usr/bin/tool"), "a program");
  EXPECT_EQ(read(desktop.mount_point + "/etc/motd"), "welcome to the site");
  EXPECT_EQ(inside(desktop.ids, 0,
                   [&] {
                     return ::unlink((desktop.mount_point + "/etc/motd").c_str()) == 0 ? 0 : errno;
                   }),
            0);
  EXPECT_FALSE(std::filesystem::exists(desktop.mount_point + "/etc/motd"))
      << "nor does the version's come through";
  EXPECT_EQ(read(site + "/etc/motd"), "welcome to the site");
  ASSERT_TRUE(backend_->destroy(desktop));
  EXPECT_EQ(mounts(), 0);

  desktop.layers = {office, base_ + "/layers/gone"};
  const auto absent = backend_->provision(desktop);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ENOENT);
  EXPECT_THAT(absent.error().context, HasSubstr("layers/gone"));
  desktop.layers.assign(9, office);
  const auto many = backend_->provision(desktop);
  if (!many) {
    EXPECT_EQ(many.error().code, EINVAL);
    EXPECT_EQ(mounts(), 0);
  }
  ASSERT_TRUE(backend_->destroy(desktop));
}

TEST_P(EachBackend, SharesPagesOrNotAsItSays) {
  const RootSpec one = spec(1);
  const RootSpec two = spec(2);
  ASSERT_TRUE(backend_->provision(one));
  ASSERT_TRUE(backend_->provision(two));
  const std::string file = "/usr/share/big";
  for (const std::string& root : {one.mount_point, two.mount_point, version_})
    drop_pages(root + file);
  ASSERT_EQ(cached_pages(two.mount_point + file), 0);
  ASSERT_EQ(read(one.mount_point + file).size(), kBigBytes);
  const long pages = static_cast<long>(kBigBytes / 4096);
  // unionfs-fuse lets the kernel forget a file's pages whenever it is opened.
  if (GetParam() != "unionfs-fuse") {
    EXPECT_EQ(cached_pages(one.mount_point + file), pages);
  }
  EXPECT_EQ(cached_pages(two.mount_point + file), backend_->traits().shares_pages ? pages : 0);
  ASSERT_TRUE(backend_->destroy(one));
  ASSERT_TRUE(backend_->destroy(two));
}

TEST_P(EachBackend, CountsWhatADesktopHasWritten) {
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_->provision(desktop));
  sync_all(desktop.mount_point);
  const auto before = backend_->usage(desktop);
  ASSERT_TRUE(before) << before.error().message();
  constexpr std::size_t kWritten = std::size_t{1} << 20U;
  ASSERT_EQ(
      inside(desktop.ids, 0,
             [&] {
               for (int i = 0; i < 10; ++i)
                 if (const int error = create(desktop.mount_point + "/etc/" + std::to_string(i)))
                   return error;
               const int fd =
                   ::open((desktop.mount_point + "/etc/0").c_str(), O_WRONLY | O_CLOEXEC);
               const std::string text(kWritten, 'y');
               return ::write(fd, text.data(), kWritten) == static_cast<ssize_t>(kWritten) ? 0
                                                                                           : errno;
             }),
      0);
  sync_all(desktop.mount_point);
  const auto after = backend_->usage(desktop);
  ASSERT_TRUE(after) << after.error().message();
  EXPECT_GE(after->bytes, before->bytes + kWritten);
  EXPECT_LT(after->bytes, before->bytes + 4 * kWritten);
  EXPECT_GE(after->inodes, before->inodes + 10);
  ASSERT_TRUE(backend_->destroy(desktop));
}

TEST_P(EachBackend, DiscardsATreeDeeperThanAnyPath) {
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_->provision(desktop));
  ASSERT_EQ(
      inside(desktop.ids, 0,
             [&] {
               if (::chdir((desktop.mount_point + "/etc").c_str()) != 0) return 1;
               // Some in user space end at 1,024 bytes of path.
               for (int i = 0; i < 600; ++i)
                 if (::mkdir("deeper-and-deeper", 0700) != 0 || ::chdir("deeper-and-deeper") != 0)
                   return i < 40 ? 2 : 0;
               return 0;
             }),
      0);
  const auto destroyed = backend_->destroy(desktop);
  ASSERT_TRUE(destroyed) << destroyed.error().message();
  const auto again = backend_->provision(desktop);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_FALSE(std::filesystem::exists(desktop.mount_point + "/etc/deeper-and-deeper"));
  ASSERT_TRUE(backend_->destroy(desktop));
}

}  // namespace
}  // namespace panal::storage

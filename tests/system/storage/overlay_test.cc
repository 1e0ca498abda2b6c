#include "storage/compose/overlay/overlay.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <vector>

#include "engine/base/mount.h"
#include "engine/base/user_namespace.h"
#include "storage/quota/loop_mount.h"
#include "tests/system/storage/page_cache.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;

class OverlayTest : public StorageTest {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    version_ = make_dir("images/icewm/1/root");
    ASSERT_EQ(::chmod((dir_ + "/images").c_str(), 0700), 0);
    make_dir("images/icewm/1/root/etc");
    make_dir("images/icewm/1/root/home");
    write(version_ + "/etc/motd", "hello");
    write(version_ + "/etc/private", "of user 1000");
    ASSERT_EQ(::chown((version_ + "/etc/private").c_str(), 1000, 1000), 0);
    ASSERT_EQ(::chmod((version_ + "/etc/private").c_str(), 0600), 0);
  }

  RootSpec spec(int number, bool persistent = false) {
    RootSpec spec;
    spec.version_root = version_;
    const std::string name = "d" + std::to_string(number);
    spec.upper_dir = dir_ + "/state/" + name + "/upper";
    make_dir("state/" + name);
    spec.mount_point = make_mount_point("run/" + name + "/root");
    spec.ids = {1'000'000 + static_cast<std::uint32_t>(number) * 65536, 65536};
    spec.persistent = persistent;
    return spec;
  }

  int mounts_below() {
    std::ifstream table("/proc/self/mountinfo");
    int count = 0;
    for (std::string line; std::getline(table, line);)
      if (line.find(dir_) != std::string::npos) ++count;
    return count;
  }

  std::string version_;
  OverlayBackend backend_;
};

int create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
  return fd < 0 ? errno : 0;
}

TEST_F(OverlayTest, MappedRootWritesCanonicalIds) {
  const RootSpec desktop = spec(1);
  const auto made = backend_.provision(desktop);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(mounts_below(), 1) << "helper mounts were left";
  EXPECT_EQ(stat_of(desktop.mount_point + "/etc/motd").st_uid, desktop.ids.first);
  EXPECT_EQ(stat_of(desktop.mount_point + "/etc/private").st_uid, desktop.ids.first + 1000);

  EXPECT_EQ(inside(desktop.ids, 0, [&] { return create(desktop.mount_point + "/etc/new"); }), 0);
  const auto on_disk = stat_of(desktop.upper_dir + "/volatile/upper/etc/new");
  EXPECT_EQ(on_disk.st_uid, 0U);
  EXPECT_EQ(on_disk.st_gid, 0U);

  // A copy up of a file only user 1000 may read: the overlay's own credentials must suffice.
  EXPECT_EQ(inside(desktop.ids, 1000,
                   [&] {
                     const int fd = ::open((desktop.mount_point + "/etc/private").c_str(),
                                           O_WRONLY | O_APPEND);
                     return fd < 0 ? errno : (::write(fd, "!", 1) == 1 ? 0 : errno);
                   }),
            0);
  EXPECT_EQ(stat_of(desktop.upper_dir + "/volatile/upper/etc/private").st_uid, 1000U);
  EXPECT_EQ(read(desktop.mount_point + "/etc/private"), "of user 1000!");
  EXPECT_EQ(read(version_ + "/etc/private"), "of user 1000") << "the version was written to";

  // Root inside deletes, renames directories and changes owners; nothing of it reaches the lower.
  EXPECT_EQ(inside(desktop.ids, 0,
                   [&] {
                     const std::string& root = desktop.mount_point;
                     if (::unlink((root + "/etc/motd").c_str()) != 0) return errno;
                     if (::rename((root + "/home").c_str(), (root + "/house").c_str()) != 0)
                       return errno;
                     return ::chown((root + "/house").c_str(), 1000, 1000) != 0 ? errno : 0;
                   }),
            0);
  EXPECT_TRUE(std::filesystem::exists(version_ + "/etc/motd"));

  const auto usage = backend_.usage(desktop);
  ASSERT_TRUE(usage);
  EXPECT_GE(usage->inodes, 3U);
  ASSERT_TRUE(backend_.destroy(desktop));
  EXPECT_EQ(mounts_below(), 0);
}

TEST_F(OverlayTest, IdsOfOthersCannotTouchARoot) {
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_.provision(desktop));
  const IdRange other{desktop.ids.first + 65536, 65536};
  EXPECT_EQ(inside(other, 0, [&] { return create(desktop.mount_point + "/etc/x"); }), EACCES);
  EXPECT_EQ(inside(desktop.ids, 0,
                   [&] {
                     return ::mknod((desktop.mount_point + "/null").c_str(), S_IFCHR | 0666,
                                    makedev(1, 3)) == 0
                                ? 0
                                : errno;
                   }),
            EPERM);
}

TEST_F(OverlayTest, VolatileIsDiscardedAndPersistentIsKept) {
  for (const bool persistent : {false, true}) {
    const RootSpec desktop = spec(persistent ? 2 : 1, persistent);
    ASSERT_TRUE(backend_.provision(desktop));
    ASSERT_EQ(inside(desktop.ids, 0, [&] { return create(desktop.mount_point + "/etc/mine"); }), 0);
    ASSERT_TRUE(backend_.destroy(desktop));
    const auto again = backend_.provision(desktop);
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(std::filesystem::exists(desktop.mount_point + "/etc/mine"), persistent);
    ASSERT_TRUE(backend_.destroy(desktop));
    ASSERT_TRUE(backend_.destroy(desktop)) << "nothing mounted is not an error";
  }
}

TEST_F(OverlayTest, AFullDiskFailsAStartWithThePathAndKeepsNoUpper) {
  RootSpec desktop = spec(1);
  const std::string small = make_mount_point("small");
  ASSERT_EQ(::mount("small", small.c_str(), "tmpfs", 0, "nr_inodes=64,size=4m"), 0);
  {
    const auto names = UserNamespace::create(desktop.ids.first, desktop.ids.count);
    ASSERT_TRUE(names) << names.error().message();
    const auto mapped =
        mount::bind_idmapped(small, make_mount_point("mapped"), MOUNT_ATTR_NODEV, names->fd());
    if (!mapped && mapped.error().code == EINVAL)
      GTEST_SKIP() << "nothing is missing: this kernel maps no ids of a tmpfs (6.3 does)";
    ASSERT_TRUE(mapped) << mapped.error().message();
    ASSERT_TRUE(mount::detach(dir_ + "/mapped"));
  }
  desktop.upper_dir = small + "/upper";
  const auto fill = [&small] {
    for (int i = 0; create(small + "/" + std::to_string(i)) == 0; ++i) {
    }
  };
  ASSERT_TRUE(backend_.provision(desktop));
  // As its user does; and then it is to go.
  ASSERT_EQ(
      inside(desktop.ids, 0,
             [&] {
               for (int i = 0;; ++i)
                 if (const int error = create(desktop.mount_point + "/etc/f" + std::to_string(i)))
                   return error;
             }),
      ENOSPC);
  const auto destroyed = backend_.destroy(desktop);
  EXPECT_TRUE(destroyed) << destroyed.error().message();
  EXPECT_TRUE(std::filesystem::is_empty(desktop.upper_dir));

  fill();
  const auto made = backend_.provision(desktop);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ENOSPC);
  EXPECT_THAT(made.error().message(), HasSubstr(desktop.upper_dir));
  EXPECT_TRUE(std::filesystem::is_empty(desktop.upper_dir));
  EXPECT_EQ(mounts_below(), 1) << "the small disk itself";
}

TEST_F(OverlayTest, PersistentUpperMeansTheSameUnderAnotherIdRange) {
  RootSpec desktop = spec(1, true);
  ASSERT_TRUE(backend_.provision(desktop));
  ASSERT_EQ(inside(desktop.ids, 0, [&] { return create(desktop.mount_point + "/etc/mine"); }), 0);
  ASSERT_TRUE(backend_.destroy(desktop));
  desktop.ids.first += 10 * 65536;
  ASSERT_TRUE(backend_.provision(desktop));
  EXPECT_EQ(stat_of(desktop.mount_point + "/etc/mine").st_uid, desktop.ids.first);
  ASSERT_TRUE(backend_.destroy(desktop));
}

TEST_F(OverlayTest, AKilledDesktopLeavesNothingForTheNextStart) {
  const RootSpec desktop = spec(1);
  // A panald that is killed between provision() and anything else, at several moments.
  for (const int delay_us : {0, 300, 1000, 2000, 4000, 8000}) {
    const pid_t child = ::fork();
    if (child == 0) {
      (void)backend_.provision(desktop);
      (void)create(desktop.mount_point + "/etc/stale");
      for (;;) ::pause();
    }
    ::usleep(static_cast<useconds_t>(delay_us));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    // What a new panald does with a desktop that does not run.
    ASSERT_TRUE(backend_.destroy(desktop));
    EXPECT_EQ(mounts_below(), 0) << delay_us;
    const auto again = backend_.provision(desktop);
    ASSERT_TRUE(again) << delay_us << ": " << again.error().message();
    EXPECT_FALSE(std::filesystem::exists(desktop.mount_point + "/etc/stale"));
    ASSERT_TRUE(backend_.destroy(desktop));
    EXPECT_TRUE(std::filesystem::is_empty(desktop.upper_dir));
  }
}

TEST_F(OverlayTest, RefusesWhatCannotBe) {
  RootSpec desktop = spec(1);
  desktop.version_root = dir_ + "/images/icewm/7/root";
  const auto absent = backend_.provision(desktop);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ENOENT);
  EXPECT_THAT(absent.error().context, HasSubstr("icewm/7/root"));
  EXPECT_EQ(mounts_below(), 0);

  const RootSpec twice = spec(2);
  ASSERT_TRUE(backend_.provision(twice));
  const auto second = backend_.provision(twice);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EBUSY);
  EXPECT_TRUE(std::filesystem::exists(twice.mount_point + "/etc/motd"));
}

TEST_F(OverlayTest, TwoDesktopsShareThePageCache) {
  constexpr std::size_t kBytes = std::size_t{16} << 20;
  write(version_ + "/big", std::string(kBytes, 'x'));
  const UniqueFd fd(::open((version_ + "/big").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::fsync(fd.get()), 0);
  ASSERT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  ASSERT_EQ(cached_pages(version_ + "/big"), 0);

  const RootSpec one = spec(1);
  const RootSpec two = spec(2);
  ASSERT_TRUE(backend_.provision(one));
  ASSERT_TRUE(backend_.provision(two));
  ASSERT_EQ(read(one.mount_point + "/big").size(), kBytes);
  const long pages = static_cast<long>(kBytes / 4096);
  // What the first read is there for the second, before it has read anything: the same pages.
  EXPECT_EQ(cached_pages(two.mount_point + "/big"), pages);
  EXPECT_EQ(cached_pages(version_ + "/big"), pages);
  ASSERT_TRUE(backend_.destroy(one));
  ASSERT_TRUE(backend_.destroy(two));
}

/// The kernel says "read-only" when there is no room for what it makes itself.
TEST_F(OverlayTest, SaysWhenTheDiskHasNoRoomForOneMoreFile) {
  const RootSpec desktop = [this] {
    RootSpec made = spec(1);
    made.upper_dir = dir_ + "/small/d1/upper";
    return made;
  }();
  ASSERT_TRUE(loop_file::make(dir_ + "/small.disk", {loop_file::kLeastBytes, 64}));
  const auto small = loop_file::open(dir_ + "/small.disk");
  ASSERT_TRUE(small) << small.error().message();
  ASSERT_TRUE(mount::attach(small->get(), make_mount_point("small")));
  make_dir("small/d1");
  int files = 0;
  const auto filler = [&](int number) { return dir_ + "/small/filler" + std::to_string(number); };
  while (UniqueFd(::open(filler(files).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)))
    ++files;
  bool failed = false;
  for (;;) {
    const auto made = backend_.provision(desktop);
    if (made) break;
    failed = true;
    EXPECT_EQ(made.error().code, ENOSPC) << made.error().message();
    EXPECT_EQ(mounts_below(), 1);
    ASSERT_GT(files, 0);
    std::filesystem::remove(filler(--files));
  }
  EXPECT_TRUE(failed);
  ASSERT_TRUE(backend_.destroy(desktop));
}

TEST_F(OverlayTest, DiscardsATreeDeeperThanAnyPath) {
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_.provision(desktop));
  ASSERT_EQ(
      inside(desktop.ids, 0,
             [&] {
               if (::chdir(desktop.mount_point.c_str()) != 0) return 1;
               for (int i = 0; i < 600; ++i)
                 if (::mkdir("deeper-and-deeper", 0700) != 0 || ::chdir("deeper-and-deeper") != 0)
                   return 2;
               return create("bottom");
             }),
      0);
  const auto destroyed = backend_.destroy(desktop);
  ASSERT_TRUE(destroyed) << destroyed.error().message();
  EXPECT_TRUE(std::filesystem::is_empty(desktop.upper_dir));
}

}  // namespace
}  // namespace panal::storage

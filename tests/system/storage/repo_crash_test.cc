/// kill -9 before every single call that changes a disk, and a disk that is full at every point:
/// what was whole stays whole, what was begun is found and ended. On a tmpfs: nothing here is about
/// what a disk does with a sync, and there are hundreds of runs.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "bench/faults/fault_point.h"
#include "storage/image/image_store.h"
#include "storage/repo/incoming.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

using ::testing::AnyOf;
using ::testing::IsEmpty;

constexpr unsigned kMostCalls = 5000;

class RepoCrashTest : public StorageTest {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    if (IsSkipped()) return;
    mount_small("disk", "size=200m,mode=0755");
  }

  void mount_small(const std::string& name, const std::string& options) {
    disk_ = make_mount_point(name);
    ASSERT_EQ(::mount("tmpfs", disk_.c_str(), "tmpfs", 0, options.c_str()), 0);
  }

  [[nodiscard]] std::string images() const { return disk_ + "/images"; }

  static void make_tree(const std::string& root, const std::string& salt) {
    std::filesystem::create_directories(root + "/usr/lib/deep");
    std::filesystem::create_directories(root + "/etc");
    write(root + "/usr/lib/same", std::string(20'000, 's'));
    write(root + "/usr/lib/deep/other", salt + std::string(9'000, 'o'));
    write(root + "/etc/motd", "motd " + salt);
    write(root + "/etc/empty", "");
    std::filesystem::create_symlink("same", root + "/usr/lib/link");
    ASSERT_EQ(::chmod((root + "/usr/lib/same").c_str(), 04755), 0);
    ASSERT_EQ(::chown((root + "/etc/motd").c_str(), 1000, 100), 0);
  }

  static VersionManifest manifest() {
    VersionManifest made;
    made.image = "icewm";
    made.session = {"icewm-session"};
    return made;
  }

  /// 0: a version was made.
  int build(const std::string& salt) const {
    ImageStore store(images());
    const auto staging = store.new_staging("icewm");
    if (!staging) return staging.error().code;
    make_tree(*staging + "/root", salt);
    const auto made = store.commit(*staging, manifest());
    if (made) return 0;
    (void)store.discard_staging(*staging);
    return made.error().code;
  }

  /// What must hold whatever happened: all listed versions are whole, and nothing is left over.
  void expect_sound(const std::string& when) {
    ImageStore store(images());
    const auto before = store.list();
    ASSERT_TRUE(before) << when << ": " << before.error().message();
    const auto first_look = store.verify();
    ASSERT_TRUE(first_look) << when << ": " << first_look.error().message();
    ASSERT_THAT(first_look->damages, IsEmpty()) << when << ": " << first_look->damages[0].what;
    const auto collected = store.gc();
    ASSERT_TRUE(collected) << when << ": " << collected.error().message();
    const auto second_look = store.verify();
    ASSERT_TRUE(second_look) << when;
    ASSERT_THAT(second_look->damages, IsEmpty()) << when << ": " << second_look->damages[0].what;
    ASSERT_THAT(entries(images() + "/.staging"), IsEmpty()) << when;
    ASSERT_LE(entries(images() + "/.repo/tmp").size(), 1U) << when;  // "cache"
    const auto after = store.list();
    ASSERT_TRUE(after) << when;
    ASSERT_GE(after->size(), before->size()) << when;
    const auto log = store.repository()->log();
    ASSERT_TRUE(log) << when;
    std::vector<std::string> named;
    std::vector<std::string> listed;
    for (const auto& version : *log) named.push_back(version.version);
    for (const auto& version : *after)
      if (!version.commit.empty()) listed.push_back(version.version);
    ASSERT_EQ(named, listed) << when << ": names and trees agree";
  }

  static std::vector<std::string> entries(const std::string& dir) {
    std::vector<std::string> found;
    if (!std::filesystem::exists(dir)) return found;
    for (const auto& entry : std::filesystem::directory_iterator(dir))
      found.push_back(entry.path().filename());
    return found;
  }

  /// Without the reserve that a repository leaves on a disk: it would refuse before the disk does.
  void make_repository_without_reserve() {
    ASSERT_TRUE(ImageStore(images()).repository());
    const std::string file = images() + "/.repo/config";
    std::string config = read(file);
    const std::string reserve = "min-free-space-size=64MB";
    const auto at = config.find(reserve);
    ASSERT_NE(at, std::string::npos) << config;
    write(file, config.replace(at, reserve.size(), "min-free-space-percent=0"));
  }

  /// Takes the disk but for so many bytes.
  void fill_but(std::uint64_t spare) {
    struct statvfs disk{};
    ASSERT_EQ(::statvfs(disk_.c_str(), &disk), 0);
    const std::uint64_t free_bytes = disk.f_bfree * disk.f_bsize;
    const UniqueFd fd(
        ::open((disk_ + "/filler").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd);
    if (free_bytes <= spare) return;
    ASSERT_EQ(::posix_fallocate(fd.get(), 0, static_cast<off_t>(free_bytes - spare)), 0);
  }

  /// Runs `work`, after `prepare`, once for each moment at which it can be killed.
  void kill_everywhere(const std::function<void()>& prepare, const std::function<int()>& work) {
    unsigned nth = 1;
    for (; nth < kMostCalls; ++nth) {
      prepare();
      if (HasFatalFailure()) return;
      const auto run = bench::run_killed_before(nth, work);
      const std::string when =
          "killed before change " + std::to_string(nth) + ", call " + std::to_string(run.call);
      ASSERT_NO_FATAL_FAILURE(expect_sound(when));
      if (!run.finished) continue;
      EXPECT_EQ(run.status, 0);
      break;
    }
    EXPECT_GT(nth, 10U) << "hardly a call was seen";
    RecordProperty("moments", static_cast<int>(nth));
  }

  std::string disk_;
};

TEST_F(RepoCrashTest, ACommitMayBeKilledAtEveryChange) {
  ASSERT_EQ(build("first"), 0);
  unsigned round = 0;
  kill_everywhere([&] { ++round; }, [&] { return build("round " + std::to_string(round)); });
}

TEST_F(RepoCrashTest, TheFirstCommitMayBeKilledAtEveryChange) {
  kill_everywhere([&] { ASSERT_TRUE(remove_tree(images())); }, [&] { return build("first"); });
}

TEST_F(RepoCrashTest, ARemovalMayBeKilledAtEveryChange) {
  ASSERT_EQ(build("stays"), 0);
  std::string doomed;
  kill_everywhere(
      [&] {
        ImageStore store(images());
        if (!doomed.empty()) {
          EXPECT_THAT(store.list()->size(), AnyOf(1U, 2U));
          (void)store.remove("icewm", doomed);
        }
        ASSERT_EQ(build("goes"), 0);
        doomed = store.list()->front().version;
      },
      [&] {
        ImageStore store(images());
        const auto removed = store.remove("icewm", doomed);
        return removed ? 0 : removed.error().code;
      });
}

TEST_F(RepoCrashTest, GcMayBeKilledAtEveryChange) {
  ASSERT_EQ(build("stays"), 0);
  kill_everywhere(
      [&] {
        ASSERT_EQ(build("goes"), 0);
        ImageStore store(images());
        ASSERT_TRUE(store.remove("icewm", store.list()->front().version));
      },
      [&] {
        const auto collected = ImageStore(images()).gc();
        return collected ? 0 : collected.error().code;
      });
}

TEST_F(RepoCrashTest, AnAdoptionMayBeKilledAtEveryChange) {
  const std::string version = "2026.01.01-1";
  const std::string dir = images() + "/icewm/" + version;
  ASSERT_EQ(build("other"), 0);
  kill_everywhere(
      [&] {
        ImageStore store(images());
        if (store.find("icewm", version)) {
          EXPECT_EQ(read(dir + "/root/etc/motd"), "motd old");
          ASSERT_TRUE(store.remove("icewm", version));
        }
        make_tree(dir + "/root", "old");
        VersionManifest made = manifest();
        made.version = version;
        write(dir + "/manifest.json", print_manifest(made));
      },
      [&] {
        const auto adopted = ImageStore(images()).adopt("icewm", version);
        return adopted ? 0 : adopted.error().code;
      });
}

TEST_F(RepoCrashTest, APullMayBeKilledAtEveryChange) {
  std::string checksum;
  {
    auto source = Repository::open_or_create(disk_ + "/source", RepositoryMode::kArchive);
    ASSERT_TRUE(source);
    make_tree(disk_ + "/tree", "pulled");
    CommitSpec spec;
    spec.root = disk_ + "/tree";
    spec.manifest = manifest();
    spec.manifest.version = "9";
    const auto made = source->commit(spec);
    ASSERT_TRUE(made) << made.error().message();
    checksum = *made;
  }
  ASSERT_EQ(build("other"), 0);
  kill_everywhere(
      [&] {
        ImageStore store(images());
        (void)store.remove("icewm", "9");
        ASSERT_TRUE(store.gc());
      },
      [&] {
        ImageStore store(images());
        const auto source = Repository::open(disk_ + "/source");
        auto repository = store.repository();
        if (!source || !repository) return 1;
        if (const auto copied = repository->copy_from(*source, checksum); !copied)
          return copied.error().code;
        const auto made = store.materialise(checksum);
        return made ? 0 : made.error().code;
      });
}

TEST_F(RepoCrashTest, ARepairMayBeKilledAtEveryChange) {
  ASSERT_EQ(build("x"), 0);
  ImageStore store(images());
  const auto version = store.list()->front();
  auto archive = Repository::open_or_create(disk_ + "/archive", RepositoryMode::kArchive);
  ASSERT_TRUE(archive);
  ASSERT_TRUE(archive->copy_from(*store.repository(), version.commit));
  const std::string file = store.root_of("icewm", version.version) + "/usr/lib/same";
  const auto damage = [&] {
    const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(fd);
    ASSERT_EQ(::pwrite(fd.get(), "damaged", 7, 100), 7);
  };
  unsigned nth = 1;
  for (; nth < kMostCalls; ++nth) {
    damage();
    const auto run = bench::run_killed_before(nth, [&] {
      ImageStore theirs(images());
      const auto report = theirs.verify();
      if (!report) return 1;
      const auto left = theirs.repair(report->damages, [&](const ObjectName& object) {
        return archive->archive_object(object);
      });
      return left && left->empty() ? 0 : 2;
    });
    // The next repair brings it to its end.
    ASSERT_TRUE(store.gc());
    const auto report = store.verify();
    ASSERT_TRUE(report);
    const auto left = store.repair(
        report->damages, [&](const ObjectName& object) { return archive->archive_object(object); });
    ASSERT_TRUE(left) << left.error().message();
    ASSERT_THAT(*left, IsEmpty());
    ASSERT_NO_FATAL_FAILURE(expect_sound("repair, change " + std::to_string(nth)));
    ASSERT_EQ(read(file), std::string(20'000, 's'));
    if (!run.finished) continue;
    EXPECT_EQ(run.status, 0);
    break;
  }
  EXPECT_GT(nth, 10U);
}

/// Free bytes from none to more than enough; metadata is what comes last and lies deepest.
TEST_F(RepoCrashTest, AFullDiskAtEveryPointHurtsNothing) {
  ASSERT_NO_FATAL_FAILURE(mount_small("small", "size=40m,mode=0755"));
  ASSERT_NO_FATAL_FAILURE(make_repository_without_reserve());
  ASSERT_EQ(build("first"), 0);
  bool failed = false;
  bool succeeded = false;
  for (std::uint64_t spare = 0; spare <= 600'000; spare += 8192) {
    ImageStore store(images());
    const auto staging = store.new_staging("icewm");
    ASSERT_TRUE(staging);
    make_tree(*staging + "/root", "spare " + std::to_string(spare));
    ASSERT_NO_FATAL_FAILURE(fill_but(spare));
    const auto made = store.commit(*staging, manifest());
    const std::string when = std::to_string(spare) + " bytes to spare";
    if (!made) {
      failed = true;
      EXPECT_THAT(made.error().code, AnyOf(ENOSPC, EDQUOT)) << when << made.error().message();
      (void)store.discard_staging(*staging);
    } else {
      succeeded = true;
    }
    const auto look = store.verify();
    ASSERT_TRUE(look) << when << ": " << look.error().message();
    ASSERT_THAT(look->damages, IsEmpty()) << when << ": " << look->damages[0].what;
    std::filesystem::remove(disk_ + "/filler");
    ASSERT_NO_FATAL_FAILURE(expect_sound(when));
  }
  EXPECT_TRUE(failed);
  EXPECT_TRUE(succeeded);
}

/// A pulled version that has no tree yet must not keep a full disk full.
TEST_F(RepoCrashTest, GcNeedsNoSpace) {
  auto source = Repository::open_or_create(disk_ + "/source", RepositoryMode::kArchive);
  ASSERT_TRUE(source);
  const std::string tree = disk_ + "/tree";
  ASSERT_NO_FATAL_FAILURE(mount_small("small", "size=40m,mode=0755"));
  ASSERT_NO_FATAL_FAILURE(make_repository_without_reserve());
  std::string checksum;
  {
    make_tree(tree, "pulled");
    CommitSpec spec;
    spec.root = tree;
    spec.manifest = manifest();
    spec.manifest.version = "9";
    const auto made = source->commit(spec);
    ASSERT_TRUE(made) << made.error().message();
    checksum = *made;
    ASSERT_TRUE(ImageStore(images()).repository()->copy_from(*source, checksum));
  }
  ASSERT_EQ(build("goes"), 0);
  ImageStore store(images());
  ASSERT_TRUE(store.remove("icewm", store.list()->front().version));
  ASSERT_NO_FATAL_FAILURE(fill_but(0));
  const auto collected = store.gc();
  ASSERT_TRUE(collected) << collected.error().message();
  EXPECT_GT(collected->objects, 0U);
  std::filesystem::remove(disk_ + "/filler");
  ASSERT_TRUE(store.recover());
  EXPECT_TRUE(store.find("icewm", "9")) << "and it gets its tree when there is room";
  ASSERT_NO_FATAL_FAILURE(expect_sound("full disk"));
}

TEST_F(RepoCrashTest, NoInodesLeftHurtsNothing) {
  ASSERT_NO_FATAL_FAILURE(mount_small("few", "size=100m,nr_inodes=900,mode=0755"));
  ASSERT_NO_FATAL_FAILURE(make_repository_without_reserve());
  ASSERT_EQ(build("first"), 0);
  bool failed = false;
  bool succeeded = false;
  for (unsigned spare = 0; spare <= 120; spare += 3) {
    ImageStore store(images());
    const auto staging = store.new_staging("icewm");
    ASSERT_TRUE(staging);
    make_tree(*staging + "/root", "spare " + std::to_string(spare));
    std::filesystem::create_directory(disk_ + "/filler");
    std::vector<std::string> taken;
    for (unsigned i = 0;; ++i) {
      taken.push_back(disk_ + "/filler/" + std::to_string(i));
      const UniqueFd fd(::open(taken.back().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      if (fd) continue;
      taken.pop_back();
      break;
    }
    for (unsigned i = 0; i < spare && !taken.empty(); ++i) {
      std::filesystem::remove(taken.back());
      taken.pop_back();
    }
    const auto made = store.commit(*staging, manifest());
    const std::string when = std::to_string(spare) + " inodes to spare";
    if (!made) {
      failed = true;
      EXPECT_EQ(made.error().code, ENOSPC) << when << ": " << made.error().message();
      (void)store.discard_staging(*staging);
    } else {
      succeeded = true;
      ASSERT_TRUE(store.remove("icewm", made->version)) << when;
    }
    ASSERT_TRUE(remove_tree(disk_ + "/filler"));
    ASSERT_NO_FATAL_FAILURE(expect_sound(when));
  }
  EXPECT_TRUE(failed);
  EXPECT_TRUE(succeeded);
}

}  // namespace
}  // namespace panal::storage

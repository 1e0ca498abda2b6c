/// What of the repository needs root: other owners, device nodes, capabilities, the page cache.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <random>

#include "storage/compose/overlay/overlay.h"
#include "storage/image/image_store.h"
#include "tests/system/storage/page_cache.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RepoSystemTest : public StorageTest {
 protected:
  [[nodiscard]] std::string images() const { return dir_ + "/images"; }

  static VersionManifest manifest() {
    VersionManifest made;
    made.image = "icewm";
    return made;
  }

  Result<VersionManifest> commit(const std::function<void(const std::string&)>& fill,
                                 bool file_capabilities = false) {
    ImageStore store(images());
    PANAL_ASSIGN(const std::string staging, store.new_staging("icewm"));
    std::filesystem::create_directories(staging + "/root/usr/bin");
    fill(staging + "/root");
    return store.commit(staging, manifest(), file_capabilities);
  }

  [[nodiscard]] std::string root_of(const VersionManifest& version) const {
    return ImageStore(images()).root_of(version.image, version.version);
  }
};

TEST_F(RepoSystemTest, OwnersAndModesAreKept) {
  const auto made = commit([](const std::string& root) {
    write(root + "/usr/bin/sudo", "#");
    EXPECT_EQ(::chown((root + "/usr/bin/sudo").c_str(), 0, 27), 0);
    EXPECT_EQ(::chmod((root + "/usr/bin/sudo").c_str(), 06755), 0);
    std::filesystem::create_directories(root + "/home/user");
    EXPECT_EQ(::chown((root + "/home/user").c_str(), 1000, 65535), 0);
    EXPECT_EQ(::chmod((root + "/home/user").c_str(), 02770), 0);
    std::filesystem::create_symlink("sudo", root + "/usr/bin/su");
    EXPECT_EQ(::lchown((root + "/usr/bin/su").c_str(), 33, 33), 0);
  });
  ASSERT_TRUE(made) << made.error().message();
  const std::string root = root_of(*made);
  EXPECT_EQ(stat_of(root + "/usr/bin/sudo").st_gid, 27U);
  EXPECT_EQ(stat_of(root + "/usr/bin/sudo").st_mode & 07777U, 06755U);
  EXPECT_EQ(stat_of(root + "/home/user").st_uid, 1000U);
  EXPECT_EQ(stat_of(root + "/home/user").st_gid, 65535U);
  EXPECT_EQ(stat_of(root + "/home/user").st_mode & 07777U, 02770U);
  EXPECT_EQ(stat_of(root + "/usr/bin/su").st_uid, 33U);
  EXPECT_THAT(ImageStore(images()).verify()->damages, IsEmpty());
}

TEST_F(RepoSystemTest, DevicesAndForeignOwnersAreRefused) {
  const auto device = commit([](const std::string& root) {
    EXPECT_EQ(::mknod((root + "/usr/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  });
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code, EPERM);
  EXPECT_THAT(device.error().context, HasSubstr("/usr/null is a device node"));
  const auto foreign = commit([](const std::string& root) {
    write(root + "/f", "f");
    EXPECT_EQ(::chown((root + "/f").c_str(), 100'000, 0), 0);
  });
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ERANGE);
  EXPECT_THAT(foreign.error().context, HasSubstr("/f belongs to user 100000"));
  const auto acl = commit([](const std::string& root) {
    write(root + "/f", "f");
    EXPECT_EQ(::setxattr((root + "/f").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  });
  ASSERT_FALSE(acl);
  EXPECT_THAT(acl.error().context, HasSubstr("trusted.overlay.opaque"));
}

TEST_F(RepoSystemTest, CapabilitiesOnlyOfWhatWeBuilt) {
  // VFS_CAP_REVISION_2, effective, cap_net_raw; little endian.
  const unsigned char capability[20] = {1, 0, 0, 2, 0, 0x20};
  const auto fill = [&capability](const std::string& root) {
    write(root + "/usr/bin/ping", "ping");
    write(root + "/usr/bin/plain", "plain");
    EXPECT_EQ(::setxattr((root + "/usr/bin/ping").c_str(), "security.capability", capability,
                         sizeof capability, 0),
              0);
  };
  const auto refused = commit(fill);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EPERM);
  EXPECT_THAT(refused.error().context, HasSubstr("/usr/bin/ping has file capabilities"));
  const auto made = commit(fill, true);
  ASSERT_TRUE(made) << made.error().message();
  unsigned char back[64] = {};
  EXPECT_EQ(::getxattr((root_of(*made) + "/usr/bin/ping").c_str(), "security.capability", back,
                       sizeof back),
            20);
  EXPECT_EQ(back[5], 0x20);
  EXPECT_LT(
      ::getxattr((root_of(*made) + "/usr/bin/plain").c_str(), "security.capability", back, 64), 0);
  ImageStore store(images());
  EXPECT_THAT(store.verify()->damages, IsEmpty());

  // And on the way through an archive to another node.
  auto archive = Repository::open_or_create(dir_ + "/archive", RepositoryMode::kArchive);
  ASSERT_TRUE(archive);
  const auto repository = store.repository();
  ASSERT_TRUE(repository);
  const auto published = archive->copy_from(*repository, made->commit);
  ASSERT_TRUE(published) << published.error().message();
  ImageStore other(dir_ + "/other");
  auto theirs = other.repository();
  ASSERT_TRUE(theirs);
  ASSERT_TRUE(theirs->copy_from(*archive, made->commit));
  ASSERT_TRUE(other.materialise(made->commit));
  EXPECT_EQ(::getxattr((other.root_of("icewm", made->version) + "/usr/bin/ping").c_str(),
                       "security.capability", back, sizeof back),
            20);
}

TEST_F(RepoSystemTest, TwoVersionsHaveOnePageCache) {
  constexpr std::size_t kPages = 512;
  const auto fill = [](const char* version) {
    return [version](const std::string& root) {
      write(root + "/usr/lib.so", std::string(kPages * 4096, 'l'));
      write(root + "/etc-version", version);
    };
  };
  const auto one = commit(fill("one"));
  const auto two = commit(fill("two"));
  ASSERT_TRUE(one && two);
  {
    const UniqueFd fd(::open((root_of(*one) + "/usr/lib.so").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::syncfs(fd.get()), 0);
    ASSERT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  }
  EXPECT_EQ(cached_pages(root_of(*two) + "/usr/lib.so"), 0);

  // Read by a desktop of version one, through its overlay: there for version two as well.
  OverlayBackend backend;
  RootSpec spec;
  spec.version_root = root_of(*one);
  spec.upper_dir = make_dir("d1") + "/upper";
  spec.mount_point = make_mount_point("root");
  spec.ids = {80'000'000, 65536};
  const auto composed = backend.provision(spec);
  ASSERT_TRUE(composed) << composed.error().message();
  EXPECT_EQ(read(spec.mount_point + "/usr/lib.so").size(), kPages * 4096);
  EXPECT_EQ(cached_pages(root_of(*two) + "/usr/lib.so"), static_cast<long>(kPages));

  // What the desktop writes goes to its upper, never to the file that all versions share.
  write(spec.mount_point + "/usr/lib.so", "overwritten");
  EXPECT_TRUE(backend.destroy(spec));
  EXPECT_THAT(ImageStore(images()).verify()->damages, IsEmpty());
}

TEST_F(RepoSystemTest, HundredFlippedBitsAreFoundAndMended) {
  const auto made = commit([](const std::string& root) {
    for (int i = 0; i < 300; ++i) {
      const std::string dir = root + "/usr/d" + std::to_string(i % 20);
      std::filesystem::create_directories(dir);
      write(dir + "/f" + std::to_string(i),
            std::string(500, static_cast<char>('a' + i % 26)) + std::to_string(i));
    }
  });
  ASSERT_TRUE(made) << made.error().message();
  ImageStore store(images());
  auto archive = Repository::open_or_create(dir_ + "/archive", RepositoryMode::kArchive);
  ASSERT_TRUE(archive);
  {
    const auto repository = store.repository();
    ASSERT_TRUE(archive->copy_from(*repository, made->commit));
  }
  std::vector<std::string> objects;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(images() + "/.repo/objects"))
    if (entry.is_regular_file() && entry.path().extension() == ".file")
      objects.push_back(entry.path());
  std::sort(objects.begin(), objects.end());
  std::mt19937 random(5);
  std::shuffle(objects.begin(), objects.end(), random);
  ASSERT_GE(objects.size(), 300U);
  objects.resize(100);
  for (const auto& path : objects) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(fd) << path;
    const auto at = static_cast<off_t>(random() % 500);
    char byte = 0;
    ASSERT_EQ(::pread(fd.get(), &byte, 1, at), 1);
    byte = static_cast<char>(byte ^ (1 << (random() % 8)));
    ASSERT_EQ(::pwrite(fd.get(), &byte, 1, at), 1);
  }
  const auto report = store.verify();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_THAT(report->damages, SizeIs(100));
  for (const auto& damage : report->damages) {
    EXPECT_EQ(damage.kind, Damage::Kind::kObjectCorrupt);
    ASSERT_THAT(damage.places, SizeIs(1));
    EXPECT_THAT(damage.places[0], HasSubstr(made->version + ": /usr/d"));
  }
  const auto left = store.repair(
      report->damages, [&](const ObjectName& object) { return archive->archive_object(object); });
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_THAT(*left, IsEmpty());
  EXPECT_THAT(store.verify()->damages, IsEmpty());
  for (int i = 0; i < 300; ++i)
    EXPECT_EQ(read(root_of(*made) + "/usr/d" + std::to_string(i % 20) + "/f" + std::to_string(i)),
              std::string(500, static_cast<char>('a' + i % 26)) + std::to_string(i));
}

}  // namespace
}  // namespace panal::storage

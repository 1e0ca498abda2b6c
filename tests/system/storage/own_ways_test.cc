// What single backends do in their own way; what all must do is in backends_test.cc.
#include <sys/mount.h>
#include <sys/wait.h>

#include "storage/compose/composer.h"
#include "storage/compose/copy/copy_tree.h"
#include "storage/compose/layer/layer_dir.h"
#include "storage/compose/layer/template_key.h"
#include "tests/system/storage/backend_suite.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;

class OneBackend : public BackendSuite {
 protected:
  void open(const std::string& name) {
    if (!IsSkipped()) open_backend(name);
  }
};

/// Writes into files of 4 KiB until it cannot: how many there are, or -errno for another end than a
/// full disk.
int fill(const std::string& directory) {
  const std::string text(4096, 'z');
  for (int i = 0; i < 100'000; ++i) {
    const int fd = ::open((directory + "/f" + std::to_string(i)).c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return errno == ENOSPC ? i : -errno;
    const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int code = errno;
    ::close(fd);
    if (!written) return code == ENOSPC ? i : -code;
  }
  return 100'000;
}

class TmpfsOwn : public OneBackend {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    open("tmpfs");
  }
  /// 0 when the desktop could write between `least` and `most` files.
  int write_all(const RootSpec& desktop, int least, int most) {
    return inside(desktop.ids, 0, [&] {
      const int count = fill(desktop.mount_point + "/etc");
      return count < least ? 1 : (count > most ? 2 : 0);
    });
  }
};

TEST_F(TmpfsOwn, ADesktopWritesNoMoreThanItsBytes) {
  RootSpec desktop = spec(1);
  desktop.limits.bytes = std::uint64_t{4} << 20U;
  ASSERT_TRUE(backend_->provision(desktop));
  EXPECT_EQ(write_all(desktop, 900, 1024), 0);
  const auto usage = backend_->usage(desktop);
  ASSERT_TRUE(usage);
  EXPECT_GT(usage->bytes, desktop.limits.bytes * 9 / 10);
  EXPECT_LE(usage->bytes, desktop.limits.bytes);
  ASSERT_TRUE(backend_->destroy(desktop));
}

TEST_F(TmpfsOwn, ADesktopMakesNoMoreFilesThanItsInodes) {
  RootSpec desktop = spec(1);
  desktop.limits.inodes = 300;
  ASSERT_TRUE(backend_->provision(desktop));
  EXPECT_EQ(write_all(desktop, 250, 300), 0);
  ASSERT_TRUE(backend_->destroy(desktop));
}

TEST_F(TmpfsOwn, NothingIsEverOnDisk) {
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_->provision(desktop));
  EXPECT_EQ(mounts(), 1) << "the tmpfs is the overlay's alone";
  ASSERT_EQ(inside(desktop.ids, 0, [&] { return create(desktop.mount_point + "/etc/mine"); }), 0);
  EXPECT_FALSE(std::filesystem::exists(desktop.upper_dir));
  ASSERT_TRUE(backend_->destroy(desktop));
  EXPECT_FALSE(std::filesystem::exists(desktop.upper_dir));
}

class BindOwn : public OneBackend {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    open("bind");
  }
};

TEST_F(BindOwn, CopiesWhatMayChangeAndNothingElse) {
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_->provision(desktop));
  EXPECT_EQ(mounts(), 2) << "the root and /usr; bin is a link";
  const std::string own = desktop.upper_dir + "/bind-volatile";
  EXPECT_EQ(read(own + "/etc/motd"), "hello");
  EXPECT_TRUE(std::filesystem::is_empty(own + "/usr"));
  EXPECT_EQ(stat_of(own + "/etc/private").st_uid, 1000U) << "ids on disk are canonical";
  ASSERT_TRUE(backend_->destroy(desktop));
}

TEST_F(BindOwn, LinksPlantedInAPersistentRootLeadNowhere) {
  const std::string sentinel = make_dir("sentinel");
  write(sentinel + "/file", "kept");
  for (const std::string& place : {sentinel, "../../../../../../../../../../.." + sentinel}) {
    const RootSpec desktop = spec(1, true);
    ASSERT_TRUE(backend_->provision(desktop));
    ASSERT_TRUE(backend_->destroy(desktop));
    const std::string own = desktop.upper_dir + "/bind-persistent";
    ASSERT_EQ(::rmdir((own + "/usr").c_str()), 0);
    ASSERT_EQ(::symlink(place.c_str(), (own + "/usr").c_str()), 0);
    const auto made = backend_->provision(desktop);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, EINVAL);
    EXPECT_THAT(made.error().context, HasSubstr("/usr is no directory any more"));
    EXPECT_EQ(mounts(), 0);
    EXPECT_EQ(read(sentinel + "/file"), "kept");
    EXPECT_TRUE(std::filesystem::exists(own + "/etc/motd")) << "nothing of the user's is deleted";
    ASSERT_TRUE(backend_->erase(desktop));
  }
}

class SmallDisk : public OneBackend, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    open(GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Copies, SmallDisk, ::testing::Values("copy", "bind"));

TEST_P(SmallDisk, FailsAStartAndKeepsNothing) {
  write(version_ + "/etc/large", std::string(std::size_t{2} << 20U, 'x'));
  const std::string small = make_mount_point("small");
  ASSERT_EQ(::mount("small", small.c_str(), "tmpfs", 0, "size=1m"), 0);
  for (const bool persistent : {false, true}) {
    RootSpec desktop = spec(persistent ? 2 : 1, persistent);
    desktop.upper_dir = small + "/" + desktop.desktop;
    const auto made = backend_->provision(desktop);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ENOSPC);
    EXPECT_EQ(mounts(), 1) << "the small disk itself";
    EXPECT_TRUE(std::filesystem::is_empty(desktop.upper_dir)) << "not half of a persistent root";
  }
}

class BtrfsOwn : public OneBackend {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    open("btrfs");
  }
  std::string template_of(const std::string& version_root) const {
    return pool_.pool + "/templates/" + template_key(version_root);
  }
};

TEST_F(BtrfsOwn, TheFirstDesktopMakesTheTemplateAndAGoneVersionTakesItAlong) {
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_->provision(desktop));
  const std::string made = template_of(version_);
  EXPECT_EQ(read(made + "/root/etc/motd"), "hello");
  EXPECT_EQ(create(made + "/root/etc/x"), EROFS) << "a template is read-only";
  ASSERT_TRUE(backend_->destroy(desktop));
  ASSERT_TRUE(backend_->recover(scope()));
  EXPECT_TRUE(std::filesystem::exists(made));
  ASSERT_TRUE(remove_tree(base_ + "/images/icewm/1"));
  const auto recovered = backend_->recover(scope());
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->removed, 1U);
  EXPECT_FALSE(std::filesystem::exists(made));
}

TEST_F(BtrfsOwn, SubvolumesThatADesktopMadeGoWithItsRoot) {
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_->provision(desktop));
  const std::string snapshot = pool_.pool + "/volatile/d1";
  ASSERT_TRUE(std::filesystem::exists(snapshot + "/root/etc/motd"));
  // As its desktop may; here by the pool's path, because the host's root has no name inside.
  const auto made = run_program({"btrfs", "subvolume", "create", snapshot + "/root/etc/inner"},
                                std::chrono::minutes(1));
  ASSERT_TRUE(made) << made.error().message();
  const auto destroyed = backend_->destroy(desktop);
  ASSERT_TRUE(destroyed) << destroyed.error().message();
  EXPECT_FALSE(std::filesystem::exists(snapshot));
}

TEST_F(BtrfsOwn, ADesktopWithoutANameIsNotTakenForAll) {
  const RootSpec desktop = spec(1);
  ASSERT_TRUE(backend_->provision(desktop));
  for (const char* name : {"", ".", "..", "../volatile", "/"}) {
    RootSpec nameless = spec(2);
    nameless.desktop = name;
    for (const auto& done :
         {backend_->provision(nameless), backend_->destroy(nameless), backend_->erase(nameless)}) {
      ASSERT_FALSE(done) << name;
      EXPECT_EQ(done.error().code, EINVAL);
    }
  }
  EXPECT_TRUE(std::filesystem::exists(desktop.mount_point + "/etc/motd"));
  ASSERT_TRUE(backend_->destroy(desktop));
}

TEST_F(BtrfsOwn, AfterABootThePoolIsMountedToBeCleared) {
  const RootSpec desktop = spec(1);
  const RootSpec kept = spec(2, true);
  ASSERT_TRUE(backend_->provision(desktop));
  ASSERT_TRUE(backend_->provision(kept));
  ASSERT_EQ(inside(kept.ids, 0, [&] { return create(kept.mount_point + "/etc/mine"); }), 0);
  // As a boot does: no mount is left, and nobody has said good-bye.
  for (const std::string& path : {desktop.mount_point, kept.mount_point, pool_.pool})
    ASSERT_TRUE(mount::detach(path));
  const auto recovered = make("btrfs")->recover(scope());
  ASSERT_TRUE(recovered) << recovered.error().message();
  EXPECT_EQ(recovered->removed, 1U);
  ASSERT_TRUE(backend_->provision(kept));
  EXPECT_TRUE(std::filesystem::exists(kept.mount_point + "/etc/mine"));
  ASSERT_TRUE(backend_->destroy(kept));
}

TEST_F(BtrfsOwn, APersistentRootThatVanishedIsNotMadeAnew) {
  const RootSpec kept = spec(1, true);
  const std::string snapshot = pool_.pool + "/persistent/d1";
  const std::string note = kept.upper_dir + "/btrfs-persistent/made";
  ASSERT_TRUE(backend_->provision(kept));
  ASSERT_TRUE(backend_->destroy(kept));
  // One made by an older Panal has no note, and gets it.
  ASSERT_EQ(::unlink(note.c_str()), 0);
  ASSERT_TRUE(backend_->provision(kept));
  ASSERT_EQ(inside(kept.ids, 0, [&] { return create(kept.mount_point + "/etc/mine"); }), 0);
  ASSERT_TRUE(backend_->destroy(kept));
  EXPECT_TRUE(std::filesystem::exists(note));

  std::filesystem::rename(snapshot, pool_.pool + "/away");
  const auto refused = backend_->provision(kept);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOENT);
  EXPECT_THAT(refused.error().context, HasSubstr(snapshot + ", is gone"));
  EXPECT_EQ(mounts(), 0);
  EXPECT_FALSE(std::filesystem::exists(snapshot));
  std::filesystem::rename(pool_.pool + "/away", snapshot);
  ASSERT_TRUE(backend_->provision(kept)) << "it was put back";
  EXPECT_TRUE(std::filesystem::exists(kept.mount_point + "/etc/mine"));
  ASSERT_TRUE(backend_->destroy(kept));

  // As erase() leaves it when it is killed right after the snapshot went.
  std::filesystem::rename(snapshot, pool_.pool + "/away");
  ASSERT_EQ(::unlink(note.c_str()), 0);
  ASSERT_TRUE(backend_->provision(kept));
  EXPECT_FALSE(std::filesystem::exists(kept.mount_point + "/etc/mine"));
  ASSERT_TRUE(backend_->destroy(kept));
  ASSERT_TRUE(backend_->erase(kept));
  EXPECT_FALSE(std::filesystem::exists(note));
}

class ReflinkOwn : public OneBackend {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    open("copy-on-btrfs");
  }
};

TEST_F(ReflinkOwn, CopiesShareTheirBlocks) {
  const auto possible = can_reflink(base_);
  ASSERT_TRUE(possible);
  EXPECT_TRUE(*possible);
  const auto shared = copy_tree(version_, base_ + "/shared", {});
  ASSERT_TRUE(shared) << shared.error().message();
  EXPECT_TRUE(shared->reflinked);
  CopyOptions plain;
  plain.reflink = false;
  const auto copied = copy_tree(version_, base_ + "/copied", plain);
  ASSERT_TRUE(copied);
  EXPECT_FALSE(copied->reflinked);
  EXPECT_EQ(read(base_ + "/shared/usr/share/big"), read(base_ + "/copied/usr/share/big"));
}

/// All backends of a node at once.
class ComposerTest : public OneBackend {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    open("btrfs");  // for its pool
    ComposerOptions options;
    options.btrfs = pool_;
    composer_ = std::make_unique<Composer>(options);
  }
  std::unique_ptr<Composer> composer_;
};

TEST_F(ComposerTest, MakesAndUnmakesEachRootByTheBackendItNames) {
  int number = 0;
  for (const char* name :
       {"", "overlay", "tmpfs", "bind", "copy", "btrfs", "fuse-overlayfs", "unionfs-fuse"}) {
    SCOPED_TRACE(name);
    RootSpec desktop = spec(++number);
    desktop.backend = name;
    const auto made = composer_->provision(desktop);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(read(desktop.mount_point + "/etc/motd"), "hello");
    ASSERT_TRUE(composer_->destroy(desktop));
    EXPECT_EQ(mounts(), 0);
  }
  RootSpec strange = spec(99);
  strange.backend = "zfs";
  const auto made = composer_->provision(strange);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, EINVAL);
  EXPECT_THAT(made.error().context, HasSubstr("zfs"));
}

TEST_F(ComposerTest, NotesByWhichBackendARootIsKept) {
  RootSpec desktop = spec(1, true);
  desktop.backend = "btrfs";
  ASSERT_TRUE(composer_->provision(desktop));
  ASSERT_TRUE(composer_->destroy(desktop));
  EXPECT_EQ(persistent_backend(desktop.upper_dir), "btrfs");
  ASSERT_TRUE(composer_->erase(desktop));
  EXPECT_EQ(persistent_backend(desktop.upper_dir), "");
}

TEST_F(ComposerTest, FindsWhatAnyBackendLeftAndUnmountsWhatNobodyKnows) {
  const std::vector<std::string> names = {"overlay", "tmpfs",          "bind",        "copy",
                                          "btrfs",   "fuse-overlayfs", "unionfs-fuse"};
  int number = 0;
  for (const std::string& name : names) {
    RootSpec desktop = spec(++number);
    desktop.backend = name;
    ASSERT_TRUE(composer_->provision(desktop)) << name;
  }
  // The way of desktops about which nothing is written down.
  for (int unknown = 1; unknown <= number; ++unknown) {
    RootSpec desktop = spec(unknown, true);
    const auto done = composer_->destroy(desktop);
    EXPECT_TRUE(done) << names[static_cast<std::size_t>(unknown) - 1] << done.error().message();
  }
  EXPECT_EQ(mounts(), 0);
  const auto recovered = composer_->recover(scope());
  ASSERT_TRUE(recovered);
  EXPECT_THAT(recovered->problems, ::testing::IsEmpty());
  EXPECT_GE(recovered->removed, 4U) << "the volatile layers of overlay, bind, copy and btrfs";
  for (int one = 1; one <= number; ++one) {
    const std::string upper = spec(one).upper_dir;
    if (std::filesystem::exists(upper)) {
      EXPECT_TRUE(std::filesystem::is_empty(upper)) << upper;
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(pool_.pool + "/volatile"));
}

}  // namespace
}  // namespace panal::storage

#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <memory>
#include <vector>

#include "engine/base/tree.h"
#include "storage/compose/backend.h"
#include "storage/compose/bind/bind.h"
#include "storage/compose/btrfs/btrfs.h"
#include "storage/compose/copy/copy.h"
#include "storage/compose/facts.h"
#include "storage/compose/lvm/lvm.h"
#include "storage/compose/overlay/overlay.h"
#include "storage/compose/tmpfs/tmpfs.h"
#include "storage/compose/union_fuse/union_fuse.h"
#include "tests/system/storage/lvm_group.h"
#include "tests/system/storage/page_cache.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {

/// A version and a backend over it, by the name of what is tried: a backend's name, or
/// "copy-on-btrfs" for copies that can share blocks.
class BackendSuite : public StorageTest {
 protected:
  static constexpr std::size_t kBigBytes = std::size_t{4} << 20U;

  /// Skips when it cannot be had here.
  void open_backend(const std::string& name) {
    base_ = dir_;
    const auto tree = Tree::open_system();
    ASSERT_TRUE(tree);
    const auto facts = probe_compose(*tree, {dir_, "", false, ""});
    ASSERT_TRUE(facts) << facts.error().message();
    if (name == "btrfs" || name == "copy-on-btrfs") {
      if (!facts->filesystems.contains("btrfs"))
        GTEST_SKIP() << "nothing is missing here: this kernel has no btrfs";
      pool_ = {make_mount_point("pool"), dir_ + "/pool.disk", std::uint64_t{512} << 20U};
      const auto opened = open_pool(pool_);
      ASSERT_TRUE(opened) << opened.error().message();
      if (name == "copy-on-btrfs") base_ = make_dir("pool/base");
    }
    if (name == "lvm") {
      if (!facts->device_mapper)
        GTEST_SKIP() << "nothing is missing here: this kernel has no device-mapper; LVM is tried "
                        "in the virtual machine (tests/vm)";
      group_ = std::make_unique<LvmGroup>(dir_);
      ASSERT_EQ(group_->problem(), "");
    }
    backend_ = make(name);
    ASSERT_NE(backend_, nullptr) << name;
    make_version();
    mounts_before_ = mounts_below();
  }

  std::unique_ptr<ComposeBackend> make(const std::string& name) const {
    if (name == "overlay") return std::make_unique<OverlayBackend>();
    if (name == "tmpfs") return std::make_unique<TmpfsBackend>();
    if (name == "bind") return std::make_unique<BindBackend>();
    if (name.starts_with("copy")) return std::make_unique<CopyBackend>();
    if (name == "btrfs") return std::make_unique<BtrfsBackend>(pool_);
    if (name == "fuse-overlayfs")
      return std::make_unique<UnionFuseBackend>(UnionProgram::kFuseOverlayfs);
    if (name == "unionfs-fuse")
      return std::make_unique<UnionFuseBackend>(UnionProgram::kUnionfsFuse);
    if (name == "lvm") {
      LvmOptions options;
      options.pool = group_->pool();
      options.volume_bytes = std::uint64_t{256} << 20U;
      return std::make_unique<LvmBackend>(options);
    }
    return nullptr;
  }

  void make_version() {
    version_ = base_ + "/images/icewm/1/root";
    for (const char* name : {"etc", "home", "usr/bin", "usr/share", "var/log", "root"})
      std::filesystem::create_directories(version_ + "/" + name);
    ASSERT_EQ(::chmod((base_ + "/images").c_str(), 0700), 0);
    write(version_ + "/etc/motd", "hello");
    write(version_ + "/etc/private", "of user 1000");
    ASSERT_EQ(::chown((version_ + "/etc/private").c_str(), 1000, 1000), 0);
    ASSERT_EQ(::chmod((version_ + "/etc/private").c_str(), 0600), 0);
    write(version_ + "/usr/bin/tool", "a program");
    ASSERT_EQ(::chmod((version_ + "/usr/bin/tool").c_str(), 0755), 0);
    ASSERT_EQ(::symlink("usr/bin", (version_ + "/bin").c_str()), 0);
    write(version_ + "/usr/share/big", std::string(kBigBytes, 'x'));
    // As in a real image: killing in the middle of a copy has a middle to find.
    for (int i = 0; i < 200; ++i) write(version_ + "/var/log/" + std::to_string(i), "a line\n");
  }

  RootSpec spec(int number, bool persistent = false) {
    RootSpec spec;
    spec.version_root = version_;
    spec.desktop = "d" + std::to_string(number);
    std::filesystem::create_directories(base_ + "/state/" + spec.desktop);
    spec.upper_dir = base_ + "/state/" + spec.desktop + "/upper";
    spec.mount_point = make_mount_point("run/" + spec.desktop + "/root");
    spec.ids = {1'000'000 + static_cast<std::uint32_t>(number) * 65536, 65536};
    spec.persistent = persistent;
    return spec;
  }

  [[nodiscard]] RecoverScope scope(std::set<std::string> live = {}) const {
    return {base_ + "/state", dir_ + "/run", std::move(live)};
  }

  int mounts_below() const {
    std::ifstream table("/proc/self/mountinfo");
    int count = 0;
    for (std::string line; std::getline(table, line);)
      if (line.find(dir_) != std::string::npos) ++count;
    return count;
  }
  /// Mounts that desktops have.
  int mounts() const { return mounts_below() - mounts_before_; }

  static int create(const std::string& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return errno;
    ::close(fd);
    return 0;
  }

  void sync_all(const std::string& path) const {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    (void)::syncfs(fd.get());
    if (!pool_.pool.empty()) {
      const UniqueFd pool(::open(pool_.pool.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      (void)::syncfs(pool.get());
    }
  }

  void TearDown() override {
    backend_.reset();
    for (auto mount = mount_points_.rbegin(); mount != mount_points_.rend(); ++mount)
      (void)mount::detach(*mount);
    group_.reset();
    StorageTest::TearDown();
  }

  std::string base_;  ///< images and state are below it
  std::string version_;
  BtrfsOptions pool_ = {};
  std::unique_ptr<LvmGroup> group_;
  std::unique_ptr<ComposeBackend> backend_;
  int mounts_before_ = 0;
};

/// Puts a file out of the page cache.
inline void drop_pages(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fd) << path;
  ASSERT_EQ(::fsync(fd.get()), 0) << path;
  ASSERT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0) << path;
}

}  // namespace panal::storage

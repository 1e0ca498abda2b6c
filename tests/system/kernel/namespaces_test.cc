#include "engine/kernel/namespaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

namespace panal::kernel {
namespace {

namespace fs = std::filesystem;

ino_t inode(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

// Runs `work` in a child of one thread; true when it returned true.
bool in_child(const std::function<bool()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work() ? 0 : 1);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class Namespaces : public ::testing::Test {
 protected:
  void SetUp() override {
    // A shared mount, as a systemd host has: the hard case for pinning.
    base_ = fs::temp_directory_path() / "ns-test";
    fs::create_directory(base_);
    ASSERT_EQ(::mount("tmpfs", base_.c_str(), "tmpfs", 0, nullptr), 0);
    ASSERT_EQ(::mount(nullptr, base_.c_str(), nullptr, MS_SHARED, nullptr), 0);
    run_dir_ = base_ / "run";
  }
  void TearDown() override {
    EXPECT_TRUE(release_pinned_namespaces(run_dir_));
    EXPECT_EQ(::umount2(base_.c_str(), 0), 0) << "something is still mounted below";
    fs::remove(base_);
  }
  // The error's text, empty when all went well.
  std::string made() const {
    const auto result = ensure_pinned_namespaces(run_dir_);
    return result ? "" : result.error().message();
  }
  bool inside(const std::function<bool()>& work) const {
    return in_child([&] {
      const auto mnt = open_namespace(run_dir_ + "/ns/mnt");
      return mnt && enter_mount_namespace(*mnt) && work();
    });
  }
  fs::path base_;
  std::string run_dir_;
};

TEST_F(Namespaces, ArePinnedOnceAndOutliveTheMaker) {
  ASSERT_TRUE(in_child([&] { return ensure_pinned_namespaces(run_dir_).has_value(); }));
  ASSERT_TRUE(namespaces_are_pinned(run_dir_));
  const ino_t mnt = inode(run_dir_ + "/ns/mnt");
  const ino_t net = inode(run_dir_ + "/ns/net");
  EXPECT_NE(mnt, inode("/proc/self/ns/mnt"));
  EXPECT_NE(net, inode("/proc/self/ns/net"));
  const auto again = ensure_pinned_namespaces(run_dir_);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(inode(run_dir_ + "/ns/mnt"), mnt);
  EXPECT_EQ(inode(run_dir_ + "/ns/net"), net);
  ASSERT_TRUE(release_pinned_namespaces(run_dir_));
  EXPECT_FALSE(fs::exists(run_dir_ + "/ns"));
  EXPECT_TRUE(release_pinned_namespaces(run_dir_)) << "releasing nothing is no error";
}

TEST_F(Namespaces, TwoCallersAtOnceMakeOnePair) {
  bool fine[2] = {};
  std::thread other([&] { fine[0] = ensure_pinned_namespaces(run_dir_).has_value(); });
  fine[1] = ensure_pinned_namespaces(run_dir_).has_value();
  other.join();
  EXPECT_TRUE(fine[0] && fine[1]);
  EXPECT_TRUE(namespaces_are_pinned(run_dir_));
}

TEST_F(Namespaces, HalfMadeOnesAreMadeAnew) {
  ASSERT_EQ(made(), "");
  ASSERT_EQ(::umount2((run_dir_ + "/ns/mnt").c_str(), MNT_DETACH), 0);
  EXPECT_FALSE(namespaces_are_pinned(run_dir_));
  ASSERT_EQ(made(), "");
  EXPECT_TRUE(namespaces_are_pinned(run_dir_));
}

TEST_F(Namespaces, SysInsideShowsThePinnedNetworkAndTheCgroups) {
  ASSERT_EQ(made(), "");
  const auto net = open_namespace(run_dir_ + "/ns/net");
  ASSERT_TRUE(net);
  ASSERT_TRUE(in_child([&] {
    return enter_net_namespace(*net) && ::system("ip link add pnl9 type veth peer name pnl8") == 0;
  }));
  EXPECT_TRUE(inside([] {
    return fs::exists("/sys/class/net/pnl9") &&
           std::string(::getenv("PANAL_LAB_CGROUP") ? ::getenv("PANAL_LAB_CGROUP") : "") != "" &&
           !fs::is_empty("/sys/fs/cgroup");
  }));
  EXPECT_TRUE(inside([] {
    std::ifstream table("/proc/self/mountinfo");
    int found = 0;
    for (std::string line; std::getline(table, line);)
      if (line.find(" - cgroup2 ") != std::string::npos) ++found;
    return found == 1;
  })) << "the cgroup2 mount must be there, once";
  EXPECT_FALSE(fs::exists("/sys/class/net/pnl9"));
  EXPECT_TRUE(inside([&] {
    return inode(run_dir_ + "/ns/net") == inode(base_ / "run/ns/net") &&
           open_namespace(run_dir_ + "/ns/net").has_value();
  }));
}

TEST_F(Namespaces, LaterMountsComeInAndNoneGoOut) {
  ASSERT_EQ(made(), "");
  const fs::path later = base_ / "later";
  fs::create_directory(later);
  ASSERT_EQ(::mount("tmpfs", later.c_str(), "tmpfs", 0, nullptr), 0);
  std::ofstream(later / "seen") << "x";
  EXPECT_TRUE(inside([&] { return fs::exists(later / "seen"); }));
  const fs::path within = base_ / "within";
  fs::create_directory(within);
  EXPECT_TRUE(inside([&] {
    if (::mount("tmpfs", within.c_str(), "tmpfs", 0, nullptr) != 0) return false;
    std::ofstream(within / "secret") << "x";
    return fs::exists(within / "secret");
  }));
  EXPECT_FALSE(fs::exists(within / "secret"));
  EXPECT_TRUE(inside([&] { return fs::exists(within / "secret"); })) << "mounts inside must last";
  ASSERT_EQ(::umount2(later.c_str(), 0), 0);
}

TEST_F(Namespaces, EnsuringFromInsideIsRefused) {
  ASSERT_EQ(made(), "");
  EXPECT_TRUE(inside([&] {
    const auto net = open_namespace(run_dir_ + "/ns/net");
    if (!net || !enter_net_namespace(*net)) return false;
    const auto made = ensure_pinned_namespaces(run_dir_);
    return !made && made.error().code == EXDEV;
  }));
  EXPECT_TRUE(namespaces_are_pinned(run_dir_));
}

TEST_F(Namespaces, ScopedNetnsComesBack) {
  ASSERT_EQ(made(), "");
  const auto net = open_namespace(run_dir_ + "/ns/net");
  ASSERT_TRUE(net);
  const ino_t before = inode("/proc/thread-self/ns/net");
  {
    const auto scope = ScopedNetns::enter(*net);
    ASSERT_TRUE(scope) << scope.error().message();
    EXPECT_EQ(inode("/proc/thread-self/ns/net"), inode(run_dir_ + "/ns/net"));
  }
  EXPECT_EQ(inode("/proc/thread-self/ns/net"), before);
}

TEST_F(Namespaces, APlainFileIsNoNamespace) {
  std::ofstream(base_ / "plain") << "x";
  const auto opened = open_namespace(base_ / "plain");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, EINVAL);
}

}  // namespace
}  // namespace panal::kernel

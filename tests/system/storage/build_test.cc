#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>

#include <csignal>
#include <thread>

#include "storage/recipe/build_process.h"
#include "storage/recipe/builder.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr IdRange kIds{70'000'000, 65536};

class BuildTest : public StorageTest {
 protected:
  /// Runs a shell command where mmdebstrap would run; returns its status and puts what it says in
  /// said_.
  int shell(const std::string& command) {
    auto names = UserNamespace::create(kIds.first, kIds.count);
    auto tree = mount::clone_tree(make_dir("root"));
    if (!names || !tree) return -1;
    if (!mount::set_attributes(tree->get(), MOUNT_ATTR_NODEV, names->fd())) return -1;
    auto process = BuildProcess::start(
        {{"sh", "-c", command}, {{tree->get(), "/tmp/build/root"}}, names->fd()});
    if (!process) return -1;
    said_.clear();
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(process->output(), buffer, sizeof buffer)) > 0;)
      said_.append(buffer, static_cast<std::size_t>(got));
    return process->wait().value_or(-1);
  }

  static Recipe recipe() {
    Recipe made;
    made.name = "tiny";
    made.packages = {"xterm"};
    made.session = {"xterm"};
    made.locales = {"C.UTF-8"};
    return made;
  }

  std::string said_;
};

TEST_F(BuildTest, FilesMadeInsideHaveCanonicalIdsOnDisk) {
  ASSERT_EQ(shell("cd /tmp/build/root && touch zero && touch user && chown 1000:100 user && "
                  "chmod 4755 user && echo fine"),
            0)
      << said_;
  EXPECT_EQ(said_, "fine\n");
  EXPECT_EQ(stat_of(dir_ + "/root/zero").st_uid, 0U);
  EXPECT_EQ(stat_of(dir_ + "/root/user").st_uid, 1000U);
  EXPECT_EQ(stat_of(dir_ + "/root/user").st_gid, 100U);
  EXPECT_EQ(stat_of(dir_ + "/root/user").st_mode & 07777U, 04755U);
}

TEST_F(BuildTest, RootInsideIsNobodyOutside) {
  make_dir("secret");
  ASSERT_EQ(::chmod((dir_ + "/secret").c_str(), 0700), 0);
  EXPECT_NE(shell("mknod /tmp/build/root/null c 1 3"), 0);
  EXPECT_NE(shell("touch /etc/panal-was-here"), 0);
  EXPECT_NE(shell("ls " + dir_ + "/secret"), 0);
  EXPECT_NE(shell("cat /etc/shadow"), 0);
  EXPECT_EQ(shell("test $(id -u) = 0 && test -z \"$(ls /tmp | grep -v build)\""), 0) << said_;
  EXPECT_EQ(shell("test $(ls /proc | grep -c '^[0-9]') -lt 9 && test $(cat /proc/1/comm) != init"),
            0)
      << said_ << ": it sees the host's processes";
  EXPECT_EQ(shell("exit 7"), 7);
  EXPECT_EQ(shell("kill -9 $$"), 128 + SIGKILL);
}

TEST_F(BuildTest, KillTakesAllOfIt) {
  auto names = UserNamespace::create(kIds.first, kIds.count);
  ASSERT_TRUE(names);
  {
    auto process = BuildProcess::start(
        {{"sh", "-c", "setsid sleep 1000 & echo started; sleep 1000"}, {}, names->fd()});
    ASSERT_TRUE(process);
    char buffer[64];
    ASSERT_GT(::read(process->output(), buffer, sizeof buffer), 0);
  }  // its end waits until the last of them has closed the pipe
  SUCCEED();
}

TEST_F(BuildTest, AFailedBuildSaysWhyAndLeavesTheLogOnly) {
  ImageStore store(dir_ + "/images");
  BuildOptions options;
  options.cache_dir = dir_ + "/debs";
  options.log_file = dir_ + "/build.log";
  options.mirror = options.security_mirror = "http://127.0.0.1:9/debian";  // nobody listens
  std::string last;
  const auto built =
      build_image(recipe(), store, options, [&last](double fraction, const std::string& what) {
        EXPECT_TRUE(fraction >= 0 && fraction <= 1) << what;
        last = what;
      });
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, EPROTO);
  EXPECT_THAT(built.error().context, StartsWith("build image tiny: mmdebstrap ended with status"));
  EXPECT_THAT(built.error().context, HasSubstr("127.0.0.1"));
  EXPECT_THAT(built.error().context, HasSubstr(options.log_file));
  EXPECT_THAT(read(options.log_file), HasSubstr("apt-get update"));
  EXPECT_EQ(last, "reading package lists");
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/images/.staging"));
  EXPECT_TRUE(store.list()->empty());
}

TEST_F(BuildTest, ACancelledBuildLeavesNothing) {
  ImageStore store(dir_ + "/images");
  std::atomic<bool> cancelled{true};
  BuildOptions options;
  options.cancelled = &cancelled;
  const auto built = build_image(recipe(), store, options, nullptr);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, ECANCELED);
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/images/.staging"));
}

TEST_F(BuildTest, AnExistingVersionIsNotBuiltAgain) {
  ImageStore store(dir_ + "/images");
  const auto staging = store.new_staging("tiny");
  ASSERT_TRUE(staging);
  std::filesystem::create_directories(*staging + "/root");
  VersionManifest manifest;
  manifest.image = "tiny";
  manifest.recipe_digest = digest(recipe());
  const auto version = store.commit(*staging, manifest);
  ASSERT_TRUE(version);
  const auto built = build_image(recipe(), store, BuildOptions{}, nullptr);
  ASSERT_TRUE(built) << built.error().message();
  EXPECT_EQ(built->version, version->version);
}

}  // namespace
}  // namespace panal::storage

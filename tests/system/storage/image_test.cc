/// The shipped images as scripts/test-image has built them, composed into a root: what a desktop
/// relies on is there and works, for a user that the image does not know.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "storage/compose/overlay/overlay.h"
#include "storage/image/image_store.h"
#include "storage/recipe/recipe.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

class ImageTest : public StorageTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    const char* cache = std::getenv("PANAL_TEST_CACHE");
    const ImageStore store(std::string(cache != nullptr ? cache : "/var/cache/panal") + "/images");
    const std::string file = std::string(PANAL_SOURCE_DIR) + "/recipes/" + GetParam() + ".toml";
    const auto recipe = parse_recipe(read(file), file);
    ASSERT_TRUE(recipe) << recipe.error().message();
    const auto found = store.find_by_digest(GetParam(), digest(*recipe));
    if (!found) GTEST_SKIP() << found.error().message() << "; run scripts/test-image";
    manifest_ = *found;
    spec_.version_root = store.root_of(manifest_.image, manifest_.version);
    spec_.upper_dir = make_dir("d1") + "/upper";
    spec_.mount_point = make_mount_point("root");
    spec_.ids = {80'000'000, 65536};
    const auto made = backend_.provision(spec_);
    ASSERT_TRUE(made) << made.error().message();
  }

  void TearDown() override {
    if (!spec_.mount_point.empty()) (void)backend_.destroy(spec_);
    StorageTest::TearDown();
  }

  /// What a command says, run as user 1000 in the desktop's root.
  std::string run(const std::string& command) {
    const std::string out = dir_ + "/out";
    const UniqueFd fd(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    status_ = inside(spec_.ids, 0, [&] {
      if (::chroot(spec_.mount_point.c_str()) != 0 || ::chdir("/") != 0) return 252;
      if (::setresgid(1000, 1000, 1000) != 0 || ::setresuid(1000, 1000, 1000) != 0) return 253;
      if (::dup2(fd.get(), 1) < 0 || ::dup2(fd.get(), 2) < 0) return 254;
      ::execle("/bin/sh", "sh", "-c", command.c_str(), nullptr, environment_);
      return 255;
    });
    return read(out);
  }

  VersionManifest manifest_;
  RootSpec spec_;
  OverlayBackend backend_;
  int status_ = -1;
  const char* environment_[3] = {"PATH=/usr/bin:/bin", "HOME=/tmp", nullptr};
};

TEST_P(ImageTest, HoldsWhatADesktopNeeds) {
  EXPECT_THAT(manifest_.packages, Contains(Pair("nxagent", ::testing::_)));
  for (const char* unwanted : {"systemd", "cron", "at-spi2-core", "policykit-1", "xscreensaver",
                               "xfce4-power-manager", "light-locker", "linux-image-amd64"})
    EXPECT_THAT(manifest_.packages, Not(Contains(Pair(unwanted, ::testing::_))));

  EXPECT_THAT(run("nxagent -version"), HasSubstr("NXAGENT"));
  const std::string found = run("command -v xkbcomp setxkbmap xrdb xterm dbus-run-session");
  EXPECT_THAT(found, HasSubstr("/usr/bin/xkbcomp"));
  EXPECT_EQ(status_, 0) << found;
  const std::string locales = run("locale -a");
  for (const char* locale : {"C.utf8", "en_US.utf8", "es_ES.utf8", "de_DE.utf8", "fr_FR.utf8"})
    EXPECT_THAT(locales, HasSubstr(locale));
  EXPECT_THAT(run("fc-list"), HasSubstr("DejaVuSans.ttf"));
  EXPECT_THAT(run("LANG=es_ES.UTF-8 TZ=Europe/Madrid date -d '2026-07-01 10:00 UTC' '+%A %H'"),
              HasSubstr("12"));
  // The commands of the session are there: what begins it, and after "--" the session itself.
  const auto& words = manifest_.session;
  const auto dashes = std::find(words.begin(), words.end(), "--");
  ASSERT_LT(dashes + 1, words.end());
  EXPECT_THAT(run("command -v " + words.front()), HasSubstr(words.front()));
  EXPECT_THAT(run("command -v " + *(dashes + 1)), HasSubstr("/usr/bin/" + *(dashes + 1)));
}

TEST_P(ImageTest, IsCleanAndCanonical) {
  const std::string& root = spec_.version_root;
  EXPECT_EQ(read(root + "/etc/machine-id"), "");
  EXPECT_EQ(read(root + "/etc/resolv.conf"), "");
  EXPECT_TRUE(std::filesystem::is_empty(root + "/dev"));
  EXPECT_TRUE(std::filesystem::is_empty(root + "/var/log"));
  EXPECT_TRUE(std::filesystem::exists(root + "/.panal/panal-agent"));
  EXPECT_FALSE(std::filesystem::exists(root + "/usr/share/man"));
  EXPECT_EQ(stat_of(root + "/usr/bin/su").st_uid, 0U);
  EXPECT_EQ(stat_of(root + "/usr/bin/su").st_mode & 07777U, 04755U);
  EXPECT_EQ(stat_of(spec_.mount_point + "/usr/bin/su").st_uid, spec_.ids.first);
  ASSERT_TRUE(walk_tree(root, [](const TreeEntry& entry) -> Result<void> {
    EXPECT_TRUE(S_ISREG(entry.info.st_mode) || S_ISDIR(entry.info.st_mode) ||
                S_ISLNK(entry.info.st_mode))
        << entry.path;
    EXPECT_LT(entry.info.st_uid, 65536U) << entry.path;
    return {};
  }));
}

TEST_P(ImageTest, DoesNotWorkWhileNobodyDoes) {
  const std::string etc = spec_.version_root + "/etc";
  if (GetParam() == "xfce") {
    const std::string dir = etc + "/xdg/xfce4/xfconf/xfce-perchannel-xml/";
    EXPECT_THAT(read(dir + "xfwm4.xml"),
                HasSubstr("name=\"use_compositing\" type=\"bool\" value=\"false\""));
    EXPECT_THAT(read(dir + "xfce4-panel.xml"), HasSubstr("\"configver\""));
    EXPECT_THAT(read(dir + "xfce4-panel.xml"), Not(HasSubstr("%S")));
    for (const auto& entry : std::filesystem::directory_iterator(etc + "/xdg/autostart"))
      EXPECT_THAT(entry.path().filename().string(),
                  Not(::testing::ContainsRegex("locker|power|polkit|at-spi|update")));
  } else {
    const std::string preferences = read(etc + "/X11/icewm/preferences");
    for (const char* line : {"TaskBarShowWindows=0\n", "TaskBarShowCPUStatus=0\n",
                             "TaskBarShowNetStatus=0\n", "TaskBarShowClock=0\n"})
      EXPECT_THAT(preferences, HasSubstr(line));
  }
  for (const char* line : {"gtk-cursor-blink=0\n", "gtk-enable-animations=0\n"})
    EXPECT_THAT(read(etc + "/gtk-3.0/settings.ini"), HasSubstr(line));
  // Nobody would run them; what is not there runs in no image that brings a cron or an init either.
  const std::string& root = spec_.version_root;
  for (const char* jobs : {"/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly",
                           "/etc/cron.monthly", "/etc/logrotate.d", "/var/spool/cron/crontabs"})
    EXPECT_TRUE(!std::filesystem::exists(root + jobs) || std::filesystem::is_empty(root + jobs))
        << jobs;
  EXPECT_FALSE(std::filesystem::exists(root + "/etc/anacrontab"));
  for (const char* units : {"/usr/lib/systemd/system", "/usr/lib/systemd/user"})
    for (std::error_code none;
         const auto& entry : std::filesystem::directory_iterator(root + units, none))
      EXPECT_NE(entry.path().extension(), ".timer") << entry.path();
  for (const char* services : {"/etc/xdg/autostart", "/usr/share/dbus-1/services"})
    for (const auto& entry : std::filesystem::directory_iterator(root + services))
      EXPECT_THAT(entry.path().filename().string(),
                  Not(::testing::ContainsRegex("racker|otifier|otifyd|tumbler|gvfs|a11y")));
}

// Else each user's first program reads all fonts and writes a cache of its own.
TEST_P(ImageTest, HasItsCachesMade) {
  const std::string said = run("fc-cache -s -v");
  EXPECT_THAT(said, HasSubstr("existing cache is valid"));
  EXPECT_THAT(said, Not(HasSubstr("caching, new cache contents")));
  const std::string& root = spec_.version_root;
  const std::string icons = root + "/usr/share/icons/Adwaita";
  for (const std::string& cache : {root + "/usr/share/mime/mime.cache", icons + "/icon-theme.cache",
                                   root + "/usr/share/glib-2.0/schemas/gschemas.compiled"})
    EXPECT_TRUE(std::filesystem::exists(cache)) << cache;
  // GTK takes no icon cache that is older than its directory.
  EXPECT_GE(stat_of(icons + "/icon-theme.cache").st_mtime, stat_of(icons).st_mtime);
}

INSTANTIATE_TEST_SUITE_P(Shipped, ImageTest, ::testing::Values("icewm", "xfce"),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace panal::storage

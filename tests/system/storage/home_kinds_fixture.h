#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/xattr.h>

#include <thread>
#include <utility>

#include "storage/backup/backup.h"
#include "storage/quota/kinds.h"
#include "storage/quota/loop_mount.h"
#include "tests/support/kill_at_call.h"
#include "tests/system/storage/home_fixture.h"

namespace panal::storage {

/// Homes of one tenant, by quota's kinds, and what a user has in them.
class HomeKindsTest : public HomesTest {
 protected:
  std::unique_ptr<HomeStore> store(QuotaKind kind, SpaceLimit limit,
                                   const std::string& node = "n1") {
    return std::make_unique<HomeStore>(dir_ + "/homes", HomeRules{node, kind, limit});
  }
  HomeOwner me(const std::string& what) { return {what + "-" + std::to_string(::getpid()), "n1"}; }

  Result<backup::Report> back_up(HomeStore& homes, const std::string& home,
                                 const std::string& file) {
    backup::Report report;
    const UniqueFd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    PANAL_TRY(homes.with_tree("acme", home, "", me("backup"), [&](int tree) -> Result<void> {
      PANAL_ASSIGN(report, backup::write(tree, {"acme", home}, out.get(), {}));
      return {};
    }));
    return report;
  }
  Result<void> restore(HomeStore& homes, const std::string& home, const std::string& file,
                       bool over) {
    const UniqueFd in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    return homes.put("acme", home, over, me("restore"), [&](int tree) -> Result<void> {
      PANAL_TRY(backup::read(in.get(), tree, {}, {}));
      return {};
    });
  }
  /// What a user may have at home.
  void live_in(const std::string& home) {
    make(home + "/.config");
    write(home + "/.config/panel", "blue");
    write(home + "/letter", std::string(300'000, 'l'));
    std::filesystem::create_hard_link(home + "/letter", home + "/same");
    std::filesystem::create_symlink("letter", home + "/link");
    std::filesystem::create_symlink("/etc/passwd", home + "/.config/out");
    write(home + "/a name with spaces and \xc3\xa4 \xff", "bytes");
    ASSERT_EQ(::setxattr((home + "/letter").c_str(), "user.note", "seen", 4, 0), 0);
    ASSERT_EQ(::chmod((home + "/letter").c_str(), 0640), 0);
    ASSERT_EQ(::chown((home + "/letter").c_str(), 1000, 100), 0);
    const timespec times[] = {{1'000'000'000, 0}, {1'000'000'000, 123'456'789}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (home + "/.config").c_str(), times, 0), 0);
    ASSERT_EQ(::mkfifo((home + "/pipe").c_str(), 0600), 0);
  }
  static void make(const std::string& path) { std::filesystem::create_directories(path); }
  static std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path))
      names.push_back(entry.path().filename().string());
    return names;
  }
  /// A home that somebody has lived in.
  Result<void> lived_in(HomeStore& homes, const std::string& home) {
    return homes.put("acme", home, true, me("fill"), [&](int tree) -> Result<void> {
      live_in("/proc/self/fd/" + std::to_string(tree));
      return {};
    });
  }
};

}  // namespace panal::storage

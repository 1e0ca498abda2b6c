#include "storage/lint/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace panal::storage {

void PrintTo(const LintStep& step, std::ostream* out) {
  *out << static_cast<int>(step.repair) << " " << step.path << " " << step.target;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;

/// A tree in the making; every file has an inode of its own.
class TreeMaker {
 public:
  explicit TreeMaker(LintScope scope = LintScope::kImage) { tree_.scope = scope; }

  LintFile& file(const std::string& path, std::uint64_t size = 8 * kKiB) {
    LintFile made;
    made.path = path;
    made.size = made.disk_bytes = size;
    made.inode = ++inodes_;
    made.mode = 0644;
    tree_.files.push_back(made);
    return tree_.files.back();
  }
  LintTree done() {
    std::sort(tree_.files.begin(), tree_.files.end(),
              [](const LintFile& a, const LintFile& b) { return a.path < b.path; });
    return tree_;
  }
  LintTree tree_;

 private:
  std::uint64_t inodes_ = 0;
};

std::map<std::string, std::uint64_t> costs(const LintTree& tree) {
  std::map<std::string, std::uint64_t> out;
  for (const LintFinding& finding : lint_tree(tree)) out[finding.rule->name] = finding.bytes;
  return out;
}

std::set<std::string> rules_of(const LintTree& tree) {
  std::set<std::string> out;
  for (const auto& [name, bytes] : costs(tree)) out.insert(name);
  return out;
}

PycHeader by_time(std::uint32_t mtime, std::uint32_t size) { return {false, true, mtime, size}; }

TEST(LintRules, AreNamedOnceAndSaidInFull) {
  std::set<std::string> names;
  for (const LintRule* rule : lint_rules()) {
    EXPECT_TRUE(names.insert(rule->name).second) << rule->name;
    EXPECT_FALSE(std::string(rule->what).empty() || std::string(rule->advice).empty());
    EXPECT_FALSE(std::string(rule->what).ends_with(".")) << rule->name;
    // What a desktop has written is not the image's to mend.
    if (rule->scope == LintScope::kDesktop) {
      EXPECT_EQ(rule->repair, LintRepair::kNone) << rule->name;
    }
  }
}

struct PlaceCase {
  const char* path;
  const char* rule;  ///< null: none
};

TEST(LintImage, KnowsWhatRunsByItselfAndWhatWasLeft) {
  for (const PlaceCase& one : std::vector<PlaceCase>{
           {"/etc/systemd/system/timers.target.wants/apt-daily.timer", "package-manager-at-boot"},
           {"/etc/systemd/system/timers.target.wants/apt-daily-upgrade.timer",
            "package-manager-at-boot"},
           {"/etc/systemd/system/multi-user.target.wants/unattended-upgrades.service",
            "package-manager-at-boot"},
           {"/etc/cron.daily/apt-compat", "package-manager-at-boot"},
           {"/etc/xdg/autostart/update-notifier.desktop", "package-manager-at-boot"},
           {"/etc/rc2.d/S01unattended-upgrades", "package-manager-at-boot"},
           {"/etc/systemd/system/timers.target.wants/man-db.timer", "indexes-at-boot"},
           {"/etc/cron.daily/plocate", "indexes-at-boot"},
           {"/etc/cron.daily/prelink", "prelink"},
           {"/var/log/dpkg.log", "logs-in-image"},
           {"/var/log/apt/history.log", "logs-in-image"},
           {"/var/cache/apt/pkgcache.bin", "caches-in-image"},
           {"/var/cache/apt/archives/bash_5.2_amd64.deb", "caches-in-image"},
           {"/var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_InRelease", "caches-in-image"},
           {"/home/alice/.cache/x", "caches-in-image"},
           // Nobody wants the unit: it does not run.
           {"/lib/systemd/system/apt-daily.timer", nullptr},
           {"/etc/xdg/autostart/xfce4-notifyd.desktop", nullptr},
           {"/var/cache/apt/archives/lock", nullptr},
           {"/var/lib/apt/extended_states", nullptr},
           {"/usr/bin/prelink", nullptr},
       }) {
    TreeMaker maker;
    maker.file(one.path);
    if (one.rule == nullptr)
      EXPECT_THAT(rules_of(maker.done()), IsEmpty()) << one.path;
    else
      EXPECT_THAT(rules_of(maker.done()), ElementsAre(one.rule)) << one.path;
  }
}

TEST(LintImage, WhatIsNotThereYetIsAnEstimateCountedOnce) {
  TreeMaker maker;
  maker.file("/etc/cron.daily/apt-compat", 40);
  maker.file("/etc/systemd/system/timers.target.wants/apt-daily.timer", 40);
  maker.file("/etc/cron.daily/man-db", 40);
  const auto findings = lint_tree(maker.done());
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_TRUE(findings[0].estimated);
  EXPECT_EQ(findings[0].bytes, 19 * kMiB);
  EXPECT_EQ(findings[0].paths.size(), 2U);
  EXPECT_EQ(findings[1].bytes, 0U) << "nobody knows";
}

TEST(LintImage, EmptyFilesAndDirectoriesCostNothing) {
  TreeMaker maker;
  maker.file("/var/log/lastlog", 0);
  maker.file("/var/log/apt").kind = LintKind::kDirectory;
  const LintTree tree = maker.done();
  EXPECT_THAT(rules_of(tree), IsEmpty());
  EXPECT_THAT(lint_repairs(tree), IsEmpty());
}

TEST(LintImage, CompiledPythonThatIsNotTakenIsCompiledByEachProgram) {
  TreeMaker maker;
  maker.file("/usr/bin/python3.11");
  const std::string cache = "/usr/lib/python3/__pycache__/";
  maker.file("/usr/lib/python3/fresh.py", 100).mtime_s = 7;
  maker.file(cache + "fresh.cpython-311.pyc", 300).pyc = by_time(7, 100);
  maker.file("/usr/lib/python3/old.py", 100).mtime_s = 0;
  maker.file(cache + "old.cpython-311.pyc", 400).pyc = by_time(7, 100);
  maker.file("/usr/lib/python3/changed.py", 101).mtime_s = 7;
  maker.file(cache + "changed.cpython-311.pyc", 500).pyc = by_time(7, 100);
  maker.file("/usr/lib/python3/hashed.py", 100).mtime_s = 0;
  maker.file(cache + "hashed.cpython-311.pyc", 600).pyc = PycHeader{true, false, 0, 0};
  maker.file(cache + "gone.cpython-311.pyc", 700).pyc = by_time(7, 100);
  maker.file("/usr/lib/python3/never.py", 50);
  const LintTree tree = maker.done();
  EXPECT_THAT(costs(tree),
              UnorderedElementsAre(Pair("stale-bytecode", 900U), Pair("no-bytecode", 50U)));
  // Only where the time alone is another is it the source's.
  EXPECT_THAT(lint_repairs(tree),
              ElementsAre(LintStep{LintRepair::kTrustPyc, cache + "old.cpython-311.pyc", {}}));
}

TEST(LintImage, WithoutAPythonNobodyCompiles) {
  TreeMaker maker;
  maker.file("/usr/lib/python3/never.py");
  EXPECT_THAT(rules_of(maker.done()), IsEmpty());
}

TEST(LintImage, MissingCachesAreToldOncePerKind) {
  TreeMaker maker;
  maker.file("/usr/share/fonts/truetype/a.ttf");
  maker.file("/usr/share/fonts/truetype/b.ttf");
  maker.file("/usr/share/icons/Adwaita").kind = LintKind::kDirectory;
  maker.file("/usr/share/icons/Adwaita/index.theme");
  maker.file("/usr/share/mime/packages/freedesktop.org.xml");
  maker.file("/usr/share/mime/mime.cache");
  const auto findings = lint_tree(maker.done());
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_THAT(findings[0].paths, ElementsAre("/usr/share/fonts/truetype/a.ttf",
                                             "/usr/share/icons/Adwaita/index.theme"));
  maker.file("/usr/share/icons/Adwaita/icon-theme.cache").mtime_s = 5;
  maker.file("/var/cache/fontconfig/1234-le64.cache-8");
  EXPECT_THAT(rules_of(maker.done()), IsEmpty());
  for (LintFile& file : maker.tree_.files)
    if (file.path == "/usr/share/icons/Adwaita") file.mtime_s = 6;
  EXPECT_THAT(rules_of(maker.done()), ElementsAre("no-cache")) << "older than its directory";
}

TEST(LintImage, EqualFilesAreLinkedUnlessTheyGo) {
  TreeMaker maker;
  maker.file("/usr/share/a", 100 * kKiB);
  maker.file("/usr/share/b", 100 * kKiB);
  maker.file("/usr/share/c", 100 * kKiB);
  maker.file("/var/tmp/d", 100 * kKiB);
  LintTree tree = maker.done();
  tree.files[2].inode = tree.files[1].inode;  // c is another name of b
  tree.equal = {{0, 1, 2, 3}};
  EXPECT_THAT(costs(tree), UnorderedElementsAre(Pair("equal-files", 200 * kKiB),
                                                Pair("caches-in-image", 100 * kKiB)));
  EXPECT_THAT(lint_repairs(tree),
              ElementsAre(LintStep{LintRepair::kRemove, "/var/tmp/d", {}},
                          LintStep{LintRepair::kLink, "/usr/share/b", "/usr/share/a"},
                          LintStep{LintRepair::kLink, "/usr/share/c", "/usr/share/a"}));
}

struct DesktopCase {
  const char* path;
  LintBelow below;
  bool elf;
  std::uint64_t size;
  const char* rule;  ///< null: none
};

TEST(LintDesktop, EachFileFallsUnderOneRule) {
  for (const DesktopCase& one : std::vector<DesktopCase>{
           {"/usr/lib/libc.so.6", LintBelow::kSame, true, 2 * kMiB, "library-metadata-changed"},
           {"/usr/share/big.dat", LintBelow::kSame, false, 2 * kMiB, "library-metadata-changed"},
           {"/usr/lib/libc.so.6", LintBelow::kOther, true, 2 * kMiB, "library-rewritten"},
           {"/usr/bin/new", LintBelow::kNone, true, 2 * kMiB, nullptr},
           {"/usr/lib/libc.so.6", LintBelow::kNotCompared, true, 2 * kMiB, nullptr},
           {"/usr/lib/tiny", LintBelow::kSame, false, 100, nullptr},
           {"/usr/lib/python3/__pycache__/x.cpython-311.pyc", LintBelow::kNone, false, 100,
            "bytecode-at-run-time"},
           {"/var/lib/dpkg/status", LintBelow::kOther, false, kMiB, "package-manager-ran"},
           {"/var/lib/apt/lists/x_y", LintBelow::kNone, false, kMiB, "package-manager-ran"},
           {"/var/cache/fontconfig/x.cache-8", LintBelow::kNone, false, 100, "cache-made-at-start"},
           {"/usr/share/icons/hicolor/icon-theme.cache", LintBelow::kOther, false, 9000,
            "cache-made-at-start"},
           {"/etc/ld.so.cache", LintBelow::kOther, false, 9000, "cache-made-at-start"},
           {"/var/log/syslog", LintBelow::kNone, false, 100, "logs-in-root"},
           {"/var/tmp/x", LintBelow::kNone, false, 100, "caches-in-root"},
           {"/var/cache/man/x", LintBelow::kNone, false, 100, "caches-in-root"},
           {"/etc/services", LintBelow::kSame, false, 12 * kKiB, "copied-unchanged"},
           {"/var/lib/x/db", LintBelow::kOther, false, 5 * kMiB, "big-file-rewritten"},
           {"/etc/hosts", LintBelow::kOther, false, 100, nullptr},
           {"/srv/data", LintBelow::kNone, false, 100 * kMiB, nullptr},
       }) {
    TreeMaker maker(LintScope::kDesktop);
    LintFile& file = maker.file(one.path, one.size);
    file.below = one.below;
    file.elf = one.elf;
    const LintTree tree = maker.done();
    if (one.rule == nullptr) {
      EXPECT_THAT(rules_of(tree), IsEmpty()) << one.path;
    } else {
      EXPECT_THAT(costs(tree), ElementsAre(Pair(one.rule, one.size))) << one.path;
    }
    EXPECT_THAT(lint_repairs(tree), IsEmpty());
  }
}

TEST(LintDesktop, CostsWhatIsOnDiskOncePerFile) {
  TreeMaker maker(LintScope::kDesktop);
  LintFile& hollow = maker.file("/var/log/a", 100 * kMiB);
  hollow.disk_bytes = kMiB;
  maker.file("/var/log/b", kMiB);
  maker.file("/var/log/c", kMiB).disk_bytes = 0;  // not on disk yet
  LintTree tree = maker.done();
  EXPECT_THAT(costs(tree), ElementsAre(Pair("logs-in-root", 3 * kMiB)));
  tree.files[2].inode = tree.files[1].inode;
  EXPECT_THAT(costs(tree), ElementsAre(Pair("logs-in-root", 2 * kMiB)));
}

TEST(LintDesktop, TheDearestComesFirst) {
  TreeMaker maker(LintScope::kDesktop);
  maker.file("/var/log/a", kMiB);
  maker.file("/var/tmp/b", 3 * kMiB);
  const auto findings = lint_tree(maker.done());
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_STREQ(findings[0].rule->name, "caches-in-root");
}

}  // namespace
}  // namespace panal::storage

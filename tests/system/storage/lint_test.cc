// What desktops write over their images, on the real overlayfs, and what the shipped images hold.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "storage/compose/overlay/overlay.h"
#include "storage/image/image_store.h"
#include "storage/lint/repair.h"
#include "storage/lint/rules.h"
#include "storage/lint/scan.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

class LintTest : public StorageTest {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    if (IsSkipped()) return;
    version_ = make_dir("images/icewm/1/root");
    make_dir("images/icewm/1/root/usr/lib");
    write(version_ + "/usr/lib/libx.so", "\177ELF" + std::string(500'000, 'x'));
  }

  /// A root that runs; what its root user does to it.
  RootSpec written(bool persistent, const std::function<int(const std::string&)>& work) {
    RootSpec spec;
    spec.version_root = version_;
    spec.upper_dir = make_dir(persistent ? "d2" : "d1") + "/upper";
    spec.mount_point = make_mount_point(persistent ? "root2" : "root1");
    spec.ids = {1'065'536, 65536};
    spec.persistent = persistent;
    const auto made = backend_.provision(spec);
    EXPECT_TRUE(made) << made.error().message();
    EXPECT_EQ(inside(spec.ids, 0, [&] { return work(spec.mount_point); }), 0);
    return spec;
  }
  [[nodiscard]] std::vector<std::string> rules(const RootSpec& spec) const {
    const auto tree =
        scan_desktop(spec.upper_dir + (spec.persistent ? "/persistent/upper" : "/volatile/upper"),
                     version_, {}, {});
    EXPECT_TRUE(tree) << tree.error().message();
    std::vector<std::string> names;
    if (tree)
      for (const LintFinding& finding : lint_tree(*tree)) names.emplace_back(finding.rule->name);
    return names;
  }

  std::string version_;
  OverlayBackend backend_;
};

TEST_F(LintTest, AChangeOfModeCopiesAWholeLibraryOnlyWhereTheRootIsKept) {
  const auto chmod_library = [](const std::string& root) {
    return ::chmod((root + "/usr/lib/libx.so").c_str(), 0700) == 0 ? 0 : errno;
  };
  const RootSpec kept = written(true, chmod_library);
  EXPECT_THAT(rules(kept), ::testing::ElementsAre("library-metadata-changed"));
  // Without its content: metacopy.
  const RootSpec volatile_root = written(false, chmod_library);
  EXPECT_THAT(rules(volatile_root), IsEmpty());
  ASSERT_TRUE(backend_.destroy(kept));
  ASSERT_TRUE(backend_.destroy(volatile_root));
}

TEST_F(LintTest, AnUpgradedLibraryIsTheDesktopsOwn) {
  const RootSpec spec = written(false, [](const std::string& root) {
    const std::string library = root + "/usr/lib/libx.so";
    const int fd = ::open((library + ".new").c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
    const std::string text = "\177ELF" + std::string(500'000, 'y');
    if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) return EIO;
    return ::rename((library + ".new").c_str(), library.c_str()) == 0 ? 0 : errno;
  });
  EXPECT_THAT(rules(spec), ::testing::ElementsAre("library-rewritten"));
  ASSERT_TRUE(backend_.destroy(spec));
}

TEST_F(LintTest, ACopyKeepsOwnersAndSetUidBits) {
  const std::string program = version_ + "/usr/lib/su";
  write(program, "su");
  ASSERT_EQ(::chown(program.c_str(), 0, 1000), 0);
  ASSERT_EQ(::chmod(program.c_str(), 04750), 0);
  ASSERT_EQ(::chown((version_ + "/usr/lib").c_str(), 7, 8), 0);
  const std::string copy = make_dir("copy");
  const auto copied = copy_image_tree(version_, copy, nullptr, {});
  ASSERT_TRUE(copied) << copied.error().message();
  const auto made = stat_of(copy + "/usr/lib/su");
  EXPECT_EQ(made.st_mode & 07777U, 04750U);
  EXPECT_EQ(made.st_gid, 1000U);
  EXPECT_EQ(stat_of(copy + "/usr/lib").st_uid, 7U);
}

class ShippedImages : public StorageTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(ShippedImages, RunNothingThatBreaksSharing) {
  const char* cache = std::getenv("PANAL_TEST_CACHE");
  const ImageStore store(std::string(cache != nullptr ? cache : "/var/cache/panal") + "/images");
  const auto all = store.list();
  ASSERT_TRUE(all) << all.error().message();
  const auto newest = std::find_if(all->begin(), all->end(),
                                   [](const auto& one) { return one.image == GetParam(); });
  if (newest == all->end()) GTEST_SKIP() << "no image; run scripts/test-image";
  const auto tree = scan_image(store.root_of(newest->image, newest->version), {}, {});
  ASSERT_TRUE(tree) << tree.error().message();
  EXPECT_EQ(tree->cut_short, "");
  std::vector<std::string> names;
  for (const LintFinding& finding : lint_tree(*tree)) {
    names.emplace_back(finding.rule->name);
    std::printf("%s: %s, %llu bytes%s, %zu files, e.g. %s\n", GetParam().c_str(),
                finding.rule->name, static_cast<unsigned long long>(finding.bytes),
                finding.estimated ? " at least" : "", finding.paths.size(),
                finding.paths.front().c_str());
  }
  for (const char* rule :
       {"package-manager-at-boot", "indexes-at-boot", "prelink", "logs-in-image"})
    EXPECT_THAT(names, Not(Contains(rule)));
}

INSTANTIATE_TEST_SUITE_P(All, ShippedImages, ::testing::Values("icewm", "xfce"));

}  // namespace
}  // namespace panal::storage

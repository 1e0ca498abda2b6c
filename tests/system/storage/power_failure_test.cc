// What is said to be done is on disk: a power failure afterwards does not take it back.
#include <fcntl.h>

#include "storage/compose/layer/layer_dir.h"
#include "storage/home/home_store.h"
#include "storage/quota/loop_mount.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

/// An ext4 in a file, of which nothing is written out but what is asked for (and what it writes by
/// itself every five seconds).
class PowerFailure : public StorageTest {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    if (IsSkipped()) return;
    ASSERT_TRUE(loop_file::make(dir_ + "/disk.img", {48 * kMib, 0}));
    disk_ = make_mount_point("disk");
    show(dir_ + "/disk.img", disk_);
  }
  static void show(const std::string& file, const std::string& point) {
    const auto tree = loop_file::open(file);
    ASSERT_TRUE(tree) << tree.error().message();
    ASSERT_TRUE(mount::attach(tree->get(), point));
  }
  /// Where the disk is mounted as it would be found now.
  std::string found() {
    const std::string copy = dir_ + "/found.img";
    std::string point = make_mount_point("found" + std::to_string(++failures_));
    if (failures_ > 1) {
      EXPECT_TRUE(mount::detach(dir_ + "/found" + std::to_string(failures_ - 1)));
      std::filesystem::remove(copy);
    }
    std::filesystem::copy_file(dir_ + "/disk.img", copy);
    show(copy, point);
    return point;
  }

  std::string disk_;
  int failures_ = 0;
};

TEST_F(PowerFailure, TakesBackNoRestore) {
  const HomeOwner owner{"restore-" + std::to_string(::getpid()), "n1"};
  for (const QuotaKind kind : {QuotaKind::kNone, QuotaKind::kLoop}) {
    const HomeRules rules{"n1", kind,
                          kind == QuotaKind::kLoop ? SpaceLimit{16 * kMib, 0} : SpaceLimit{}};
    const std::string home(to_string(kind));
    HomeStore homes(disk_ + "/homes", rules);
    for (const std::string text : {"first", "second"}) {
      SCOPED_TRACE(home + ": " + text);
      const auto put = homes.put("acme", home, true, owner, [&](int tree) -> Result<void> {
        write("/proc/self/fd/" + std::to_string(tree) + "/letter", text);
        return {};
      });
      ASSERT_TRUE(put) << put.error().message();
      HomeStore after(found() + "/homes", rules);
      std::string letter;
      const auto seen = after.with_tree("acme", home, "", owner, [&](int tree) -> Result<void> {
        letter = read("/proc/self/fd/" + std::to_string(tree) + "/letter");
        return {};
      });
      ASSERT_TRUE(seen) << seen.error().message();
      EXPECT_EQ(letter, text);
    }
  }
}

TEST_F(PowerFailure, TakesBackNoNoteOfWhoKeepsARoot) {
  const std::string upper = disk_ + "/d1/upper";
  ASSERT_TRUE(make_upper_dir(upper));
  ASSERT_TRUE(sync_around(disk_));
  for (const char* backend : {"copy", "btrfs"}) {
    ASSERT_TRUE(note_persistent_backend(upper, backend));
    EXPECT_EQ(persistent_backend(found() + "/d1/upper"), backend);
  }
}

}  // namespace
}  // namespace panal::storage

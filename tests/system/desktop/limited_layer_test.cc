#include <fcntl.h>

#include "runtime/desktop/limited_compose.h"
#include "storage/compose/overlay/overlay.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::desktop {
namespace {

using storage::QuotaKind;
constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

class LimitedLayer : public storage::StorageTest {
 protected:
  storage::RootSpec spec(int number, bool persistent) {
    storage::RootSpec spec;
    spec.version_root = make_dir("images/icewm/1/root");
    make_dir("images/icewm/1/root/etc");
    const std::string name = "d" + std::to_string(number);
    spec.upper_dir = make_dir("state/" + name) + "/upper";
    mount_points_.push_back(spec.upper_dir);
    spec.mount_point = make_mount_point("run/" + name + "/root");
    spec.ids = {1'000'000 + static_cast<std::uint32_t>(number) * 65536, 65536};
    spec.persistent = persistent;
    return spec;
  }
  /// How much the desktop's root can write, and with which error it ends.
  static int fill(const storage::RootSpec& spec, std::uint64_t least, std::uint64_t most) {
    return inside(spec.ids, 0, [&] {
      const int fd = ::open((spec.mount_point + "/etc/fill").c_str(), O_WRONLY | O_CREAT, 0644);
      if (fd < 0) return 1;
      const std::string block(65536, 'x');
      std::uint64_t written = 0;
      while (written < 2 * most && ::write(fd, block.data(), block.size()) > 0)
        written += block.size();
      if (written < least) return 2;
      return written <= most ? 0 : 3;
    });
  }
  storage::OverlayBackend overlay_;
};

TEST_F(LimitedLayer, HoldsWhatADesktopWritesIntoItsRoot) {
  for (const QuotaKind kind : {QuotaKind::kLoop, QuotaKind::kMemory}) {
    LimitedCompose compose(overlay_, {QuotaKind::kLoop, kind, {32 * kMib, 0}});
    const auto desktop = spec(kind == QuotaKind::kLoop ? 1 : 2, false);
    const auto made = compose.provision(desktop);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(fill(desktop, 16 * kMib, 32 * kMib), 0) << to_string(kind);
    const auto destroyed = compose.destroy(desktop);
    ASSERT_TRUE(destroyed) << destroyed.error().message();
    ASSERT_TRUE(compose.destroy(desktop)) << "nothing mounted is not an error";
    ASSERT_TRUE(compose.provision(desktop)) << "and it is empty again";
    EXPECT_FALSE(std::filesystem::exists(desktop.mount_point + "/etc/fill"));
    ASSERT_TRUE(compose.destroy(desktop));
  }
}

TEST_F(LimitedLayer, WhatAPersistentDesktopHasWrittenStaysWhatItWas) {
  LimitedCompose before(overlay_, {});
  const auto desktop = spec(3, true);
  ASSERT_TRUE(before.provision(desktop));
  ASSERT_EQ(inside(desktop.ids, 0,
                   [&] {
                     return ::open((desktop.mount_point + "/etc/mine").c_str(), O_WRONLY | O_CREAT,
                                   0644) < 0;
                   }),
            0);
  ASSERT_TRUE(before.destroy(desktop));
  // A quota is configured later: it is for layers made from then on.
  LimitedCompose after(overlay_, {QuotaKind::kLoop, QuotaKind::kLoop, {32 * kMib, 0}});
  const auto made = after.provision(desktop);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_TRUE(std::filesystem::exists(desktop.mount_point + "/etc/mine"));
  ASSERT_TRUE(after.destroy(desktop));
  const auto fresh = spec(4, true);
  ASSERT_TRUE(after.provision(fresh));
  EXPECT_EQ(fill(fresh, 16 * kMib, 32 * kMib), 0);
  ASSERT_TRUE(after.destroy(fresh));
  ASSERT_TRUE(after.provision(fresh));
  EXPECT_TRUE(std::filesystem::exists(fresh.mount_point + "/etc/fill")) << "persistent";
  ASSERT_TRUE(after.destroy(fresh));
}

}  // namespace
}  // namespace panal::desktop

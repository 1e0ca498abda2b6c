#include "storage/compose/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace panal::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A Debian on ext4 with nothing installed for it.
ComposeFacts debian() {
  ComposeFacts facts;
  facts.filesystems = {"ext4", "overlay", "tmpfs", "fuse", "btrfs"};
  facts.kernel = "6.1.0-44-amd64";
  facts.upper_fs = "ext4";
  facts.tried = true;
  facts.idmapped_upper = true;
  facts.fuse_device = true;
  return facts;
}

struct Case {
  const char* name;
  Wish wish;
  std::function<void(ComposeFacts&)> change;
  const char* backend;  ///< null: refused
  const char* says;     ///< in the first reason, or in the refusal
};

const Wish kVolatile{};
const Wish kKept{"auto", true, false, ""};
const Wish kLayered{"auto", false, true, ""};

Wish named(const char* backend, bool persistent = false) {
  return {backend, persistent, false, ""};
}
void nothing(ComposeFacts&) {}
void no_overlay_here(ComposeFacts& facts) { facts.filesystems.erase("overlay"); }
void on_nfs(ComposeFacts& facts) {
  facts.upper_fs = "nfs";
  facts.idmapped_upper = false;
}

class Chooses : public ::testing::TestWithParam<Case> {};

TEST_P(Chooses, OneAndSaysWhy) {
  ComposeFacts facts = debian();
  GetParam().change(facts);
  const auto choice = choose_backend(GetParam().wish, facts);
  if (GetParam().backend == nullptr) {
    ASSERT_FALSE(choice) << choice->backend;
    EXPECT_THAT(choice.error().context, HasSubstr(GetParam().says));
    return;
  }
  ASSERT_TRUE(choice) << choice.error().context;
  EXPECT_EQ(choice->backend, GetParam().backend);
  ASSERT_FALSE(choice->reasons.empty());
  EXPECT_THAT(choice->reasons.front(), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Table, Chooses,
    ::testing::Values(
        Case{"auto_is_overlay", kVolatile, nothing, "overlay", "share its pages"},
        Case{"auto_keeps_too", kKept, nothing, "overlay", "share its pages"},
        Case{"auto_with_layers", kLayered, nothing, "overlay", "share its pages"},
        Case{"without_overlay_binds", kVolatile, no_overlay_here, "bind", "without overlayfs"},
        Case{"layers_need_overlay", kLayered, no_overlay_here, nullptr, "takes no layers"},
        Case{"nothing_on_nfs", kVolatile, on_nfs, nullptr,
             "no idmapped mount can be made of the state directory's file system, nfs"},
        Case{"who_is_not_root_does_not_know", kVolatile,
             [](ComposeFacts& facts) { facts.tried = facts.idmapped_upper = false; }, nullptr,
             "ask as root"},
        Case{"snapshots_where_only_they_can", kVolatile,
             [](ComposeFacts& facts) {
               on_nfs(facts);
               facts.btrfs_pool = true;
             },
             "btrfs", "snapshots share blocks"},
        Case{"tmpfs_when_named", named("tmpfs"), nothing, "tmpfs", "configured; nothing a desktop"},
        Case{"tmpfs_needs_no_idmapped_disk", named("tmpfs"), on_nfs, "tmpfs", "configured"},
        Case{"tmpfs_keeps_nothing", named("tmpfs", true), nothing, nullptr,
             "backend tmpfs: it keeps nothing, and the desktop is persistent"},
        Case{"bind_when_named", named("bind"), nothing, "bind", "configured"},
        Case{"bind_takes_no_layers", Wish{"bind", false, true, ""}, nothing, nullptr,
             "takes no layers"},
        Case{"btrfs_wants_a_pool", named("btrfs"), nothing, nullptr, "set btrfs in [compose]"},
        Case{"btrfs_with_a_pool", named("btrfs"),
             [](ComposeFacts& facts) { facts.btrfs_pool = true; }, "btrfs", "configured"},
        Case{"btrfs_wants_a_kernel", named("btrfs"),
             [](ComposeFacts& facts) { facts.filesystems.erase("btrfs"); }, nullptr,
             "Linux 6.1.0-44-amd64 has no btrfs"},
        Case{"lvm_has_not_been_tried", named("lvm", true),
             [](ComposeFacts& facts) { facts.device_mapper = facts.lvm = facts.lvm_pool = true; },
             nullptr, "has not been tried"},
        Case{"a_limit_does_not_hold_there", Wish{"btrfs", false, false, "", true},
             [](ComposeFacts& facts) { facts.btrfs_pool = true; }, nullptr,
             "where the limit of [uppers] does not hold"},
        Case{"a_limit_and_auto", Wish{"auto", true, false, "", true}, nothing, "overlay",
             "share its pages"},
        Case{"a_limit_in_memory", Wish{"tmpfs", false, false, "", true}, nothing, "tmpfs",
             "configured"},
        Case{"a_root_with_a_limit_set_later", Wish{"auto", true, false, "btrfs", true},
             [](ComposeFacts& facts) { facts.btrfs_pool = true; }, "btrfs", "root is there"},
        Case{"fuse_wants_its_program", named("unionfs-fuse"), nothing, nullptr,
             "apt-get install unionfs-fuse"},
        Case{"fuse_overlayfs_is_to_compare", named("fuse-overlayfs"),
             [](ComposeFacts& facts) { facts.fuse_overlayfs = true; }, nullptr,
             "who writes to one changes all of them"},
        Case{"fuse_wants_fuse", named("unionfs-fuse"),
             [](ComposeFacts& facts) { facts.fuse_device = false; }, nullptr, "has no FUSE"},
        Case{"fuse", named("unionfs-fuse"), [](ComposeFacts& facts) { facts.unionfs_fuse = true; },
             "unionfs-fuse", "to compare with"},
        Case{"no_aufs", named("aufs"), nothing, nullptr, "has no aufs: it was never merged"},
        Case{"aufs_is_there", named("aufs"),
             [](ComposeFacts& facts) { facts.filesystems.insert("aufs"); }, nullptr,
             "this kernel has aufs, but it takes no idmapped branches"},
        Case{"no_unionfs", named("unionfs"), nothing, nullptr, "has no UnionFS v2"},
        Case{"unionfs_is_there", named("unionfs"),
             [](ComposeFacts& facts) { facts.filesystems.insert("unionfs"); }, nullptr,
             "this kernel has UnionFS, but"},
        Case{"no_union_mounts", named("union-mount"), nothing, nullptr,
             "no released kernel has union mounts"},
        Case{"typo", named("overlayfs"), nothing, nullptr,
             "no backend \"overlayfs\"; there are auto, overlay,"},
        Case{"empty", named(""), nothing, nullptr, "there is no backend \"\""},
        Case{"a_root_stays_where_it_is", Wish{"auto", true, false, "copy"}, nothing, "copy",
             "the desktop's persistent root is there"},
        Case{"even_if_another_is_named", Wish{"bind", true, false, "overlay"}, nothing, "overlay",
             "persistent root is there"},
        Case{"or_is_refused", Wish{"auto", true, false, "btrfs"}, nothing, nullptr,
             "the desktop's root was kept by btrfs, but no directory on btrfs"},
        Case{"what_kept_nothing_does_not_count", Wish{"auto", false, false, "copy"}, nothing,
             "overlay", "share its pages"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(Choice, OfAutoNamesWhatWasPassedOver) {
  ComposeFacts facts = debian();
  no_overlay_here(facts);
  const auto choice = choose_backend({}, facts);
  ASSERT_TRUE(choice);
  EXPECT_THAT(choice->reasons,
              ElementsAre(HasSubstr("bind: "),
                          HasSubstr("overlay: Linux 6.1.0-44-amd64 has no overlayfs")));
}

TEST(Choice, RefusalsOfOldNamesSayWhatToUse) {
  for (const char* old : {"aufs", "unionfs", "union-mount"})
    for (const bool there : {false, true}) {
      ComposeFacts facts = debian();
      if (there) facts.filesystems.insert(old);
      const auto words = why_not(old, facts);
      ASSERT_TRUE(words) << old;
      EXPECT_THAT(*words, HasSubstr("use overlay")) << old;
    }
}

TEST(Choice, WhoOnlyMeasuresMayHaveWhatNoDesktopGets) {
  ComposeFacts facts = debian();
  facts.fuse_overlayfs = true;
  EXPECT_EQ(*why_absent("fuse-overlayfs", facts), "");
  EXPECT_THAT(*why_not("fuse-overlayfs", facts), HasSubstr("use overlay"));
  facts.fuse_overlayfs = false;
  EXPECT_THAT(*why_absent("fuse-overlayfs", facts), HasSubstr("apt-get install"));
  EXPECT_THAT(*why_absent("lvm", facts), HasSubstr("has no device-mapper"));
  facts.device_mapper = true;
  EXPECT_THAT(*why_absent("lvm", facts), HasSubstr("apt-get install lvm2 thin-provisioning-tools"));
  facts.lvm = true;
  EXPECT_THAT(*why_absent("lvm", facts), HasSubstr("set lvm_pool"));
  facts.lvm_pool = true;
  EXPECT_EQ(*why_absent("lvm", facts), "");
}

TEST(Choice, NamesAreKnownAndAutoIsNone) {
  for (const std::string& name : backend_names()) {
    EXPECT_NE(name, kAutoBackend);
    EXPECT_TRUE(why_not(name, debian())) << name;
  }
  const auto unknown = why_not("zfs", debian());
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, EINVAL);
}

TEST(Facts, FilesystemsAreThoseOfTheKernelsText) {
  EXPECT_THAT(parse_filesystems("nodev\tsysfs\n\text4\nnodev\toverlay\n"),
              ElementsAre("ext4", "overlay", "sysfs"));
  struct {
    const char* text;
    std::size_t count;
  } const malformed[] = {{"", 0},        {"\n\n", 0},
                         {"ext4\n", 0},  {"\t\n", 0},
                         {"x\text4", 0}, {"nodev overlay\n", 0},
                         {"\ta b\n", 0}, {"\text4", 1},
                         {"nodev\t", 0}, {"\text4\n\text4\n", 1}};
  for (const auto& one : malformed)
    EXPECT_EQ(parse_filesystems(one.text).size(), one.count) << one.text;
}

}  // namespace
}  // namespace panal::storage

#include "storage/compose/lvm/lvm.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/mount.h"
#include "engine/base/user_namespace.h"
#include "storage/compose/copy/copy_tree.h"
#include "storage/compose/layer/layer_dir.h"
#include "storage/compose/layer/template_key.h"
#include "storage/compose/lvm/volumes.h"
#include "storage/compose/program/run_program.h"

namespace panal::storage {
namespace {

constexpr std::chrono::seconds kVolumePatience{60};
constexpr std::chrono::minutes kMkfsPatience{5};
constexpr std::string_view kTemplate = "panal-t-";
constexpr std::string_view kHalfMade = "panal-new-";
constexpr std::string_view kVolatile = "panal-v-";
constexpr std::string_view kKept = "panal-p-";
constexpr std::string_view kVersionTag = "version=";

std::string group_of(const LvmOptions& options) {
  return options.pool.substr(0, options.pool.find('/'));
}

std::string volume_of(const RootSpec& spec, bool persistent) {
  return std::string(persistent ? kKept : kVolatile) + spec.desktop;
}

std::string device_of(const std::string& group, const std::string& volume) {
  return std::string(kernel_paths::kDev) + "/" + group + "/" + volume;
}

/// What LVM takes in a tag.
bool is_tag(std::string_view text) {
  return text.size() < 1000 &&
         std::all_of(
             text.begin(), text.end(),
             [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("_+.-/=!:&#").find(c) != std::string_view::npos;
             });
}

Result<UniqueFd> mount_volume(const std::string& device) {
  return mount::create("ext4", {{"source", device}}, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME);
}

}  // namespace

BackendTraits LvmBackend::traits() const {
  BackendTraits traits;
  traits.writable_all = traits.persistent = traits.apart = true;
  return traits;
}

Result<void> LvmBackend::make_template(const std::string& version_root, const std::string& volume) {
  const std::string group = group_of(options_);
  PANAL_TRY(
      run_program({"lvcreate", "--yes", "--quiet", "--thin", "--virtualsize",
                   std::to_string(options_.volume_bytes) + "b", "--name", volume, options_.pool},
                  kVolumePatience));
  const std::string device = device_of(group, volume);
  PANAL_TRY(run_program({"mkfs.ext4", "-q", "-m", "0", device}, kMkfsPatience));
  PANAL_ASSIGN(const UniqueFd root, mount_volume(device));
  const std::string inside =
      std::string(kernel_paths::kProcSelfFd) + "/" + std::to_string(root.get());
  PANAL_TRY(copy_tree(version_root, inside + "/root", {}));
  return sync_around(inside);
}

Result<std::string> LvmBackend::ensure_template(const std::string& version_root) {
  const std::string group = group_of(options_);
  const std::string key = template_key(version_root);
  std::string volume = std::string(kTemplate) + key;
  const std::lock_guard<std::mutex> lock(making_);
  PANAL_ASSIGN(const auto volumes, list_volumes(group));
  if (std::any_of(volumes.begin(), volumes.end(),
                  [&volume](const Volume& one) { return one.name == volume; }))
    return volume;
  const std::string aside = std::string(kHalfMade) + key;
  PANAL_TRY(remove_volume(group, aside));
  Cleanup undo([&] { (void)remove_volume(group, aside); });
  PANAL_TRY(make_template(version_root, aside));
  const std::string tag = std::string(kVersionTag) + version_root;
  if (is_tag(tag))
    PANAL_TRY(run_program({"lvchange", "--quiet", "--addtag", tag, group + "/" + aside},
                          kVolumePatience));
  PANAL_TRY(run_program({"lvrename", "--quiet", group, aside, volume}, kVolumePatience));
  undo.release();
  return volume;
}

Result<void> LvmBackend::provision(const RootSpec& spec) {
  PANAL_TRY(expect_possible(name(), traits(), spec));
  if (options_.pool.find('/') == std::string::npos)
    return fail(EINVAL, "compose: lvm needs a thin pool, lvm_pool = \"group/pool\" in [compose]");
  PANAL_TRY(expect_named(name(), spec));
  PANAL_TRY(expect_unmounted(spec));
  PANAL_TRY(expect_trees(spec));
  const std::string group = group_of(options_);
  PANAL_TRY(remove_volume(group, volume_of(spec, false)));
  PANAL_TRY(make_upper_dir(spec.upper_dir));
  if (spec.persistent)
    PANAL_TRY(make_directory(spec.upper_dir + "/" + layer_name(name(), true), 0700));
  const std::string volume = volume_of(spec, spec.persistent);
  Cleanup undo([&] {
    (void)detach_all(spec.mount_point);
    if (!spec.persistent) (void)remove_volume(group, volume);
  });
  PANAL_ASSIGN(const auto volumes, list_volumes(group));
  const bool there = std::any_of(volumes.begin(), volumes.end(),
                                 [&volume](const Volume& one) { return one.name == volume; });
  if (!there) {
    PANAL_ASSIGN(const std::string source, ensure_template(spec.version_root));
    PANAL_TRY(run_program({"lvcreate", "--yes", "--quiet", "--snapshot", "--setactivationskip", "n",
                           "--name", volume, group + "/" + source},
                          kVolumePatience));
  }
  // After a boot it may be inactive; active is not an error.
  PANAL_TRY(run_program(
      {"lvchange", "--quiet", "--activate", "y", "--ignoreactivationskip", group + "/" + volume},
      kVolumePatience));
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));
  {
    PANAL_ASSIGN(const UniqueFd root, mount_volume(device_of(group, volume)));
    PANAL_TRY(mount::attach(root.get(), spec.mount_point));
  }
  PANAL_TRY(mount::bind_idmapped(spec.mount_point + "/root", spec.mount_point, MOUNT_ATTR_NODEV,
                                 names.fd()));
  undo.release();
  return {};
}

Result<void> LvmBackend::destroy(const RootSpec& spec) {
  PANAL_TRY(expect_named(name(), spec));
  PANAL_TRY(detach_all(spec.mount_point));
  if (spec.persistent) return {};
  PANAL_TRY(remove_volume(group_of(options_), volume_of(spec, false)));
  return {};
}

Result<RootUsage> LvmBackend::usage(const RootSpec& spec) {
  RootUsage usage;
  PANAL_ASSIGN(const bool mounted, is_mounted_at(spec.mount_point));
  if (!mounted) return usage;
  struct statvfs info{};
  if (::statvfs(spec.mount_point.c_str(), &info) != 0)
    return fail_errno("statvfs", spec.mount_point);
  usage.bytes = static_cast<std::uint64_t>(info.f_blocks - info.f_bfree) * info.f_frsize;
  usage.inodes = info.f_files - info.f_ffree;
  return usage;
}

Result<Recovered> LvmBackend::recover(const RecoverScope& scope) {
  Recovered all;
  const auto unmount = [&all](const RootSpec& spec) -> Result<void> {
    PANAL_ASSIGN(const std::uint32_t mounts, detach_all(spec.mount_point));
    all.unmounted += mounts;
    return {};
  };
  PANAL_TRY(for_each_resting(scope, all, unmount));
  if (options_.pool.find('/') == std::string::npos) return all;
  const std::string group = group_of(options_);
  const std::lock_guard<std::mutex> lock(making_);
  PANAL_ASSIGN(const auto volumes, list_volumes(group));
  for (const Volume& one : volumes) {
    bool left = one.name.starts_with(kHalfMade) ||
                (one.name.starts_with(kVolatile) &&
                 !scope.live.contains(one.name.substr(kVolatile.size())));
    if (one.name.starts_with(kTemplate))
      for (const std::string& tag : one.tags)
        left = left || (tag.starts_with(kVersionTag) &&
                        ::access(tag.c_str() + kVersionTag.size(), F_OK) != 0 && errno == ENOENT);
    if (!left) continue;
    auto removed = remove_volume(group, one.name);
    if (!removed)
      all.problems.push_back(removed.error().message());
    else
      ++all.removed;
  }
  return all;
}

Result<void> LvmBackend::erase(const RootSpec& spec) {
  PANAL_TRY(expect_named(name(), spec));
  PANAL_TRY(detach_all(spec.mount_point));
  for (const bool persistent : {false, true})
    PANAL_TRY(remove_volume(group_of(options_), volume_of(spec, persistent)));
  return remove_tree(spec.upper_dir);
}

}  // namespace panal::storage

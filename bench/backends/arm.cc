#include "bench/backends/arm.h"

#include <filesystem>
#include <fstream>

#include "bench/backends/backends.h"
#include "engine/base/mount.h"
#include "storage/compose/bind/bind.h"
#include "storage/compose/btrfs/btrfs.h"
#include "storage/compose/choice.h"
#include "storage/compose/copy/copy.h"
#include "storage/compose/copy/copy_tree.h"
#include "storage/compose/lvm/lvm.h"
#include "storage/compose/overlay/overlay.h"
#include "storage/compose/tmpfs/tmpfs.h"
#include "storage/compose/union_fuse/union_fuse.h"

namespace panal::bench {
namespace {

namespace fs = std::filesystem;

/// Sparse; what is not written takes nothing.
constexpr std::uint64_t kPoolBytes = std::uint64_t{16} << 30U;

Result<void> make_dirs(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail(error.value(), "make directory " + path);
  return {};
}

/// The file system of snapshots, or of copies that share blocks.
Result<storage::BtrfsOptions> open_own_pool(Arm& arm, const std::string& directory) {
  storage::BtrfsOptions options{directory + "/pool", directory + "/pool.disk", kPoolBytes};
  PANAL_TRY(storage::open_pool(options));
  arm.pool = options.pool;
  arm.undo.push([pool = options.pool] { (void)mount::detach(pool); });
  return options;
}

/// An application's and a site's layer, with a few files each.
Result<void> make_layers(Arm& arm, const std::string& directory) {
  for (const char* name : {"application", "site"}) {
    const std::string layer = directory + "/layers/" + name;
    PANAL_TRY(make_dirs(layer + "/usr/share/" + name));
    for (int i = 0; i < 50; ++i)
      std::ofstream(layer + "/usr/share/" + name + "/" + std::to_string(i)) << "a file\n";
    arm.layers.push_back(layer);
  }
  return {};
}

Result<void> set_up(Arm& arm, const ArmSite& site) {
  const std::string& name = arm.name;
  if (name == "overlay" || name == "overlay-layers") {
    arm.backend = std::make_unique<storage::OverlayBackend>();
    if (name == "overlay-layers") return make_layers(arm, site.directory);
  } else if (name == "tmpfs") {
    arm.backend = std::make_unique<storage::TmpfsBackend>();
  } else if (name == "bind") {
    arm.backend = std::make_unique<storage::BindBackend>();
  } else if (name == "copy") {
    arm.backend = std::make_unique<storage::CopyBackend>(false);
  } else if (name == "copy-reflink") {
    PANAL_TRY(open_own_pool(arm, site.directory));
    arm.base = arm.pool + "/base";
    PANAL_TRY(make_dirs(arm.base));
    arm.version_root = arm.base + "/version";
    PANAL_TRY(storage::copy_tree(site.version.root, arm.version_root, {}));
    arm.backend = std::make_unique<storage::CopyBackend>(true);
  } else if (name == "btrfs") {
    PANAL_ASSIGN(auto options, open_own_pool(arm, site.directory));
    arm.backend = std::make_unique<storage::BtrfsBackend>(std::move(options));
  } else if (name == "fuse-overlayfs") {
    arm.backend =
        std::make_unique<storage::UnionFuseBackend>(storage::UnionProgram::kFuseOverlayfs);
  } else if (name == "unionfs-fuse") {
    arm.backend = std::make_unique<storage::UnionFuseBackend>(storage::UnionProgram::kUnionfsFuse);
  } else if (name == "lvm") {
    storage::LvmOptions options;
    options.pool = site.lvm_pool;
    arm.backend = std::make_unique<storage::LvmBackend>(std::move(options));
  } else {
    return fail(EINVAL, "there is no arm \"" + name + "\"");
  }
  return {};
}

std::string why_skipped(const std::string& name, const ArmSite& site) {
  storage::ComposeFacts facts = site.facts;
  if (name.starts_with("copy") && name != "copy-reflink") return "";
  if (name == "btrfs" || name == "copy-reflink") {
    if (!facts.filesystems.contains("btrfs")) return "this kernel has no btrfs";
    return facts.mkfs_btrfs ? "" : "mkfs.btrfs is not installed (btrfs-progs)";
  }
  facts.lvm_pool = !site.lvm_pool.empty();
  const std::string backend = name == "overlay-layers" ? "overlay" : name;
  const auto words = storage::why_absent(backend, facts);
  return words ? *words : "";
}

}  // namespace

Result<Arm> open_arm(const std::string& name, const ArmSite& site) {
  Arm arm;
  arm.name = name;
  arm.skipped = why_skipped(name, site);
  if (!arm.skipped.empty()) return arm;
  PANAL_TRY(make_dirs(site.directory));
  arm.base = site.directory;
  arm.version_root = site.version.root;
  PANAL_TRY(set_up(arm, site));
  return arm;
}

Result<storage::RootSpec> arm_spec(const Arm& arm, const std::string& directory,
                                   std::size_t number) {
  storage::RootSpec spec;
  spec.version_root = arm.version_root;
  spec.layers = arm.layers;
  spec.desktop = "d" + std::to_string(number + 1);
  spec.upper_dir = arm.base + "/state/" + spec.desktop + "/upper";
  spec.mount_point = directory + "/run/" + spec.desktop + "/root";
  spec.ids = {1'000'000 + static_cast<std::uint32_t>(number) * 65'536, 65'536};
  PANAL_TRY(make_dirs(arm.base + "/state/" + spec.desktop));
  PANAL_TRY(make_dirs(spec.mount_point));
  return spec;
}

}  // namespace panal::bench

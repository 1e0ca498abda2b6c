#include "bench/versions/page_peers.h"

#include <linux/mount.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "bench/density/units.h"
#include "bench/versions/tree_pages.h"
#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "storage/compose/btrfs/loop_device.h"
#include "storage/compose/copy/copy_tree.h"
#include "storage/compose/program/run_program.h"

namespace panal::bench {
namespace {

using nlohmann::json;

/// An image of 700 MiB takes some seconds.
constexpr std::chrono::minutes kMakingPatience{10};

void add(json& out, const std::string& name, const PairCache& cache) {
  out[name + "_cache_two_mib"] = static_cast<double>(cache.both) / kMib;
  out[name + "_cache_ratio"] = cache.ratio();
}

/// Makes the image of `tree` and mounts it.
Result<void> mount_image(const std::string& tree, const std::string& image,
                         const std::string& target, Cleanup& undo) {
  PANAL_TRY(storage::run_program({"mkfs.erofs", image, tree}, kMakingPatience));
  if (::mkdir(target.c_str(), 0700) != 0) return fail_errno("make directory", target);
  PANAL_ASSIGN(const storage::LoopDevice device, storage::attach_loop(image));
  PANAL_ASSIGN(const UniqueFd made,
               mount::create("erofs", {{"source", device.path}, {"ro", ""}}, MOUNT_ATTR_RDONLY));
  PANAL_TRY(mount::attach(made.get(), target));
  undo.push([target] { (void)mount::detach(target); });
  return {};
}

Result<void> add_erofs(const std::string& directory, const std::string& first,
                       const std::string& second, json& out) {
  if (!storage::has_program("mkfs.erofs")) {
    out["erofs_images"] = "skipped: mkfs.erofs is not installed (scripts/setup bench)";
    return {};
  }
  Cleanup undo;
  for (const auto& [tree, name] : {std::pair(&first, "/one"), std::pair(&second, "/two")}) {
    const std::string target = directory + name;
    const auto mounted = mount_image(*tree, target + ".erofs", target, undo);
    if (mounted) continue;
    // Only this kernel's being without it is a reason to do without it.
    if (mounted.error().code != ENODEV && !mounted.error().is_unsupported()) return mounted;
    out["erofs_images"] = "skipped: " + mounted.error().message();
    return {};
  }
  struct stat info{};
  const std::string image = directory + "/one.erofs";
  if (::stat(image.c_str(), &info) != 0) return fail_errno("look at", image);
  out["erofs_image_mib"] = static_cast<double>(info.st_blocks) * 512 / kMib;
  PANAL_ASSIGN(const PairCache cache, cache_of_pair(directory + "/one", directory + "/two"));
  add(out, "erofs_images", cache);
  return {};
}

}  // namespace

Result<json> page_cache_of_peers(const std::string& directory, const std::string& first,
                                 const std::string& second) {
  json out = json::object();
  if (::mkdir(directory.c_str(), 0700) != 0) return fail_errno("make directory", directory);
  const Cleanup remove([directory] { (void)remove_tree(directory); });
  const std::string one = directory + "/one.tree";
  const std::string two = directory + "/two.tree";
  PANAL_TRY(storage::copy_tree(first, one, {.reflink = false}));
  PANAL_TRY(storage::copy_tree(second, two, {.reflink = false}));
  PANAL_ASSIGN(const PairCache cache, cache_of_pair(one, two));
  add(out, "separate_trees", cache);
  PANAL_TRY(add_erofs(directory, one, two, out));
  return out;
}

}  // namespace panal::bench

#include "storage/compose/facts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "engine/base/kernel_paths.h"
#include "engine/base/mount.h"
#include "engine/base/user_namespace.h"
#include "storage/compose/btrfs/pool.h"
#include "storage/compose/copy/copy_tree.h"
#include "storage/compose/program/run_program.h"
#include "storage/compose/union_fuse/union_fuse.h"

namespace panal::storage {
namespace {

/// Any range does: nothing is written through it.
constexpr std::uint32_t kTrialId = 100'000;
constexpr std::uint32_t kTrialIds = 65'536;

std::string type_of(const std::string& path) {
  constexpr std::pair<unsigned long, const char*> kTypes[] = {
      {EXT4_SUPER_MAGIC, "ext4"},
      {0x58465342, "xfs"},
      {BTRFS_SUPER_MAGIC, "btrfs"},
      {TMPFS_MAGIC, "tmpfs"},
      {OVERLAYFS_SUPER_MAGIC, "overlay"},
      {NFS_SUPER_MAGIC, "nfs"},
      {0x65735546, "fuse"},
      {0xf2f52010, "f2fs"},
      {0x2fc12fc1, "zfs"},
  };
  struct statfs info{};
  if (::statfs(path.c_str(), &info) != 0) return "";
  for (const auto& [magic, name] : kTypes)
    if (static_cast<unsigned long>(info.f_type) == magic) return name;
  return "unknown";
}

bool can_idmap(const std::string& path) {
  const auto names = UserNamespace::create(kTrialId, kTrialIds);
  const auto tree = mount::clone_tree(path);
  return names && tree && mount::set_attributes(tree->get(), 0, names->fd()).has_value();
}

/// Loads the module where there is one. fsopen(2) alone mounts nothing.
bool knows(const char* type) {
  const UniqueFd context(static_cast<int>(::syscall(SYS_fsopen, type, 1U /* FSOPEN_CLOEXEC */)));
  return context.valid();
}

bool has_device_mapper(const Tree& tree) {
  const auto devices = tree.proc.read("devices");
  return devices && devices->find(" device-mapper\n") != std::string::npos;
}

}  // namespace

std::set<std::string> parse_filesystems(std::string_view text) {
  std::set<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos || tab + 1 == line.size()) continue;
    const std::string_view flag = line.substr(0, tab);
    const std::string_view name = line.substr(tab + 1);
    if ((flag.empty() || flag == "nodev") && name.find_first_of(" \t") == std::string_view::npos)
      out.emplace(name);
  }
  return out;
}

Result<ComposeFacts> probe_compose(const Tree& tree, const ProbePlaces& places) {
  ComposeFacts facts;
  utsname system{};
  if (::uname(&system) == 0) facts.kernel = static_cast<const char*>(system.release);
  for (const char* type : {"overlay", "btrfs", "fuse", "tmpfs"})
    if (knows(type)) facts.filesystems.insert(type);
  PANAL_ASSIGN(const std::string text, tree.proc.read("filesystems"));
  facts.filesystems.merge(parse_filesystems(text));

  facts.upper_fs = type_of(places.layers_dir);
  facts.tried = ::geteuid() == 0;
  if (facts.tried && !facts.upper_fs.empty()) {
    facts.idmapped_upper = can_idmap(places.layers_dir);
    facts.reflink = can_reflink(places.layers_dir).value_or(false);
  }
  const std::string fuse = std::string(kernel_paths::kDev) + "/fuse";
  facts.fuse_device = ::access(fuse.c_str(), F_OK) == 0;
  facts.fuse_overlayfs = find_union_program(UnionProgram::kFuseOverlayfs).has_value();
  facts.unionfs_fuse = find_union_program(UnionProgram::kUnionfsFuse).has_value();
  facts.mkfs_btrfs = has_program("mkfs.btrfs");
  facts.device_mapper = has_device_mapper(tree);
  facts.lvm = has_program("lvcreate") && has_program("thin_check");
  facts.btrfs_pool = !places.btrfs_pool.empty() &&
                     (is_on_btrfs(places.btrfs_pool) || (places.btrfs_file && facts.mkfs_btrfs));
  facts.lvm_pool = !places.lvm_pool.empty();
  return facts;
}

}  // namespace panal::storage

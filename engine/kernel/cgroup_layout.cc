#include "engine/kernel/cgroup_layout.h"

#include <algorithm>

#include "engine/base/kernel_paths.h"
#include "engine/kernel/mountinfo.h"
#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

// Names of the controllers this kernel has and has enabled.
Result<std::vector<std::string>> parse_controllers(std::string_view proc_cgroups) {
  std::vector<std::string> names;
  for (const std::string_view line : lines_of(proc_cgroups)) {
    if (line.empty() || line.front() == '#') continue;
    const auto words = words_of(line);
    if (words.size() < 4) return fail(EPROTO, "cgroups: fewer than four columns");
    const auto enabled = parse_number(words[3]);
    if (!enabled) return fail(EPROTO, "cgroups: column 4 is no number");
    if (*enabled != 0) names.emplace_back(words[0]);
  }
  return names;
}

// The path below the directory of all hierarchies; empty when it lies elsewhere.
std::string below_root(const std::string& mount_point) {
  const std::string root = kernel_paths::kSysFsCgroup;
  if (mount_point == root) return ".";
  if (mount_point.rfind(root + "/", 0) == 0) return mount_point.substr(root.size() + 1);
  return {};
}

}  // namespace

bool CgroupMount::has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

CgroupMode CgroupLayout::mode() const {
  if (v2() == nullptr) return CgroupMode::kV1;
  return mounts.size() == 1 ? CgroupMode::kV2 : CgroupMode::kHybrid;
}

const CgroupMount* CgroupLayout::with(std::string_view controller) const {
  for (const CgroupMount& mount : mounts)
    if (mount.has(controller)) return &mount;
  return nullptr;
}

const CgroupMount* CgroupLayout::v2() const {
  for (const CgroupMount& mount : mounts)
    if (mount.version == 2) return &mount;
  return nullptr;
}

Result<CgroupLayout> parse_cgroup_layout(std::string_view mountinfo,
                                         std::string_view proc_cgroups) {
  PANAL_ASSIGN(const std::vector<MountEntry> entries, parse_mountinfo(mountinfo));
  PANAL_ASSIGN(const std::vector<std::string> known, parse_controllers(proc_cgroups));
  CgroupLayout layout;
  for (const MountEntry& entry : entries) {
    CgroupMount mount;
    mount.directory = below_root(entry.mount_point);
    if (mount.directory.empty()) continue;
    if (entry.type == "cgroup2") {
      mount.version = 2;
    } else if (entry.type == "cgroup") {
      for (const std::string_view option : split(entry.super_options, ','))
        if (option.rfind("name=", 0) == 0 ||
            std::find(known.begin(), known.end(), option) != known.end())
          mount.controllers.emplace_back(option);
      if (mount.controllers.empty()) continue;
    } else {
      continue;
    }
    // A later mount at the same place covers the former; a hierarchy mounted at two places is one.
    std::erase_if(layout.mounts,
                  [&](const CgroupMount& other) { return other.directory == mount.directory; });
    const bool known_already =
        std::any_of(layout.mounts.begin(), layout.mounts.end(), [&](const CgroupMount& other) {
          return other.version == mount.version && other.controllers == mount.controllers;
        });
    if (!known_already) layout.mounts.push_back(std::move(mount));
  }
  if (layout.mounts.empty())
    return fail(ENODEV,
                std::string("no cgroup hierarchy is mounted below ") + kernel_paths::kSysFsCgroup);
  return layout;
}

Result<CgroupLayout> read_cgroup_layout(const Tree& tree) {
  PANAL_ASSIGN(const std::string mountinfo,
               tree.proc.read("self/mountinfo", std::size_t{16} << 20));
  // Absent on a kernel with CONFIG_CGROUPS v2 only.
  const std::string proc_cgroups = tree.proc.read("cgroups").value_or("");
  PANAL_ASSIGN(CgroupLayout layout, parse_cgroup_layout(mountinfo, proc_cgroups));
  for (CgroupMount& mount : layout.mounts) {
    if (mount.version != 2) continue;
    PANAL_ASSIGN(const std::string text, tree.cgroup.read(mount.directory + "/cgroup.controllers"));
    for (const std::string_view word : words_of(text)) mount.controllers.emplace_back(word);
  }
  return layout;
}

}  // namespace panal::kernel

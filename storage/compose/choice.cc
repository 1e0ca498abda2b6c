#include "storage/compose/choice.h"

#include <algorithm>
#include <functional>

namespace panal::storage {
namespace {

constexpr std::string_view kUseOverlay =
    "use overlay, which shares page cache and maps as it did and is in every kernel since 3.18";

bool known(const ComposeFacts& facts, const char* filesystem) {
  return facts.filesystems.contains(filesystem);
}

std::string no_overlay(const ComposeFacts& facts) {
  if (!known(facts, "overlay"))
    return "Linux " + facts.kernel + " has no overlayfs: load or build the module overlay";
  return "";
}

/// What idmapped views of desktops' own directories need.
std::string no_idmap(const ComposeFacts& facts) {
  if (facts.idmapped_upper) return "";
  if (!facts.tried) return "only root can try whether idmapped mounts can be made: ask as root";
  return "no idmapped mount can be made of " +
         (facts.upper_fs.empty() ? "the state directory, which is not there"
                                 : "the state directory's file system, " + facts.upper_fs) +
         ": put it on ext4, xfs or btrfs with Linux 5.19 or later";
}

std::string first_of(std::initializer_list<std::string> sentences) {
  for (const std::string& one : sentences)
    if (!one.empty()) return one;
  return "";
}

std::string no_fuse(const ComposeFacts& facts, bool program, const std::string& package) {
  if (!known(facts, "fuse") || !facts.fuse_device)
    return "Linux " + facts.kernel + " has no FUSE here: load the module fuse";
  if (!program) return "the program is not installed: apt-get install " + package;
  return "";
}

std::string no_btrfs(const ComposeFacts& facts) {
  if (!known(facts, "btrfs")) return "Linux " + facts.kernel + " has no btrfs";
  if (!facts.btrfs_pool)
    return "no directory on btrfs is configured: set btrfs in [compose] to one, or "
           "btrfs_loop_size to have a file made (which needs btrfs-progs)";
  return "";
}

std::string no_lvm(const ComposeFacts& facts) {
  if (!facts.device_mapper) return "Linux " + facts.kernel + " has no device-mapper";
  if (!facts.lvm) return "LVM is not installed: apt-get install lvm2 thin-provisioning-tools";
  if (!facts.lvm_pool)
    return "no thin pool is configured: set lvm_pool = \"group/pool\" in [compose]";
  return "";
}

struct Entry {
  std::string name;
  std::string merit;  ///< why one would have it
  bool automatic;     ///< whether "auto" may come to it
  bool persistent;
  bool layers;
  bool limit;  ///< itself, or by a quota of the layer's directory
  std::function<std::string(const ComposeFacts&)> why_absent;
  std::string unsound = {};  ///< why no desktop is to have it, wherever it can be had
};

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = {
      {"overlay", "all desktops of a version share its pages, and a root is there in 2 ms", true,
       true, true, true,
       [](const ComposeFacts& facts) { return first_of({no_overlay(facts), no_idmap(facts)}); }},
      {"bind",
       "without overlayfs, bind mounts share the version's pages; nothing can be installed inside",
       true, true, false, true, no_idmap},
      {"btrfs", "snapshots share blocks on disk, and pages of nothing", true, true, false, false,
       no_btrfs},
      {"copy", "a copy for each desktop works everywhere and shares nothing", true, true, false,
       true, no_idmap},
      {"tmpfs", "nothing a desktop writes touches a disk; it takes memory instead", false, false,
       true, true, no_overlay},
      {"lvm", "thin volumes share blocks on disk, and pages of nothing", false, true, false, false,
       no_lvm,
       "it was written where there is no device-mapper and has not been tried: use overlay, or "
       "btrfs where roots are to share blocks"},
      {"fuse-overlayfs", "a union in user space, to compare with", false, true, true, true,
       [](const ComposeFacts& facts) {
         return first_of({no_fuse(facts, facts.fuse_overlayfs, "fuse-overlayfs"), no_idmap(facts)});
       },
       "it takes equal files of a version, which are one file there, for one: who writes to one "
       "changes all of them; only panal-bench backends has it, to compare with: use overlay"},
      {"unionfs-fuse", "a union in user space, to compare with", false, true, true, true,
       [](const ComposeFacts& facts) {
         return first_of({no_fuse(facts, facts.unionfs_fuse, "unionfs-fuse"), no_idmap(facts)});
       }},
  };
  return all;
}

const Entry* find_entry(std::string_view name) {
  const auto found = std::find_if(entries().begin(), entries().end(),
                                  [name](const Entry& one) { return one.name == name; });
  return found == entries().end() ? nullptr : &*found;
}

/// The ways of old: "" for a name that is none of them.
std::string of_old(std::string_view name, const ComposeFacts& facts) {
  const std::string overlay(kUseOverlay);
  if (name == "aufs")
    return known(facts, "aufs")
               ? "this kernel has aufs, but it takes no idmapped branches, so that desktops of "
                 "different id ranges could not share an image: " +
                     overlay
               : "Linux " + facts.kernel +
                     " has no aufs: it was never merged, and Debian and "
                     "Ubuntu have dropped their patch: " +
                     overlay;
  if (name == "unionfs")
    return known(facts, "unionfs")
               ? "this kernel has UnionFS, but it takes no idmapped branches and its last release "
                 "is of 2014: " +
                     overlay
               : "Linux " + facts.kernel +
                     " has no UnionFS v2: it was never merged, and its last "
                     "release is of 2014: " +
                     overlay;
  if (name == "union-mount")
    return "no released kernel has union mounts: the patches of 2009 to 2012 were given up for "
           "overlayfs, and their mount flag means nosymfollow since 5.10: " +
           overlay;
  return "";
}

std::string unfit(const Entry& entry, const Wish& wish, const ComposeFacts& facts) {
  if (wish.persistent && !entry.persistent)
    return "it keeps nothing, and the desktop is persistent";
  if (wish.layers && !entry.layers) return "it takes no layers, and the image has some";
  if (wish.limit && !entry.limit)
    return "it keeps what desktops write elsewhere, where the limit of [uppers] does not hold";
  return first_of({entry.unsound, entry.why_absent(facts)});
}

}  // namespace

const std::vector<std::string>& backend_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const Entry& one : entries()) out.push_back(one.name);
    return out;
  }();
  return names;
}

Result<std::string> why_not(std::string_view backend, const ComposeFacts& facts) {
  if (const Entry* entry = find_entry(backend); entry != nullptr && !entry->unsound.empty())
    return entry->unsound;
  return why_absent(backend, facts);
}

Result<std::string> why_absent(std::string_view backend, const ComposeFacts& facts) {
  if (const Entry* entry = find_entry(backend); entry != nullptr) return entry->why_absent(facts);
  if (std::string words = of_old(backend, facts); !words.empty()) return words;
  std::string names;
  for (const std::string& one : backend_names()) names += (names.empty() ? "" : ", ") + one;
  return fail(EINVAL, "compose: there is no backend \"" + std::string(backend) +
                          "\"; there are auto, " + names);
}

Result<Choice> choose_backend(const Wish& wish, const ComposeFacts& facts) {
  if (wish.persistent && !wish.kept_by.empty()) {
    PANAL_ASSIGN(const std::string words, why_not(wish.kept_by, facts));
    if (!words.empty())
      return fail(EOPNOTSUPP,
                  "compose: the desktop's root was kept by " + wish.kept_by + ", but " + words);
    Choice kept{wish.kept_by, {wish.kept_by + ": the desktop's persistent root is there"}};
    if (wish.backend != kAutoBackend && wish.backend != wish.kept_by)
      kept.reasons.push_back(wish.backend + ": for new roots only");
    return kept;
  }
  if (wish.backend != kAutoBackend) {
    PANAL_ASSIGN(const std::string words, why_not(wish.backend, facts));
    const Entry* entry = find_entry(wish.backend);
    const std::string against = entry == nullptr ? words : unfit(*entry, wish, facts);
    if (!against.empty())
      return fail(EOPNOTSUPP, "compose: backend " + wish.backend + ": " + against);
    return Choice{wish.backend, {wish.backend + ": configured; " + entry->merit}};
  }
  std::vector<std::string> passed;
  for (const Entry& one : entries()) {
    if (!one.automatic) continue;
    const std::string against = unfit(one, wish, facts);
    if (!against.empty()) {
      passed.push_back(one.name + ": " + against);
      continue;
    }
    Choice choice{one.name, {one.name + ": " + one.merit}};
    choice.reasons.insert(choice.reasons.end(), passed.begin(), passed.end());
    return choice;
  }
  std::string all;
  for (const std::string& one : passed) all += (all.empty() ? "" : "; ") + one;
  return fail(EOPNOTSUPP, "compose: no backend will do here: " + all);
}

}  // namespace panal::storage

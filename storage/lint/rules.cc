#include "storage/lint/rules.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "storage/lint/rule_table.h"

namespace panal::storage {
namespace {

using lint::PlaceRule;

/// Smaller copies cost less than the block they are in.
constexpr std::uint64_t kLeastCopy = 4096;
constexpr std::uint64_t kBigFile = std::uint64_t{1} << 20;

/// The findings in the making, by rule.
class Findings {
 public:
  void add(const LintRule& rule, const LintFile& file, std::uint64_t bytes, bool estimated) {
    LintFinding& finding = at(rule);
    finding.paths.push_back(file.path);
    finding.estimated = finding.estimated || estimated;
    // A file of several names costs once; so does what several jobs would bring.
    if (estimated)
      finding.bytes = std::max(finding.bytes, bytes);
    else if (counted_.insert({&rule, file.inode}).second)
      finding.bytes += bytes;
  }

  [[nodiscard]] std::vector<LintFinding> take() {
    std::vector<LintFinding> all;
    for (auto& finding : found_) all.push_back(std::move(finding));
    std::stable_sort(all.begin(), all.end(),
                     [](const LintFinding& a, const LintFinding& b) { return a.bytes > b.bytes; });
    return all;
  }

 private:
  LintFinding& at(const LintRule& rule) {
    const auto known = std::find_if(found_.begin(), found_.end(),
                                    [&rule](const auto& finding) { return finding.rule == &rule; });
    if (known != found_.end()) return *known;
    found_.push_back({&rule, 0, false, {}});
    return found_.back();
  }

  std::vector<LintFinding> found_;
  std::set<std::pair<const LintRule*, std::uint64_t>> counted_;
};

bool is_below_programs(std::string_view path) {
  return path.starts_with("/usr/") || path.starts_with("/lib") || path.starts_with("/opt/") ||
         path.starts_with("/bin/") || path.starts_with("/sbin/");
}

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

const PlaceRule* place_of(std::span<const PlaceRule> places, const LintFile& file) {
  const auto found = std::find_if(places.begin(), places.end(), [&file](const PlaceRule& place) {
    return lint::matches(place.globs, file.path);
  });
  return found == places.end() ? nullptr : &*found;
}

/// The rule of a place that the file of an image falls under. An empty file costs nothing by
/// itself.
const PlaceRule* image_place_of(const LintFile& file) {
  if (file.kind == LintKind::kDirectory) return nullptr;
  const PlaceRule* place = place_of(lint::image_places(), file);
  return place != nullptr && place->by_size && file.size == 0 ? nullptr : place;
}

bool is_removed(const LintFile& file) {
  const PlaceRule* place = image_place_of(file);
  return place != nullptr && place->rule.repair == LintRepair::kRemove;
}

/// Python takes a compiled file by the time and size of its source; a version keeps no times.
bool is_stale(const LintTree& tree, const LintFile& file) {
  if (!file.pyc || file.pyc->by_hash) return false;
  const LintFile* source = tree.find(pyc_source_path(file.path));
  // Without a source it is never looked at in __pycache__.
  return source != nullptr && (static_cast<std::uint32_t>(source->mtime_s) != file.pyc->mtime_s ||
                               static_cast<std::uint32_t>(source->size) != file.pyc->size);
}

/// Its source has the size it was compiled from: only the time differs.
bool may_be_trusted(const LintTree& tree, const LintFile& file) {
  const LintFile* source = tree.find(pyc_source_path(file.path));
  return file.pyc && !file.pyc->by_hash && source != nullptr &&
         static_cast<std::uint32_t>(source->size) == file.pyc->size;
}

void find_uncompiled(const LintTree& tree, Findings& findings) {
  const bool python = std::any_of(tree.files.begin(), tree.files.end(), [](const LintFile& file) {
    return file.path.starts_with("/usr/bin/python3");
  });
  if (!python) return;
  std::set<std::string> compiled;
  for (const LintFile& file : tree.files)
    if (file.pyc) compiled.insert(pyc_source_path(file.path));
  for (const LintFile& file : tree.files) {
    const bool is_module = file.kind == LintKind::kFile && file.path.ends_with(".py") &&
                           file.size > 0 && file.path.starts_with("/usr/lib/python3");
    if (is_module && !compiled.contains(file.path))
      findings.add(lint::kNoBytecode, file, file.size, false);
  }
}

bool is_there(const LintTree& tree, const std::string& cache, std::int64_t not_before_s) {
  if (cache.find('*') == std::string::npos) {
    const LintFile* file = tree.find(cache);
    return file != nullptr && file->mtime_s >= not_before_s;
  }
  const char* glob = cache.c_str();
  return std::any_of(tree.files.begin(), tree.files.end(), [&](const LintFile& file) {
    return file.kind == LintKind::kFile && lint::matches({&glob, 1}, file.path);
  });
}

void find_missing_caches(const LintTree& tree, Findings& findings) {
  for (const lint::CacheRule& rule : lint::caches()) {
    const std::string_view cache = rule.cache;
    for (const LintFile& file : tree.files) {
      if (file.kind != LintKind::kFile || !lint::matches({&rule.inputs, 1}, file.path)) continue;
      const std::string directory = directory_of(file.path);
      const LintFile* above = rule.by_time ? tree.find(directory) : nullptr;
      const std::string path =
          cache.starts_with("@") ? directory + std::string(cache.substr(1)) : std::string(cache);
      if (!is_there(tree, path, above != nullptr ? above->mtime_s : INT64_MIN))
        findings.add(lint::kNoCache, file, 0, true);
      // One input tells of a cache that is made of all.
      if (!cache.starts_with("@")) break;
    }
  }
}

void lint_image(const LintTree& tree, Findings& findings) {
  for (const LintFile& file : tree.files) {
    if (const PlaceRule* place = image_place_of(file)) {
      findings.add(place->rule, file, place->by_size ? file.size : place->estimate_bytes,
                   !place->by_size);
    } else if (is_stale(tree, file)) {
      findings.add(lint::kStaleBytecode, file, file.size, false);
    }
  }
  for (const auto& group : tree.equal) {
    std::set<std::uint64_t> inodes{tree.files[group.front()].inode};
    for (const std::size_t index : group) {
      const LintFile& file = tree.files[index];
      if (inodes.insert(file.inode).second) findings.add(lint::kEqualFiles, file, file.size, false);
    }
  }
  find_uncompiled(tree, findings);
  find_missing_caches(tree, findings);
}

/// The rule that a file of a desktop's layer falls under; null: it is the desktop's own affair.
const LintRule* rule_of(const LintFile& file) {
  const PlaceRule* place = place_of(lint::desktop_places(), file);
  const bool program = is_below_programs(file.path);
  // What a package manager has replaced is told as what it is: the library weighs more.
  if (program && file.size >= kLeastCopy && (file.elf || file.below == LintBelow::kSame)) {
    if (file.below == LintBelow::kSame) return &lint::kLibraryMetadata;
    if (file.below == LintBelow::kOther) return &lint::kLibraryRewritten;
  }
  if (file.path.ends_with(".pyc")) return &lint::kBytecodeWritten;
  if (place != nullptr) return &place->rule;
  if (file.below == LintBelow::kSame && file.size >= kLeastCopy) return &lint::kSameContent;
  if (file.below == LintBelow::kOther && file.size >= kBigFile) return &lint::kBigFileRewritten;
  return nullptr;
}

void lint_desktop(const LintTree& tree, Findings& findings) {
  for (const LintFile& file : tree.files) {
    const LintRule* rule = rule_of(file);
    // Holes take no room; a file that was written a moment ago has no blocks yet.
    const std::uint64_t bytes =
        file.disk_bytes == 0 ? file.size : std::min(file.size, file.disk_bytes);
    if (rule != nullptr && bytes > 0) findings.add(*rule, file, bytes, false);
  }
}

}  // namespace

std::vector<const LintRule*> lint_rules() {
  std::vector<const LintRule*> all;
  for (const PlaceRule& place : lint::image_places()) all.push_back(&place.rule);
  for (const LintRule* rule :
       {&lint::kEqualFiles, &lint::kStaleBytecode, &lint::kNoBytecode, &lint::kNoCache})
    all.push_back(rule);
  for (const PlaceRule& place : lint::desktop_places()) all.push_back(&place.rule);
  for (const LintRule* rule :
       {&lint::kLibraryMetadata, &lint::kLibraryRewritten, &lint::kBytecodeWritten,
        &lint::kSameContent, &lint::kBigFileRewritten})
    all.push_back(rule);
  return all;
}

std::vector<LintFinding> lint_tree(const LintTree& tree) {
  Findings findings;
  if (tree.scope == LintScope::kImage)
    lint_image(tree, findings);
  else
    lint_desktop(tree, findings);
  return findings.take();
}

std::vector<LintStep> lint_repairs(const LintTree& tree) {
  std::vector<LintStep> steps;
  if (tree.scope != LintScope::kImage) return steps;
  for (const LintFile& file : tree.files)
    if (is_removed(file)) steps.push_back({LintRepair::kRemove, file.path, {}});
  // Before links: a file that is patched is another one afterwards.
  std::set<std::string> trusted;
  for (const LintFile& file : tree.files) {
    if (is_removed(file) || !is_stale(tree, file) || !may_be_trusted(tree, file)) continue;
    steps.push_back({LintRepair::kTrustPyc, file.path, {}});
    trusted.insert(file.path);
  }
  for (const auto& group : tree.equal) {
    const LintFile* first = nullptr;
    for (const std::size_t index : group) {
      const LintFile& file = tree.files[index];
      if (is_removed(file)) continue;
      if (first == nullptr)
        first = &file;
      else if (file.inode != first->inode)
        // Equal ones are patched alike, or none is: their sources may differ.
        if (trusted.contains(file.path) == trusted.contains(first->path))
          steps.push_back({LintRepair::kLink, file.path, first->path});
    }
  }
  return steps;
}

}  // namespace panal::storage

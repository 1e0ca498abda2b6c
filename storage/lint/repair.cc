#include "storage/lint/repair.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <set>
#include <utility>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/open_beneath.h"
#include "engine/base/unique_fd.h"
#include "storage/lint/content.h"

namespace panal::storage {
namespace {

/// A place in a tree: the directory that holds it, opened without following links, and its name.
struct Place {
  UniqueFd directory;
  std::string name;
};

Result<Place> place_in(int root, const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos || slash + 1 == path.size())
    return fail(EINVAL, "\"" + path + "\" names no file");
  PANAL_ASSIGN(UniqueFd directory, open_directory_beneath(root, path.substr(0, slash)));
  return Place{std::move(directory), path.substr(slash + 1)};
}

/// Not as it was looked at: the step is left out.
bool is_other_now(const Error& error) {
  return error.code == ENOENT || error.code == ENOTDIR || error.code == ELOOP ||
         error.code == EINVAL || error.code == EISDIR;
}

Result<bool> remove_step(int root, const LintStep& step) {
  PANAL_ASSIGN(const Place place, place_in(root, step.path));
  if (::unlinkat(place.directory.get(), place.name.c_str(), 0) != 0)
    return fail_errno("delete", step.path);
  return true;
}

Result<bool> trust_step(int root, const LintStep& step) {
  PANAL_ASSIGN(const Place place, place_in(root, step.path));
  const UniqueFd fd(::openat(place.directory.get(), place.name.c_str(),
                             O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return fail_errno("open", step.path);
  std::array<char, kPycHeaderBytes> bytes{};
  const ssize_t got = ::pread(fd.get(), bytes.data(), bytes.size(), 0);
  if (got < 0) return fail_errno("read", step.path);
  const auto header = parse_pyc_header({bytes.data(), static_cast<std::size_t>(got)});
  if (!header || header->by_hash) return false;
  const std::string words = unchecked_pyc_words();
  constexpr off_t kBehindMagic = 4;
  if (::pwrite(fd.get(), words.data(), words.size(), kBehindMagic) !=
      static_cast<ssize_t>(words.size()))
    return fail_errno("write", step.path);
  return true;
}

/// The file is there all the time: the link gets another name, which then takes its place.
Result<bool> link_step(int root, const LintStep& step) {
  PANAL_ASSIGN(const UniqueFd one, open_beneath(root, step.path));
  PANAL_ASSIGN(const UniqueFd other, open_beneath(root, step.target));
  struct stat of_one{};
  struct stat of_other{};
  if (::fstat(one.get(), &of_one) != 0 || ::fstat(other.get(), &of_other) != 0)
    return fail_errno("stat", step.path);
  if (of_one.st_ino == of_other.st_ino || of_one.st_size != of_other.st_size ||
      of_one.st_mode != of_other.st_mode || of_one.st_uid != of_other.st_uid ||
      of_one.st_gid != of_other.st_gid)
    return false;
  const ScanBudget budget;
  lint::Reading reading(budget);
  PANAL_ASSIGN(const bool same,
               lint::same_content(one.get(), other.get(),
                                  static_cast<std::uint64_t>(of_one.st_size), reading));
  if (!same) return false;
  PANAL_ASSIGN(const Place from, place_in(root, step.target));
  PANAL_ASSIGN(const Place to, place_in(root, step.path));
  constexpr const char* kAside = ".panal-link";
  if (::linkat(from.directory.get(), from.name.c_str(), to.directory.get(), kAside, 0) != 0)
    return fail_errno("link", step.path);
  if (::renameat(to.directory.get(), kAside, to.directory.get(), to.name.c_str()) != 0) {
    const Failure failed = fail_errno("rename over", step.path);
    (void)::unlinkat(to.directory.get(), kAside, 0);
    return failed;
  }
  return true;
}

Result<bool> carry_out_step(int root, const LintStep& step) {
  switch (step.repair) {
    case LintRepair::kNone: return false;
    case LintRepair::kRemove: return remove_step(root, step);
    case LintRepair::kLink: return link_step(root, step);
    case LintRepair::kTrustPyc: return trust_step(root, step);
  }
  return false;
}

/// Sum of file sizes, one with several names once, as a build counts them.
Result<std::uint64_t> size_of_tree(const std::string& root) {
  std::uint64_t bytes = 0;
  std::set<ino_t> linked;
  PANAL_TRY(walk_tree(root, [&bytes, &linked](const TreeEntry& entry) -> Result<void> {
    if (!S_ISREG(entry.info.st_mode)) return {};
    if (entry.info.st_nlink > 1 && !linked.insert(entry.info.st_ino).second) return {};
    bytes += static_cast<std::uint64_t>(entry.info.st_size);
    return {};
  }));
  return bytes;
}

}  // namespace

Result<std::size_t> repair_tree(const std::string& root, const std::vector<LintStep>& steps) {
  const UniqueFd top(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top) return fail_errno("open", root);
  std::size_t done = 0;
  for (const LintStep& step : steps) {
    const auto carried = carry_out_step(top.get(), step);
    if (!carried && !is_other_now(carried.error())) return tl::make_unexpected(carried.error());
    if (carried && *carried) ++done;
  }
  return done;
}

Result<VersionManifest> repair_version(ImageStore& store, const VersionManifest& version,
                                       const std::vector<LintStep>& steps,
                                       const std::atomic<bool>* cancelled,
                                       const LintProgress& progress) {
  PANAL_ASSIGN(VersionManifest manifest, store.find(version.image, version.version));
  PANAL_ASSIGN(const std::string staging, store.new_staging(version.image));
  Cleanup undo([&store, staging] { (void)store.discard_staging(staging); });
  const std::string root = staging + "/root";
  if (::mkdir(root.c_str(), 0755) != 0) return fail_errno("make directory", root);
  PANAL_TRY(
      copy_image_tree(store.root_of(version.image, version.version), root, cancelled, progress));
  if (progress) progress(0.6, "repairing the copy");
  PANAL_TRY(repair_tree(root, steps));
  PANAL_ASSIGN(manifest.size_bytes, size_of_tree(root));
  manifest.message = "repaired copy of " + version.version + " (lint --fix)";
  manifest.parent = std::exchange(manifest.commit, {});
  manifest.version.clear();
  manifest.recipe_digest.clear();
  manifest.created_unix_s = 0;
  if (progress) progress(0.8, "writing to disk");
  // File capabilities are the former version's, which was judged when it was made.
  PANAL_ASSIGN(VersionManifest made, store.commit(staging, std::move(manifest), true));
  undo.release();
  if (progress) progress(1, "done");
  return made;
}

}  // namespace panal::storage

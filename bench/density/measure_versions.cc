// What versions of an image cost: time to commit, list, compare and collect, and page cache.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/density/measure.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "storage/image/image_store.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using storage::ImageStore;
using storage::VersionManifest;

/// Files of 500 bytes to 256 KiB, as many of each size: 51 KiB on average, as in a desktop's image.
constexpr unsigned kSizes = 10;
constexpr std::uint64_t kSmallest = 500;
/// 700 MiB.
constexpr unsigned kLargeFiles = 14'350;
/// For a hundred versions: what counts there is the number of files, not their bytes.
constexpr unsigned kManyFiles = 20'000;
constexpr std::uint64_t kManyBytes = 2000;
constexpr unsigned kVersions = 100;
constexpr std::uint64_t kCachePage = 4096;

struct TreePlan {
  unsigned files = 0;
  std::uint64_t bytes_each = 0;  ///< 0: of ten sizes
};

std::string path_of(unsigned file) {
  return fmt::format("usr/d{}/e{}/f{}", file / 144, file / 12 % 12, file);
}

std::uint64_t size_of(const TreePlan& tree, unsigned file) {
  return tree.bytes_each != 0 ? tree.bytes_each : kSmallest << (file % kSizes);
}

/// `edition` changes the content. Nothing in it repeats: neither a disk nor a file system makes it
/// smaller.
Result<void> write_one(const std::string& root, const TreePlan& tree, unsigned file,
                       std::uint64_t edition) {
  const std::string path = root + "/" + path_of(file);
  // A checkout's file is the repository's: a new one takes its name.
  (void)::unlink(path.c_str());
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("create", path);
  std::uint64_t state = (std::uint64_t{file} << 20U) ^ (edition * 0x9e3779b97f4a7c15U) ^ 1U;
  std::string block(65536, '\0');
  for (std::uint64_t left = size_of(tree, file); left > 0;) {
    for (std::size_t at = 0; at < block.size(); at += sizeof state) {
      state ^= state << 13U;
      state ^= state >> 7U;
      state ^= state << 17U;
      block.replace(at, sizeof state, reinterpret_cast<const char*>(&state), sizeof state);
    }
    const std::size_t now = std::min<std::uint64_t>(left, block.size());
    if (::write(fd.get(), block.data(), now) != static_cast<ssize_t>(now))
      return fail_errno("write", path);
    left -= now;
  }
  return {};
}

/// Each `every`th file (0: none) is of another edition than the first.
Result<void> write_tree(const std::string& root, const TreePlan& tree, unsigned every,
                        std::uint64_t edition) {
  for (unsigned file = 0; file < tree.files; ++file) {
    if (file % 12 == 0) {
      std::error_code code;
      const std::string path = root + "/" + path_of(file);
      std::filesystem::create_directories(path.substr(0, path.rfind('/')), code);
      if (code) return fail(code.value(), "make directories of " + path);
    }
    PANAL_TRY(write_one(root, tree, file, every != 0 && file % every == 0 ? edition : 0));
  }
  return {};
}

VersionManifest manifest() {
  VersionManifest made;
  made.image = "bench";
  made.session = {"true"};
  made.packages = {{"bash", "5.2"}};
  return made;
}

/// A version of freshly written files; seconds of the commit alone.
Result<double> commit_new(ImageStore& store, const TreePlan& tree, unsigned every,
                          std::uint64_t edition, VersionManifest* made) {
  PANAL_ASSIGN(const std::string staging, store.new_staging("bench"));
  Cleanup undo([&] { (void)store.discard_staging(staging); });
  PANAL_TRY(write_tree(staging + "/root", tree, every, edition));
  // What was written before is not the commit's to wait for.
  ::sync();
  const auto begin = Clock::now();
  PANAL_ASSIGN(*made, store.commit(staging, manifest()));
  undo.release();
  return seconds_since(begin);
}

/// Pages of all regular files below `root` that are in the page cache, by inode.
Result<void> add_cached_pages(const std::string& root, bool reads,
                              std::map<std::uint64_t, std::uint64_t>& pages) {
  return walk_tree(root, [&](const TreeEntry& entry) -> Result<void> {
    if (!S_ISREG(entry.info.st_mode) || entry.info.st_size == 0) return {};
    const UniqueFd fd(::openat(entry.directory, entry.name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return fail_errno("open", entry.path);
    const auto size = static_cast<std::size_t>(entry.info.st_size);
    if (reads) {
      std::string block(65536, '\0');
      while (::read(fd.get(), block.data(), block.size()) > 0) {
      }
    }
    void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (mapped == MAP_FAILED) return fail_errno("map", entry.path);
    std::vector<unsigned char> present((size + kCachePage - 1) / kCachePage);
    const int looked = ::mincore(mapped, size, present.data());
    (void)::munmap(mapped, size);
    if (looked != 0) return fail_errno("look for pages of", entry.path);
    std::uint64_t count = 0;
    for (const unsigned char page : present) count += page & 1U;
    pages[entry.info.st_ino] = count;
    return {};
  });
}

Result<void> drop_pages(const std::string& root) {
  ::sync();
  return walk_tree(root, [](const TreeEntry& entry) -> Result<void> {
    if (!S_ISREG(entry.info.st_mode)) return {};
    const UniqueFd fd(::openat(entry.directory, entry.name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED) != 0)
      return fail_errno("drop pages of", entry.path);
    return {};
  });
}

std::uint64_t all_of(const std::map<std::uint64_t, std::uint64_t>& pages) {
  std::uint64_t all = 0;
  for (const auto& [inode, count] : pages) all += count;
  return all;
}

/// Page cache after two versions with 90 % equal files have been read, as a part of that after one.
Result<double> cache_ratio(const ImageStore& store, const VersionManifest& one,
                           const VersionManifest& two, json& details) {
  const std::string first = store.root_of("bench", one.version);
  const std::string second = store.root_of("bench", two.version);
  PANAL_TRY(drop_pages(first));
  PANAL_TRY(drop_pages(second));
  std::map<std::uint64_t, std::uint64_t> pages;
  PANAL_TRY(add_cached_pages(first, true, pages));
  const double alone = static_cast<double>(all_of(pages));
  PANAL_TRY(add_cached_pages(second, true, pages));
  const double both = static_cast<double>(all_of(pages));
  if (alone == 0) return fail(ENODATA, "no page of the first version is in the page cache");
  details["cache_one_mib"] = alone * kCachePage / (1 << 20);
  details["cache_two_mib"] = both * kCachePage / (1 << 20);
  return both / alone;
}

struct HundredVersions {
  double log_seconds = 0;
  double diff_seconds = 0;
  double gc_seconds = 0;
  double bytes_ratio = 0;  ///< the repository's bytes to those of a hundred separate trees
};

Result<HundredVersions> hundred_versions(const std::string& dir) {
  const TreePlan tree{kManyFiles, kManyBytes};
  ImageStore store(dir + "/many");
  VersionManifest last;
  PANAL_TRY(commit_new(store, tree, 0, 0, &last));
  const VersionManifest first = last;
  for (unsigned version = 1; version < kVersions; ++version) {
    // As an update does: a tree of the last version, one file of a hundred new.
    PANAL_ASSIGN(const std::string staging, store.new_staging("bench"));
    Cleanup undo([&] { (void)store.discard_staging(staging); });
    PANAL_ASSIGN(const storage::Repository repository, store.repository());
    PANAL_TRY(repository.checkout(last.commit, staging + "/root"));
    for (unsigned file = version; file < tree.files; file += 100)
      PANAL_TRY(write_one(staging + "/root", tree, file, version));
    VersionManifest made = manifest();
    made.parent = last.commit;
    PANAL_ASSIGN(last, store.commit(staging, std::move(made)));
    undo.release();
    if (version % 10 == 0) say("{} of {} versions", version, kVersions);
  }
  HundredVersions result;
  PANAL_ASSIGN(storage::Repository repository, store.repository());
  auto begin = Clock::now();
  PANAL_ASSIGN(const auto log, repository.log("bench"));
  result.log_seconds = seconds_since(begin);
  if (log.size() != kVersions) return fail(EPROTO, fmt::format("{} versions", log.size()));
  begin = Clock::now();
  PANAL_ASSIGN(const auto diff, repository.diff(first.commit, last.commit));
  result.diff_seconds = seconds_since(begin);
  PANAL_ASSIGN(const auto sizes, store.sizes());
  result.bytes_ratio =
      static_cast<double>(sizes.bytes) / (static_cast<double>(kVersions) * tree.files * kCachePage);
  // With something to do: one version's own files.
  PANAL_TRY(store.remove("bench", first.version));
  begin = Clock::now();
  PANAL_TRY(store.gc());
  result.gc_seconds = seconds_since(begin);
  return result;
}

}  // namespace

Result<Measured> measure_versions(const std::string& figure) {
  const char* const base = std::getenv("TMPDIR");
  std::string dir = std::string(base != nullptr ? base : "/tmp") + "/versions.XXXXXX";
  if (::mkdtemp(dir.data()) == nullptr) return fail_errno("make directory", dir);
  const Cleanup undo([dir] { (void)remove_tree(dir); });

  json details;
  const TreePlan large{kLargeFiles, 0};
  ImageStore store(dir + "/large");
  VersionManifest one;
  VersionManifest two;
  VersionManifest three;
  say("committing 700 MiB");
  PANAL_ASSIGN(const double first_seconds, commit_new(store, large, 0, 0, &one));
  PANAL_ASSIGN(const double commit_seconds, commit_new(store, large, 100, 1, &two));
  say("{:.1f} s; with one file in a hundred changed {:.1f} s", first_seconds, commit_seconds);
  // Every eleventh file: of each size as many, and at least 90 % equal.
  PANAL_ASSIGN(const double tenth_seconds, commit_new(store, large, 11, 2, &three));
  details["first_commit_seconds"] = first_seconds;
  details["commit_tenth_changed_seconds"] = tenth_seconds;
  PANAL_ASSIGN(const double ratio, cache_ratio(store, one, three, details));
  say("page cache of both versions to that of one: {:.3f}", ratio);
  PANAL_ASSIGN(const HundredVersions many, hundred_versions(dir));
  details["repository_to_separate_trees"] = many.bytes_ratio;
  return of_one_run(figure,
                    {{"storage.versions.cache_ratio", ratio},
                     {"storage.commit_seconds", commit_seconds},
                     {"storage.log_seconds_100", many.log_seconds},
                     {"storage.diff_seconds_100", many.diff_seconds},
                     {"storage.gc_seconds_100", many.gc_seconds}},
                    details.dump());
}

}  // namespace panal::bench

// What versions of an image cost: time to commit, list, compare and collect, and page cache.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bench/density/measure.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/density/units.h"
#include "bench/versions/made_tree.h"
#include "bench/versions/page_peers.h"
#include "bench/versions/tree_pages.h"
#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "storage/image/image_store.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using storage::ImageStore;
using storage::VersionManifest;

/// 700 MiB.
constexpr unsigned kLargeFiles = 14'350;
/// For a hundred versions: what counts there is the number of files, not their bytes.
constexpr unsigned kManyFiles = 20'000;
constexpr std::uint64_t kManyBytes = 2000;
constexpr unsigned kVersions = 100;
/// What the repository's bytes are reckoned against: files of a tree that shares none.
constexpr std::uint64_t kDiskBlock = 4096;

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
  PANAL_TRY(write_made_tree(staging + "/root", tree, every, edition));
  // What was written before is not the commit's to wait for.
  ::sync();
  const auto begin = Clock::now();
  PANAL_ASSIGN(*made, store.commit(staging, manifest()));
  undo.release();
  return seconds_since(begin);
}

/// Page cache after two versions with 90 % equal files have been read, as a part of that after one;
/// and the same of two trees that are kept as others keep them.
Result<double> cache_ratio(const ImageStore& store, const VersionManifest& one,
                           const VersionManifest& two, const std::string& dir, json& details) {
  const std::string first = store.root_of("bench", one.version);
  const std::string second = store.root_of("bench", two.version);
  PANAL_ASSIGN(const PairCache cache, cache_of_pair(first, second));
  details["cache_one_mib"] = static_cast<double>(cache.one) / kMib;
  details["cache_two_mib"] = static_cast<double>(cache.both) / kMib;
  say("page cache of both versions to that of one: {:.3f}", cache.ratio());
  PANAL_ASSIGN(const json peers, page_cache_of_peers(dir + "/peers", first, second));
  say("of others: {}", peers.dump());
  details.update(peers);
  return cache.ratio();
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
      PANAL_TRY(write_made_file(staging + "/root", tree, file, version));
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
      static_cast<double>(sizes.bytes) / (static_cast<double>(kVersions) * tree.files * kDiskBlock);
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
  PANAL_ASSIGN(const double ratio, cache_ratio(store, one, three, dir, details));
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

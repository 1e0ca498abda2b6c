#include "bench/versions/weekly.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/backends/bench_version.h"
#include "bench/backends/spread.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/density/units.h"
#include "bench/versions/package_updates.h"
#include "bench/versions/qcow2_chain.h"
#include "bench/versions/tarballs.h"
#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "storage/compose/copy/copy_tree.h"
#include "storage/image/image_store.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using storage::ImageStore;
using storage::Repository;
using storage::VersionManifest;

constexpr const char* kName = "weekly";

double mib_of(std::uint64_t bytes) { return static_cast<double>(bytes) / kMib; }

/// What a checkout takes beside the repository's files: directories, and files that are no links.
Result<std::uint64_t> own_bytes(const std::string& tree) {
  std::uint64_t bytes = 0;
  PANAL_TRY(walk_tree(tree, [&](const TreeEntry& entry) -> Result<void> {
    if (S_ISDIR(entry.info.st_mode) || entry.info.st_nlink == 1)
      bytes += static_cast<std::uint64_t>(entry.info.st_blocks) * 512;
    return {};
  }));
  return bytes;
}

/// The versions, in all the ways they are kept, as they come.
class Weeks {
 public:
  Weeks(const VersionsOptions& options, const BenchVersion& image, std::string directory)
      : options_(options),
        image_(image),
        directory_(std::move(directory)),
        store_(directory_ + "/images") {}

  Result<json> run() {
    PANAL_TRY(begin());
    for (unsigned week = 1; week < options_.count; ++week) PANAL_TRY(add(week));
    json out = {
        {"image",
         {{"name", image_.name},
          {"bytes", image_.bytes},
          {"files", image_.files},
          {"packages", packages_.size()}}},
        {"count", options_.count},
        {"packages_each_week", options_.packages},
        {"update_mib", {{"written", each_week(written_)}, {"changed", each_week(changed_)}}}};
    PANAL_ASSIGN(out["repository"], repository());
    out["tarballs"] = {
        {"gz_mib", mib_of(gz_)}, {"zst_mib", mib_of(zst_)}, {"measured", tarballs_measured_}};
    PANAL_ASSIGN(out["qcow2"], qcow2());
    compare(out);
    return out;
  }

 private:
  Result<void> begin() {
    PANAL_ASSIGN(packages_, packages_of(image_.root));
    say("{}: {:.0f} MiB, {} packages", image_.name, mib_of(image_.bytes), packages_.size());
    PANAL_ASSIGN(archive_, Repository::open_or_create(directory_ + "/archive",
                                                      storage::RepositoryMode::kArchive));
    PANAL_ASSIGN(const std::string staging, store_.new_staging(kName));
    Cleanup undo([&] { (void)store_.discard_staging(staging); });
    // Of which nothing is shared: what was one file by being equal is two again.
    PANAL_TRY(storage::copy_tree(image_.root, staging + "/root", {.reflink = false}));
    no_chain_ = Qcow2Chain::why_not();
    if (no_chain_.empty()) {
      PANAL_ASSIGN(chain_,
                   Qcow2Chain::make(directory_ + "/chain", staging + "/root", image_.bytes));
      say("the disk of a virtual machine: {:.0f} MiB", mib_of(chain_->base_bytes()));
    } else {
      say("no qcow2 chain: {}", no_chain_);
    }
    PANAL_TRY(pack(staging + "/root", 0));
    PANAL_TRY(commit(staging, 0));
    undo.release();
    return {};
  }

  Result<void> add(unsigned week) {
    PANAL_ASSIGN(const std::string staging, store_.new_staging(kName));
    Cleanup undo([&] { (void)store_.discard_staging(staging); });
    const std::string root = staging + "/root";
    {
      PANAL_ASSIGN(const Repository repository, store_.repository());
      PANAL_TRY(repository.checkout(last_.commit, root));
    }
    PANAL_ASSIGN(const WeeklyUpdate update,
                 update_packages(root, packages_,
                                 draw_packages(packages_.size(), options_.packages, week), week));
    written_ += update.written_bytes;
    changed_ += update.changed_bytes;
    if (chain_) {
      PANAL_ASSIGN(const std::uint64_t link, chain_->add(root, update.written));
      links_ += link;
    }
    PANAL_TRY(pack(root, week));
    PANAL_TRY(commit(staging, week));
    undo.release();
    if (week % 10 == 0)
      say("{} of {} versions; the last wrote {:.1f} MiB and changed {:.1f}", week + 1,
          options_.count, mib_of(update.written_bytes), mib_of(update.changed_bytes));
    return {};
  }

  Result<void> commit(const std::string& staging, unsigned week) {
    VersionManifest made;
    made.image = kName;
    made.session = {"true"};
    made.parent = last_.commit;
    made.message = fmt::format("week {}", week);
    made.packages = {{"bash", "5.2"}};
    const auto begin = Clock::now();
    PANAL_ASSIGN(last_, store_.commit(staging, std::move(made), true));
    commit_seconds_.push_back(seconds_since(begin));
    if (week == 0) first_ = last_;
    PANAL_ASSIGN(const Repository repository, store_.repository());
    return archive_->copy_from(repository, last_.commit);
  }

  /// Of every version: as it is, or as the one before it that was measured.
  Result<void> pack(const std::string& root, unsigned week) {
    const unsigned step =
        std::max(1U, (options_.count + options_.tarballs - 1) / std::max(1U, options_.tarballs));
    if (week % step == 0) {
      PANAL_ASSIGN(tarball_, tarball_bytes(root));
      ++tarballs_measured_;
      say("tarball of version {}: {:.1f} MiB (gzip), {:.1f} MiB (zstd)", week + 1,
          mib_of(tarball_.gz), mib_of(tarball_.zst));
    }
    gz_ += tarball_.gz;
    zst_ += tarball_.zst;
    return {};
  }

  Result<json> repository() {
    PANAL_ASSIGN(const Repository repository, store_.repository());
    auto begin = Clock::now();
    PANAL_ASSIGN(const auto log, repository.log(kName));
    const double log_seconds = seconds_since(begin);
    begin = Clock::now();
    PANAL_ASSIGN(const auto diff, repository.diff(first_.commit, last_.commit));
    const double diff_seconds = seconds_since(begin);
    if (log.size() != options_.count)
      return fail(EPROTO, fmt::format("{} versions are in the log", log.size()));
    PANAL_ASSIGN(const auto sizes, store_.sizes());
    PANAL_ASSIGN(const auto archived, archive_->sizes());
    PANAL_ASSIGN(const std::uint64_t tree, own_bytes(store_.root_of(kName, last_.version)));
    return json{{"mib", mib_of(sizes.bytes)},
                {"trees_mib", mib_of(tree) * options_.count},
                {"archive_mib", mib_of(archived.bytes)},
                {"commit_seconds_p50", spread_of(commit_seconds_).p50},
                {"log_seconds", log_seconds},
                {"diff_seconds", diff_seconds}};
  }

  Result<json> qcow2() const {
    if (!chain_) return json{{"skipped", no_chain_}};
    PANAL_TRY(chain_->check());
    return json{{"mib", mib_of(chain_->base_bytes() + links_)},
                {"base_mib", mib_of(chain_->base_bytes())},
                {"link_mib", each_week(links_)}};
  }

  /// Mean, MiB.
  [[nodiscard]] double each_week(std::uint64_t bytes) const {
    return mib_of(bytes) / (options_.count - 1);
  }

  static void compare(json& out) {
    const json& repository = out["repository"];
    const double with_trees =
        repository["mib"].get<double>() + repository["trees_mib"].get<double>();
    const double archive = repository["archive_mib"];
    json ratios = {{"tarballs_gz", out["tarballs"]["gz_mib"].get<double>() / archive},
                   {"tarballs_zst", out["tarballs"]["zst_mib"].get<double>() / archive}};
    if (out["qcow2"].contains("mib"))
      ratios["qcow2"] = out["qcow2"]["mib"].get<double>() / with_trees;
    out["to_repository"] = std::move(ratios);
  }

  const VersionsOptions& options_;
  const BenchVersion& image_;
  std::string directory_;
  ImageStore store_;
  std::optional<Repository> archive_;
  std::vector<Package> packages_;
  VersionManifest first_, last_;
  std::string no_chain_;  ///< why there is none
  std::optional<Qcow2Chain> chain_;
  std::uint64_t links_ = 0;  ///< bytes of all
  TarballBytes tarball_;     ///< the last that was measured
  unsigned tarballs_measured_ = 0;
  std::uint64_t gz_ = 0, zst_ = 0;
  std::uint64_t written_ = 0, changed_ = 0;  ///< bytes of all updates
  std::vector<double> commit_seconds_;
};

}  // namespace

Result<json> run_versions(const VersionsOptions& options) {
  if (std::getenv("PANAL_LAB_CGROUP") == nullptr)
    return fail(EINVAL, "versions are measured in a lab (scripts/lab)");
  const char* const base = std::getenv("TMPDIR");
  std::string directory = std::string(base != nullptr ? base : "/tmp") + "/versions.XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return fail_errno("make directory", directory);
  const Cleanup undo([directory] { (void)remove_tree(directory); });
  PANAL_ASSIGN(const BenchVersion image, bench_version(options.image, directory));
  return Weeks(options, image, directory).run();
}

std::string versions_table(const json& result) {
  const json& image = result["image"];
  std::string out = fmt::format(
      "{} ({:.0f} MiB, {} packages), {} versions, {} packages new in each week ({:.1f} MiB "
      "written, {:.1f} MiB changed)\n\n"
      "| kept as | MiB | to our own of the kind |\n|---|---|---|\n",
      image["name"].get<std::string>(), image["bytes"].get<double>() / kMib,
      image["packages"].get<std::size_t>(), result["count"].get<unsigned>(),
      result["packages_each_week"].get<unsigned>(), result["update_mib"]["written"].get<double>(),
      result["update_mib"]["changed"].get<double>());
  const auto row = [&out](const char* what, double mib, const json& ratio) {
    out += fmt::format("| {} | {:.0f} | {} |\n", what, mib,
                       ratio.is_number() ? fmt::format("{:.2f}x", ratio.get<double>()) : "");
  };
  const json& repository = result["repository"];
  const json& ratios = result["to_repository"];
  row("repository of a node", repository["mib"], nullptr);
  row("the same with all versions' trees",
      repository["mib"].get<double>() + repository["trees_mib"].get<double>(), nullptr);
  if (result["qcow2"].contains("skipped"))
    out += fmt::format("| qcow2 chain | not here: {} | |\n",
                       result["qcow2"]["skipped"].get<std::string>());
  else
    row("qcow2 chain", result["qcow2"]["mib"], ratios["qcow2"]);
  row("repository to publish from", repository["archive_mib"], nullptr);
  row("tarballs, gzip -6", result["tarballs"]["gz_mib"], ratios["tarballs_gz"]);
  row("tarballs, zstd -3", result["tarballs"]["zst_mib"], ratios["tarballs_zst"]);
  return out;
}

}  // namespace panal::bench

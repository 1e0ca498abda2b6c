#include <algorithm>
#include <set>

#include "engine/base/cleanup.h"
#include "storage/image/files.h"
#include "storage/image/image_store.h"

namespace panal::storage {
namespace {

std::string ref_of(const VersionManifest& manifest) {
  return manifest.image + "/" + manifest.version;
}

Damage checkout_damage(const VersionManifest& manifest, const std::string& path,
                       const std::string& what) {
  Damage damage;
  damage.kind = Damage::Kind::kCheckoutDiffers;
  damage.what = path + " " + what;
  damage.places = {manifest.image + " " + manifest.version + ": " + path};
  damage.versions = {ref_of(manifest)};
  return damage;
}

bool is_no_space(const Error& error) { return error.code == ENOSPC || error.code == EDQUOT; }

/// Part `begin` to `end` of the whole is this step's.
Work part_of(const Work& work, double begin, double end) {
  Work part;
  part.cancelled = work.cancelled;
  if (work.progress)
    part.progress = [&work, begin, end](double fraction, const std::string& what) {
      work.progress(begin + (end - begin) * fraction, what);
    };
  return part;
}

}  // namespace

Result<VersionManifest> ImageStore::materialise(const std::string& checksum, const Work& work) {
  PANAL_ASSIGN(const auto held, lock(work));
  PANAL_ASSIGN(const Repository repository, this->repository());
  PANAL_ASSIGN(VersionManifest manifest, repository.show(checksum));
  return materialise_locked(repository, std::move(manifest), work);
}

Result<VersionManifest> ImageStore::materialise_locked(const Repository& repository,
                                                       VersionManifest manifest, const Work& work) {
  PANAL_ASSIGN(const std::string named, repository.resolve(manifest.image, manifest.version));
  const Failure other = fail(
      EEXIST, "image " + manifest.image + " has another version " + manifest.version + " already");
  if (named != manifest.commit) return other;
  if (const auto there = find(manifest.image, manifest.version)) {
    if (there->commit != manifest.commit) return other;
    return manifest;
  } else if (there.error().code != ENOENT) {
    return tl::make_unexpected(there.error());
  }
  PANAL_ASSIGN(const std::string staging, new_staging(manifest.image));
  if (auto placed = place(repository, staging, manifest, work); !placed) {
    (void)discard_staging(staging);
    return tl::make_unexpected(placed.error());
  }
  return manifest;
}

Result<VersionManifest> ImageStore::adopt(const std::string& image, const std::string& version,
                                          const Work& work) {
  PANAL_ASSIGN(const auto held, lock(work));
  PANAL_ASSIGN(VersionManifest manifest, find(image, version));
  if (!manifest.commit.empty()) return manifest;
  PANAL_ASSIGN(Repository repository, this->repository());
  // An adoption that was killed, or a version of this name from another node that found its place
  // taken: neither has a tree.
  PANAL_TRY(repository.remove(image, version));
  PANAL_ASSIGN(const std::string staging, new_staging(image));
  const Cleanup undo([this, staging] { (void)discard_staging(staging); });
  CommitSpec spec;
  spec.root = root_of(image, version);
  spec.manifest = manifest;
  spec.file_capabilities = true;  // built here, before there was a repository
  PANAL_ASSIGN(manifest.commit, repository.commit(spec, part_of(work, 0, 0.8)));
  Cleanup unname([&repository, image, version] { (void)repository.remove(image, version); });

  const std::string made = staging + "/adopted";
  PANAL_TRY(files::make_directory(made, 0755));
  PANAL_TRY(repository.checkout(manifest.commit, made + "/root", part_of(work, 0.8, 0.95)));
  PANAL_TRY(files::write_file(made + "/manifest.json", print_manifest(manifest)));
  PANAL_TRY(files::sync_file_system(made));
  const std::string image_dir = images_dir_ + "/" + image;
  PANAL_TRY(files::exchange(made, image_dir + "/" + version));
  unname.release();
  PANAL_TRY(files::sync_directory(image_dir));
  work.tell(1, "adopted");
  return manifest;  // the old tree goes with the staging directory
}

Result<VersionDiff> ImageStore::diff(const std::string& image, const std::string& from,
                                     const std::string& to) const {
  PANAL_ASSIGN(const VersionManifest a, find(image, from));
  PANAL_ASSIGN(const VersionManifest b, find(image, to));
  for (const auto& manifest : {a, b})
    if (manifest.commit.empty())
      return fail(ENODATA, "version " + manifest.version + " of image " + image +
                               " was made before there was a repository; adopt it first");
  PANAL_ASSIGN(const Repository repository, Repository::open(repository_dir()));
  return repository.diff(a.commit, b.commit);
}

Result<VerifyReport> ImageStore::verify(std::uint64_t most_bytes_per_s, const Work& work) const {
  VerifyReport report;
  PANAL_ASSIGN(const auto versions, list());
  const auto repository = Repository::open(repository_dir());
  if (!repository && repository.error().code != ENOENT)
    return tl::make_unexpected(repository.error());
  if (repository) {
    PANAL_ASSIGN(report, repository->verify({}, most_bytes_per_s, part_of(work, 0, 0.9)));
  }
  std::set<std::string> damaged;
  for (const auto& damage : report.damages)
    damaged.insert(damage.versions.begin(), damage.versions.end());
  std::size_t done = 0;
  for (const auto& manifest : versions) {
    work.tell(0.9 + 0.1 * static_cast<double>(done++) / static_cast<double>(versions.size()),
              "comparing " + manifest.image + " " + manifest.version);
    if (manifest.commit.empty()) continue;  // nothing to compare with
    const auto add = [&](const std::string& path, const std::string& what) {
      report.damages.push_back(checkout_damage(manifest, path, what));
    };
    const auto named = repository ? repository->resolve(manifest.image, manifest.version)
                                  : Result<std::string>(tl::make_unexpected(repository.error()));
    if (!named || *named != manifest.commit) {
      add("/", "is of a version that the repository does not have");
      report.damages.back().kind = Damage::Kind::kObjectMissing;
      report.damages.back().object = {manifest.commit, ObjectType::kCommit};
      continue;
    }
    const auto said = repository->show(manifest.commit);
    if (said && print_manifest(*said) != print_manifest(manifest))
      add("manifest.json", "is not what the commit says");
    const auto faults = repository->verify_checkout(
        manifest.commit, root_of(manifest.image, manifest.version), part_of(work, 0.9, 0.9));
    if (faults) {
      for (const auto& fault : *faults) add(fault.path, fault.what);
    } else if (faults.error().code == ECANCELED) {
      return tl::make_unexpected(faults.error());
    } else if (!damaged.contains(ref_of(manifest))) {
      add("/", "cannot be compared: " + faults.error().message());
    }
  }
  return report;
}

Result<std::vector<Damage>> ImageStore::repair(const std::vector<Damage>& damages,
                                               const Repository::Fetch& fetch, const Work& work) {
  PANAL_ASSIGN(const auto held, lock(work));
  PANAL_ASSIGN(Repository repository, this->repository());
  PANAL_ASSIGN(const auto versions, list());
  std::vector<Damage> wanted = damages;
  std::set<std::string> touched;
  for (const auto& damage : damages) touched.insert(damage.versions.begin(), damage.versions.end());
  // A name that was lost while all it led to is still here: nothing needs to come from elsewhere.
  for (const auto& manifest : versions) {
    if (manifest.commit.empty() || !touched.contains(ref_of(manifest))) continue;
    const auto named = repository.resolve(manifest.image, manifest.version);
    if (named || named.error().code != ENOENT || !repository.name(manifest.commit)) continue;
    std::erase_if(wanted, [&manifest](const Damage& damage) {
      return damage.object == ObjectName{manifest.commit, ObjectType::kCommit};
    });
  }
  PANAL_ASSIGN(auto left, repository.repair(wanted, fetch, part_of(work, 0, 0.8)));
  for (const auto& manifest : versions) {
    if (manifest.commit.empty() || !touched.contains(ref_of(manifest))) continue;
    work.tell(0.9, "mending " + manifest.image + " " + manifest.version);
    const auto mended = mend(repository, manifest, work);
    if (mended) continue;
    if (mended.error().code == ECANCELED) return tl::make_unexpected(mended.error());
    left.push_back(checkout_damage(manifest, "/", "is not mended: " + mended.error().message()));
  }
  PANAL_TRY(files::sync_file_system(images_dir_));
  return left;
}

Result<void> ImageStore::mend(Repository& repository, const VersionManifest& manifest,
                              const Work& work) {
  PANAL_ASSIGN(const VersionManifest said, repository.show(manifest.commit));
  if (print_manifest(said) != print_manifest(manifest)) {
    const std::string file =
        images_dir_ + "/" + manifest.image + "/" + manifest.version + "/manifest.json";
    PANAL_TRY(files::write_file(file + ".new", print_manifest(said)));
    PANAL_TRY(files::sync_file_system(images_dir_));
    PANAL_TRY(files::replace(file + ".new", file));
  }
  PANAL_TRY(
      repository.mend_checkout(manifest.commit, root_of(manifest.image, manifest.version), work));
  // Below a directory that was mended just now there may still be objects missing: not damage of
  // the name, and the next verify() tells of them.
  const auto named = repository.name(manifest.commit);
  if (!named && named.error().code != ENOENT) return tl::make_unexpected(named.error());
  return {};
}

Result<void> ImageStore::recover(const Work& work) {
  PANAL_TRY(collect_staging());
  if (!files::exists(repository_dir())) return {};
  PANAL_ASSIGN(const auto held, lock(work));
  PANAL_ASSIGN(Repository repository, this->repository());
  PANAL_ASSIGN(auto versions, repository.log());
  for (auto& manifest : versions) {
    const auto there = find(manifest.image, manifest.version);
    // An adoption that was killed, or a pull that found its place taken by an older version.
    if (there && there->commit.empty())
      PANAL_TRY(repository.remove(manifest.image, manifest.version));
    if (there || there.error().code != ENOENT) continue;
    PANAL_ASSIGN(const bool whole, repository.has(manifest.commit));
    if (whole) PANAL_TRY(materialise_locked(repository, std::move(manifest), work));
  }
  return {};
}

Result<GcReport> ImageStore::gc(const Work& work) {
  const auto recovered = recover(part_of(work, 0, 0.3));
  // A pulled version whose tree finds no room on a full disk is whole in the repository, and keeps:
  // room is made by what follows.
  const bool is_full = !recovered && is_no_space(recovered.error());
  if (!recovered && !is_full) return tl::make_unexpected(recovered.error());
  Result<GcReport> report;
  {
    // A build that wants to commit now waits for us, as long as it takes.
    PANAL_ASSIGN(const auto held, lock(work));
    PANAL_ASSIGN(Repository repository, this->repository());
    report = repository.gc(part_of(work, 0.3, 1));
  }
  if (!report || !is_full) return report;
  if (const auto again = recover(work); !again && !is_no_space(again.error()))
    return tl::make_unexpected(again.error());
  return report;
}

Result<RepositorySizes> ImageStore::sizes() const {
  const auto repository = Repository::open(repository_dir());
  if (!repository && repository.error().code == ENOENT) return RepositorySizes{};
  if (!repository) return tl::make_unexpected(repository.error());
  return repository->sizes();
}

}  // namespace panal::storage

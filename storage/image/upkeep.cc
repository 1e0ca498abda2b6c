#include <poll.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "engine/base/cleanup.h"
#include "engine/base/tree.h"
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

/// What the commit says that has a version's name: the truth where the manifest on disk is damaged.
/// `repository` may be null. Errors: ENOENT; EPROTO for a commit that is another version's.
Result<VersionManifest> named_manifest(const Repository* repository, const std::string& image,
                                       const std::string& version) {
  if (repository == nullptr) return fail(ENOENT, "there is no repository");
  PANAL_ASSIGN(const std::string commit, repository->resolve(image, version));
  PANAL_ASSIGN(VersionManifest said, repository->show(commit));
  if (said.image != image || said.version != version)
    return fail(EPROTO, "the repository names the commit of " + said.image + " " + said.version +
                            " as " + image + " " + version);
  return said;
}

/// Whether it is damage of a name, and that is still there.
bool is_damaged_name(const Repository& repository, const Damage& damage) {
  if (!damage.object.checksum.empty() || damage.kind == Damage::Kind::kCheckoutDiffers)
    return false;
  return std::any_of(damage.versions.begin(), damage.versions.end(), [&](const std::string& ref) {
    const auto slash = ref.find('/');
    if (slash == std::string::npos) return true;  // no version of ours
    const auto named = repository.resolve(ref.substr(0, slash), ref.substr(slash + 1));
    return !named && named.error().code == EUCLEAN;
  });
}

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

Result<std::vector<VersionManifest>> ImageStore::list_known() const {
  PANAL_ASSIGN(VersionsOnDisk all, look());
  if (all.broken.empty()) return std::move(all.sound);
  const auto repository = Repository::open(repository_dir());
  for (const auto& one : all.broken) {
    auto said = named_manifest(repository ? &*repository : nullptr, one.image, one.version);
    if (said) all.sound.push_back(std::move(*said));
  }
  std::sort(all.sound.begin(), all.sound.end(), is_listed_before);
  return std::move(all.sound);
}

Result<VersionManifest> ImageStore::find_by_digest(const std::string& image,
                                                   const std::string& recipe_digest) const {
  PANAL_ASSIGN(auto all, list_known());
  for (auto& manifest : all)
    if (manifest.image == image && manifest.recipe_digest == recipe_digest)
      return std::move(manifest);
  return fail(ENOENT, "image " + image + " was not built from this recipe yet");
}

bool ImageStore::has_lost_its_commit(const VersionManifest& manifest, VersionManifest said) const {
  said.commit.clear();
  if (!manifest.commit.empty() || print_manifest(said) != print_manifest(manifest)) return false;
  // An adoption that was killed before the exchange looks like this too, but for the text: that of
  // a damaged manifest is none that Panal writes.
  const auto dir = Dir::open(images_dir_ + "/" + manifest.image + "/" + manifest.version);
  if (!dir) return false;
  const auto text = dir->read("manifest.json", kMostManifestBytes);
  return text && *text != print_manifest(manifest);
}

Result<std::vector<ImageStore::Stock>> ImageStore::take_stock(const Repository* repository) const {
  PANAL_ASSIGN(VersionsOnDisk all, look());
  std::vector<Stock> stock;
  for (auto& manifest : all.sound) {
    auto said = named_manifest(repository, manifest.image, manifest.version);
    if (!said || print_manifest(*said) == print_manifest(manifest)) {
      stock.push_back({std::move(manifest), {}});
      continue;
    }
    // A commit that is nowhere is a damaged digit, where another one has the version's name.
    const auto is_nowhere = [&] {
      const auto there = repository->show(manifest.commit);
      return !there && there.error().code == ENOENT;
    };
    const bool is_damaged = manifest.commit == said->commit ||
                            has_lost_its_commit(manifest, *said) ||
                            (!manifest.commit.empty() && is_nowhere());
    if (is_damaged)
      stock.push_back({std::move(*said), "is not what the commit says"});
    else
      stock.push_back({std::move(manifest), {}});
  }
  for (auto& one : all.broken) {
    auto said = named_manifest(repository, one.image, one.version);
    if (said) {
      stock.push_back({std::move(*said), "is damaged: " + one.why.message()});
      continue;
    }
    VersionManifest unknown;
    unknown.image = one.image;
    unknown.version = one.version;
    stock.push_back(
        {std::move(unknown), "is damaged, and no commit says what it was: " + one.why.message()});
  }
  return stock;
}

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
  const auto repository = Repository::open(repository_dir());
  if (!repository && repository.error().code != ENOENT)
    return tl::make_unexpected(repository.error());
  if (repository) {
    PANAL_ASSIGN(report, repository->verify({}, most_bytes_per_s, part_of(work, 0, 0.9)));
  }
  std::set<std::string> damaged;
  for (const auto& damage : report.damages)
    damaged.insert(damage.versions.begin(), damage.versions.end());
  PANAL_ASSIGN(const auto versions, take_stock(repository ? &*repository : nullptr));
  std::size_t done = 0;
  for (const auto& [manifest, fault] : versions) {
    work.tell(0.9 + 0.1 * static_cast<double>(done++) / static_cast<double>(versions.size()),
              "comparing " + manifest.image + " " + manifest.version);
    const auto add = [&report, &version = manifest](const std::string& path,
                                                    const std::string& what) {
      report.damages.push_back(checkout_damage(version, path, what));
    };
    if (!fault.empty()) add("manifest.json", fault);
    if (manifest.commit.empty()) continue;  // nothing to compare with
    const auto named = repository ? repository->resolve(manifest.image, manifest.version)
                                  : Result<std::string>(tl::make_unexpected(repository.error()));
    if (!named || *named != manifest.commit) {
      add("/", "is of a version that the repository does not have");
      report.damages.back().kind = Damage::Kind::kObjectMissing;
      report.damages.back().object = {manifest.commit, ObjectType::kCommit};
      continue;
    }
    const auto faults = repository->verify_checkout(
        manifest.commit, root_of(manifest.image, manifest.version), part_of(work, 0.9, 0.9));
    if (faults) {
      for (const auto& one : *faults) add(one.path, one.what);
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
  PANAL_ASSIGN(Repository repository, this->repository());
  std::vector<Damage> wanted = damages;
  std::set<std::string> touched;
  for (const auto& damage : damages) touched.insert(damage.versions.begin(), damage.versions.end());
  {
    PANAL_ASSIGN(const auto held, lock(work));
    PANAL_ASSIGN(const auto versions, take_stock(&repository));
    // A name that was lost or damaged while all it led to is still here: nothing needs to come from
    // elsewhere.
    for (const auto& [manifest, fault] : versions) {
      if (manifest.commit.empty() || !touched.contains(ref_of(manifest))) continue;
      const auto named = repository.resolve(manifest.image, manifest.version);
      if (named && *named == manifest.commit) continue;
      if (!repository.name(manifest.commit)) continue;
      std::erase_if(wanted, [&named, &commit = manifest.commit](const Damage& damage) {
        return damage.object == ObjectName{commit, ObjectType::kCommit} ||
               (named && damage.object == ObjectName{*named, ObjectType::kCommit});
      });
    }
  }
  // Without our lock: a server may take its time, and no commit is to wait for that.
  PANAL_ASSIGN(auto left, repository.repair(wanted, fetch, part_of(work, 0, 0.8)));
  PANAL_ASSIGN(const auto held, lock(work));
  // Again: versions come and go, and a commit that is here now may say what a manifest was.
  PANAL_ASSIGN(const auto versions, take_stock(&repository));
  for (const auto& [manifest, fault] : versions) {
    if (!touched.contains(ref_of(manifest))) continue;
    if (manifest.commit.empty()) {
      if (!fault.empty()) left.push_back(checkout_damage(manifest, "manifest.json", fault));
      continue;
    }
    work.tell(0.9, "mending " + manifest.image + " " + manifest.version);
    const auto mended = mend(repository, manifest, work);
    if (mended) continue;
    if (mended.error().code == ECANCELED) return tl::make_unexpected(mended.error());
    left.push_back(checkout_damage(manifest, "/", "is not mended: " + mended.error().message()));
  }
  for (const auto& damage : damages) {
    if (!is_damaged_name(repository, damage)) continue;
    left.push_back(damage);
    left.back().what += "; not mended: no version on disk says its commit, or that is not whole";
  }
  PANAL_TRY(files::sync_file_system(images_dir_));
  return left;
}

Result<void> ImageStore::mend(Repository& repository, const VersionManifest& manifest,
                              const Work& work) {
  PANAL_ASSIGN(const VersionManifest said, repository.show(manifest.commit));
  const auto there = find(manifest.image, manifest.version);
  if (!there || print_manifest(said) != print_manifest(*there)) {
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
    if (there && there->commit.empty() && !has_lost_its_commit(*there, manifest))
      PANAL_TRY(repository.remove(manifest.image, manifest.version));
    if (there || there.error().code != ENOENT) continue;
    PANAL_ASSIGN(const bool whole, repository.has(manifest.commit));
    if (whole) PANAL_TRY(materialise_locked(repository, std::move(manifest), work));
  }
  return {};
}

Result<GcReport> ImageStore::collect_objects(const Work& work) {
  constexpr int kPauseMs = 100;
  PANAL_ASSIGN(Repository repository, this->repository());
  const auto until = std::chrono::steady_clock::now() + Repository::kGcWait;
  for (;;) {
    {
      // A build that wants to commit now waits for us, as long as it takes. Not so while we wait
      // ourselves, for a pull that may take hours: then we hold nothing, and only try.
      PANAL_ASSIGN(const auto held, lock(work));
      auto report = repository.gc(work, std::chrono::milliseconds{0});
      if (report || report.error().code != EBUSY) return report;
      if (std::chrono::steady_clock::now() >= until) return report;
    }
    if (work.is_cancelled()) return fail(ECANCELED, "cancelled; nothing was deleted");
    (void)::poll(nullptr, 0, kPauseMs);
  }
}

Result<GcReport> ImageStore::gc(const Work& work) {
  const auto recovered = recover(part_of(work, 0, 0.3));
  // A pulled version whose tree finds no room on a full disk is whole in the repository, and keeps:
  // room is made by what follows.
  const bool is_full = !recovered && is_no_space(recovered.error());
  if (!recovered && !is_full) return tl::make_unexpected(recovered.error());
  auto report = collect_objects(part_of(work, 0.3, 1));
  if (!report || !is_full) return report;
  if (const auto again = recover(work); !again && !is_no_space(again.error()))
    return tl::make_unexpected(again.error());
  return report;
}

Result<GcReport> ImageStore::garbage(const Work& work) const {
  const auto repository = Repository::open(repository_dir());
  if (!repository && repository.error().code == ENOENT) return GcReport{};
  if (!repository) return tl::make_unexpected(repository.error());
  return repository->garbage(work);
}

Result<RepositorySizes> ImageStore::sizes() const {
  const auto repository = Repository::open(repository_dir());
  if (!repository && repository.error().code == ENOENT) return RepositorySizes{};
  if (!repository) return tl::make_unexpected(repository.error());
  return repository->sizes();
}

}  // namespace panal::storage

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/repo/lock.h"
#include "storage/repo/manifest.h"
#include "storage/repo/repository.h"

namespace panal::storage {

/// A version on disk whose manifest.json is damaged.
struct BrokenVersion {
  std::string image;
  std::string version;
  Error why;  ///< names the file and what is wrong with it
};

/// What is in an images directory, damage included.
struct VersionsOnDisk {
  std::vector<VersionManifest> sound;  ///< by image, newest first
  std::vector<BrokenVersion> broken;   ///< by name
};

/// Versions on disk: <images>/<image>/<version>/{root/,manifest.json}. A version appears whole by
/// one rename, and is never changed after. The directory itself is 0700: trees hold set-uid files
/// with canonical ids.
///
/// root/ is a checkout of the version's commit in <images>/.repo (bare; inside the images directory
/// because hard links need one file system). So versions share every equal file, on disk and in the
/// page cache, and nobody but this class may ever write to a tree. Versions made before there was a
/// repository have no commit and a tree of their own until they are adopted.
///
/// Removing renames aside before it deletes, so a version is there whole or not at all. One object
/// is used by one thread; several processes may use one directory.
class ImageStore {
 public:
  explicit ImageStore(std::string images_dir) : images_dir_(std::move(images_dir)) {}

  /// All versions of all images. A damaged manifest is no error. No images directory yet means no
  /// versions. Reading rights are enough.
  [[nodiscard]] Result<VersionsOnDisk> look() const;
  /// The same for who cannot do with some of them: by image, newest first, and a damaged manifest
  /// is an error that names it.
  [[nodiscard]] Result<std::vector<VersionManifest>> list() const;
  /// The same where one damaged manifest must not stop work on other versions: of such a version
  /// there is what its commit says, and one that the repository does not know is left out.
  [[nodiscard]] Result<std::vector<VersionManifest>> list_known() const;
  /// Errors: ENOENT "image icewm has no version 7"; EPROTO for a damaged manifest, which it names.
  [[nodiscard]] Result<VersionManifest> find(const std::string& image,
                                             const std::string& version) const;
  /// The newest version built from exactly this recipe, of those of list_known(). Errors: ENOENT.
  [[nodiscard]] Result<VersionManifest> find_by_digest(const std::string& image,
                                                       const std::string& recipe_digest) const;
  /// The tree of a version.
  [[nodiscard]] std::string root_of(const std::string& image, const std::string& version) const;
  /// Where the repository is. It need not exist yet.
  [[nodiscard]] std::string repository_dir() const;
  /// The repository, made where there is none.
  [[nodiscard]] Result<Repository> repository() const;

  /// A new empty directory on the same file system to build in (<images>/.staging/...). It is
  /// this process's as long as it lives (flock(2): works across pid namespaces).
  [[nodiscard]] Result<std::string> new_staging(const std::string& image);
  /// Makes the tree `staging`/root a version: numbers it (a manifest with a version keeps it),
  /// commits the tree, which is consumed, checks it out, writes the manifest, syncs, renames.
  /// `file_capabilities`: see CommitSpec.
  /// Errors: ENOENT without a tree there, EINVAL for a manifest without image name, EEXIST where
  /// that version is there; those of Repository::commit().
  [[nodiscard]] Result<VersionManifest> commit(const std::string& staging, VersionManifest manifest,
                                               bool file_capabilities = false,
                                               const Work& work = {});
  /// Gives a commit of the repository (pulled, imported) its tree and manifest. There already:
  /// nothing is done. Errors: ENOENT, EPROTO, EEXIST where another commit has this version's name.
  [[nodiscard]] Result<VersionManifest> materialise(const std::string& checksum,
                                                    const Work& work = {});
  /// Commits a version that was made before there was a repository, and puts a checkout in the
  /// place of its tree by one exchange. Its old tree is deleted: the caller made sure that no
  /// desktop runs from it. Has it a commit already, nothing is done. Errors: ENOENT, ENOSPC, EPERM.
  [[nodiscard]] Result<VersionManifest> adopt(const std::string& image, const std::string& version,
                                              const Work& work = {});
  /// Deletes a version and its name in the repository, whether its manifest is damaged or not; the
  /// space comes back with gc(). The caller made sure nobody uses it. Errors: ENOENT.
  [[nodiscard]] Result<void> remove(const std::string& image, const std::string& version);

  /// What is other in the version `to`. Errors: ENOENT; ENODATA for a version without a commit.
  [[nodiscard]] Result<VersionDiff> diff(const std::string& image, const std::string& from,
                                         const std::string& to) const;
  /// Reads the repository, every manifest and every tree: a tree's file must be the repository's
  /// own, or equal. `most_bytes_per_s` spares the disk; 0: as fast as it goes. Damage is no error.
  [[nodiscard]] Result<VerifyReport> verify(std::uint64_t most_bytes_per_s = 0,
                                            const Work& work = {}) const;
  /// Fetches damaged objects and puts them into every tree that shows them, each by one rename, so
  /// that running desktops keep the file they have open and new ones get the good one; writes
  /// damaged manifests anew from their commits. Commits go on while objects are fetched. Returns
  /// what is still damaged, with why.
  [[nodiscard]] Result<std::vector<Damage>> repair(const std::vector<Damage>& damages,
                                                   const Repository::Fetch& fetch,
                                                   const Work& work = {});
  /// Finishes what was interrupted (see recover()), then frees what no version needs. Needs no
  /// space: what cannot be finished on a full disk is tried once more afterwards, and else waits.
  /// Commits go on while it waits for a pull. Errors: those of Repository::gc().
  [[nodiscard]] Result<GcReport> gc(const Work& work = {});
  /// What gc() would delete right now, but for what killed processes left. Changes nothing.
  [[nodiscard]] Result<GcReport> garbage(const Work& work = {}) const;
  [[nodiscard]] Result<RepositorySizes> sizes() const;

  /// Finishes what killed processes left: staging of the dead is deleted, a half done removal is
  /// completed, a version that is whole in the repository but has no tree gets it.
  [[nodiscard]] Result<void> recover(const Work& work = {});
  /// Deletes what crashed builds left in staging (of processes that no longer live), and completes
  /// the removals among them.
  [[nodiscard]] Result<void> collect_staging();
  /// Deletes a staging directory of this process whose build failed.
  [[nodiscard]] Result<void> discard_staging(const std::string& staging);

 private:
  /// Where remove() moves a version inside its staging directory.
  static constexpr const char* kRemoved = "removed";

  /// Held by whoever gives, takes or moves a version's place.
  [[nodiscard]] Result<FileLock> lock(const Work& work) const;
  [[nodiscard]] Result<std::string> free_number(const Repository& repository,
                                                const std::string& image) const;
  /// Makes `staging` the version: checkout, manifest, sync, rename.
  [[nodiscard]] Result<void> place(const Repository& repository, const std::string& staging,
                                   const VersionManifest& manifest, const Work& work);
  [[nodiscard]] Result<VersionManifest> materialise_locked(const Repository& repository,
                                                           VersionManifest manifest,
                                                           const Work& work);
  /// A version by its manifest or, where that is damaged, by its commit.
  struct Stock {
    VersionManifest manifest;  ///< without `commit`: there is nothing to compare it with
    std::string fault;         ///< of manifest.json, the end of a sentence; empty: none
  };
  /// `repository` may be null: there is none.
  [[nodiscard]] Result<std::vector<Stock>> take_stock(const Repository* repository) const;
  /// Whether the key "commit" is what is damaged in a manifest that has none; `said`: by the commit
  /// of its name.
  [[nodiscard]] bool has_lost_its_commit(const VersionManifest& manifest,
                                         VersionManifest said) const;
  /// Manifest, tree and name are what the commit says afterwards.
  [[nodiscard]] Result<void> mend(Repository& repository, const VersionManifest& manifest,
                                  const Work& work);
  [[nodiscard]] Result<GcReport> collect_objects(const Work& work);
  /// Takes the name away in the repository if it is still this version's.
  [[nodiscard]] Result<void> forget(const VersionManifest& manifest);
  [[nodiscard]] Result<void> finish_removal(const std::string& staging);

  std::string images_dir_;
  /// Locks of this process's staging directories, by path. Shared, so that stores can be copied.
  std::shared_ptr<std::map<std::string, UniqueFd>> staging_ =
      std::make_shared<std::map<std::string, UniqueFd>>();
};

}  // namespace panal::storage

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/repo/diff.h"
#include "storage/repo/manifest.h"
#include "storage/repo/object.h"
#include "storage/repo/work.h"

struct OstreeRepo;

namespace panal::storage {

class Incoming;

/// kBare: files as they are, for hard-link checkouts on a node (root only). kArchive: files
/// compressed one by one, for a web server; needs no rights.
enum class RepositoryMode { kBare, kArchive };

/// What to commit.
struct CommitSpec {
  std::string root;          ///< the tree; ids are canonical (below 65,536)
  VersionManifest manifest;  ///< image and version are required; `commit` is ignored
  /// The tree's files are moved into the repository instead of copied: no second copy on disk, and
  /// the tree is gone afterwards, also where the commit fails. Needs the same file system.
  bool consume = false;
  /// security.capability is taken: only for what we built ourselves.
  bool file_capabilities = false;
};

/// Bytes on disk. `own` is what gc() would free if only this version went.
struct VersionSize {
  std::string image;
  std::string version;
  std::uint64_t total_bytes = 0;
  std::uint64_t own_bytes = 0;
};

struct RepositorySizes {
  std::uint64_t bytes = 0;       ///< all objects
  std::uint64_t objects = 0;     ///< their number
  std::uint64_t free_bytes = 0;  ///< of the file system, for us
  std::vector<VersionSize> versions;
};

struct GcReport {
  std::uint64_t freed_bytes = 0;
  std::uint64_t objects = 0;    ///< deleted
  std::uint64_t leftovers = 0;  ///< files and directories of dead processes, deleted
};

struct VerifyReport {
  std::vector<Damage> damages;
  std::uint64_t objects = 0;  ///< looked at
  std::uint64_t bytes = 0;    ///< read
};

/// A store of versions on libostree. Every version is a commit and has a name, IMAGE/VERSION (a
/// ref), that keeps it: what no name leads to is deleted by gc(). A version does not keep its
/// parent.
///
/// Objects appear whole, by a rename after a sync, and a name appears after all it needs. So kill
/// -9 or a full disk at any moment leaves garbage, never a half version; gc() finds it. Several
/// processes may use one repository; one object is for one thread.
class Repository {
 public:
  /// Errors: ENOENT, EPROTO for something that is no repository, EINVAL where its mode is another.
  [[nodiscard]] static Result<Repository> open(const std::string& dir);
  /// Makes it (0700) where there is none; a half made one is made anew.
  [[nodiscard]] static Result<Repository> open_or_create(const std::string& dir,
                                                         RepositoryMode mode);
  Repository(Repository&& other) noexcept;
  Repository& operator=(Repository&& other) noexcept;
  ~Repository();

  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] RepositoryMode mode() const;

  /// Commits a tree and names it; returns the checksum. Times become 0, xattrs other than
  /// security.capability are refused (overlay's and ACLs would mean other things elsewhere).
  /// Of a consumed tree that was made by checkout() only what changed is read. A new file of a
  /// consumed tree takes the place of a damaged object of its name; checkouts keep what they have.
  /// Errors: EEXIST where the version is there, EINVAL for a name, EPERM "/dev/null is a device
  /// node", ERANGE for an id, ENOSPC, ECANCELED, EBUSY for a file that changes meanwhile. The
  /// repository is as before then.
  [[nodiscard]] Result<std::string> commit(const CommitSpec& spec, const Work& work = {});

  /// Makes `dir` (must not exist) a tree of hard links, whole or not at all (bare only; a file that
  /// can have no more links is copied). Nobody may ever write to its files: they are the
  /// repository's. Errors: ENOENT without the commit, EEXIST, ENOTSUP for archive, EXDEV, ENOSPC,
  /// ECANCELED.
  [[nodiscard]] Result<void> checkout(const std::string& checksum, const std::string& dir,
                                      const Work& work = {}) const;

  /// All versions of an image, or of all images (empty), newest first, by image. Errors: EUCLEAN
  /// for a name that is damaged; those of show().
  [[nodiscard]] Result<std::vector<VersionManifest>> log(const std::string& image = {}) const;
  /// What a commit says of itself; `commit` is filled in.
  /// Errors: ENOENT; EPROTO for a commit that is none of Panal's.
  [[nodiscard]] Result<VersionManifest> show(const std::string& checksum) const;
  /// What is other in `to`. Reads no file's content. Errors: ENOENT.
  [[nodiscard]] Result<VersionDiff> diff(const std::string& from, const std::string& to) const;
  /// The checksum that IMAGE/VERSION names. Errors: ENOENT "there is no version icewm 7"; EUCLEAN
  /// for a name that is damaged.
  [[nodiscard]] Result<std::string> resolve(const std::string& image,
                                            const std::string& version) const;
  /// Is the commit there with all its objects? Looks for them, does not read them.
  [[nodiscard]] Result<bool> has(const std::string& checksum) const;

  /// Gives a commit that is here with all its objects the name that its manifest says, also in the
  /// place of one that is damaged or leads to a commit that is not here.
  /// Errors: ENOENT where something is missing, EBADMSG for a damaged commit, EEXIST where another
  /// commit has the name.
  [[nodiscard]] Result<void> name(const std::string& checksum);
  /// Takes a version's name away; its objects go with the next gc(). Not there: nothing.
  [[nodiscard]] Result<void> remove(const std::string& image, const std::string& version);
  static constexpr std::chrono::milliseconds kGcWait{30'000};
  /// Deletes all objects that no version needs and what killed processes left. Waits for commits,
  /// pulls and repairs that are under way, `wait` at most. Errors: EBUSY after that, which says
  /// what it is where that has said so; EIO.
  [[nodiscard]] Result<GcReport> gc(const Work& work = {},
                                    std::chrono::milliseconds wait = kGcWait);
  /// What gc() would delete right now, but for leftovers, which only it can tell from what others
  /// are at. Changes nothing, waits for no pull. Errors: those of gc().
  [[nodiscard]] Result<GcReport> garbage(const Work& work = {}) const;
  [[nodiscard]] Result<RepositorySizes> sizes() const;

  /// Reads all objects of these commits (empty: of all versions) and compares checksums.
  /// `most_bytes_per_s` spares the disk; 0: as fast as it goes. Damage is no error.
  [[nodiscard]] Result<VerifyReport> verify(const std::vector<std::string>& checksums = {},
                                            std::uint64_t most_bytes_per_s = 0,
                                            const Work& work = {}) const;
  /// Brings an object in the form of archive_path() as an open file at offset 0.
  using Fetch = std::function<Result<UniqueFd>(const ObjectName& object)>;
  /// Puts a good copy in the place of each damaged object: fetched, checked, then renamed over it.
  /// Checkouts still hold the old file: see mend_checkout(). Objects that could not be had are
  /// returned, with why in `what`; that is no error. Below a directory that was damaged there may
  /// be more: verify() again afterwards. kCheckoutDiffers is left out.
  [[nodiscard]] Result<std::vector<Damage>> repair(const std::vector<Damage>& damages,
                                                   const Fetch& fetch, const Work& work = {});

  /// What is not as the commit says in a tree that checkout() made: "/path is ..." sentences. Files
  /// that are the repository's own are not read: that is verify()'s part. Errors: ENOENT for the
  /// commit or the directory; those of damaged directory objects.
  struct Fault {
    std::string path;  ///< "/usr/bin/xterm"
    std::string what;  ///< "is missing"
  };
  [[nodiscard]] Result<std::vector<Fault>> verify_checkout(const std::string& checksum,
                                                           const std::string& dir,
                                                           const Work& work = {}) const;
  /// Makes such a tree what the commit says, each file by one rename. Returns what was mended.
  /// Errors: ENOENT where an object is missing; what was mended by then stays.
  [[nodiscard]] Result<std::vector<Fault>> mend_checkout(const std::string& checksum,
                                                         const std::string& dir,
                                                         const Work& work = {});

  /// Copies a version, its name included, from another repository on this machine, checking each
  /// object. Only what is missing is copied. The version may be there already.
  [[nodiscard]] Result<void> copy_from(const Repository& source, const std::string& checksum,
                                       const Work& work = {});
  /// The commit object as it is in an archive: what is signed. Errors: ENOENT.
  [[nodiscard]] Result<std::string> commit_bytes(const std::string& checksum) const;
  /// An object in the form of archive_path(), in an unlinked file at offset 0 (a bare repository
  /// can so mend an archive). Errors: ENOENT.
  [[nodiscard]] Result<UniqueFd> archive_object(const ObjectName& object) const;
  /// Begins to take a version in, object by object, from anywhere (see incoming.h).
  /// Errors: EBADMSG where the bytes are not the checksum's, EPROTO for no commit of Panal's,
  /// EBUSY.
  [[nodiscard]] Result<Incoming> receive(const std::string& checksum,
                                         const std::string& commit_bytes);

  /// For storage/repo and storage/transfer only.
  [[nodiscard]] OstreeRepo* handle() const;
  struct Inner;

 private:
  explicit Repository(std::unique_ptr<Inner> inner);
  std::unique_ptr<Inner> inner_;
};

}  // namespace panal::storage

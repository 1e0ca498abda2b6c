#pragma once

/// What the sources of storage/repo share. Not for others.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "storage/repo/glib.h"
#include "storage/repo/lock.h"
#include "storage/repo/metadata.h"
#include "storage/repo/repository.h"

namespace panal::storage {

/// The manifest in a commit's metadata, a string.
inline constexpr const char* kManifestKey = "panal.manifest";
/// libostree's own lock: shared in its transactions.
inline constexpr const char* kObjectsLock = ".lock";
/// Ours: whoever gives a version its name, so that one name is never given twice.
inline constexpr const char* kNamesLock = ".panal-names";
inline constexpr std::chrono::milliseconds kLockWait{30'000};
/// A name is given while the disk is synced, which may take minutes.
inline constexpr std::chrono::milliseconds kNameWait{1'800'000};
/// Users and groups an image may hold: those of a desktop's range.
inline constexpr std::uint32_t kIds = 65536;
/// Directories in one another, as walk_tree() has it.
inline constexpr int kDeepest = 64;

struct Repository::Inner {
  std::string path;
  RepositoryMode mode = RepositoryMode::kBare;
  glib::Object<OstreeRepo> repo;

  [[nodiscard]] int fd() const { return ::ostree_repo_get_dfd(repo.get()); }
  [[nodiscard]] bool is_archive() const { return mode == RepositoryMode::kArchive; }
};

[[nodiscard]] std::string hex(const unsigned char* bytes, std::size_t length);

/// Every name (ref) and the checksum it stands for; IMAGE/VERSION, or not ours. Of a damaged one
/// what its file says: ask is_checksum(). Read by ourselves: libostree gives all of them up for one
/// byte that is no UTF-8.
[[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> list_refs(
    const Repository::Inner& inner);

/// Reads a commit and all its directories and compares their checksums: libostree believes what it
/// reads from disk, and would follow a flipped bit out of its memory. Errors: EUCLEAN, ENOENT.
[[nodiscard]] Result<void> check_directories(const Repository::Inner& inner,
                                             const std::string& checksum);

/// Calls `visit` with each object's path below `objects`, the repository's directory of that name.
[[nodiscard]] Result<void> for_each_object(
    const Dir& objects, const std::function<Result<void>(const std::string&)>& visit);

/// Gives a commit its version's name, on disk when it returns. Not by libostree: 2022.7 makes a
/// name by way of a file beside it, and a kill in between leaves that as a name of its own. The
/// caller holds kNamesLock and at least a share of kObjectsLock. `replaces`: a damaged one, by one
/// rename. Errors: EEXIST, ENOSPC.
[[nodiscard]] Result<void> write_name(const Repository::Inner& inner,
                                      const VersionManifest& manifest, const std::string& checksum,
                                      bool replaces = false);
/// Puts on disk that a name of this image was given or taken: libostree syncs the file, not the
/// directories.
[[nodiscard]] Result<void> sync_names(const Repository::Inner& inner, const std::string& image);

/// "IMAGE VERSION: /path" of a name "IMAGE/VERSION".
[[nodiscard]] std::string place_of(const std::string& ref, const std::string& path);

/// The bytes of a commit, dirtree or dirmeta, unchecked. Errors: ENOENT.
[[nodiscard]] Result<std::string> load_metadata(OstreeRepo* repo, const ObjectName& object);
[[nodiscard]] Result<DirTree> load_dirtree(OstreeRepo* repo, const std::string& checksum);
[[nodiscard]] Result<DirMeta> load_dirmeta(OstreeRepo* repo, const std::string& checksum);
[[nodiscard]] Result<CommitObject> load_commit(OstreeRepo* repo, const std::string& checksum);

/// A file object's content (null for a link), what it is, and the attributes that count.
struct LoadedFile {
  glib::Object<GInputStream> input;
  glib::Object<GFileInfo> info;
  glib::Variant xattrs;
};
[[nodiscard]] Result<LoadedFile> load_file(OstreeRepo* repo, const std::string& checksum);
/// The same of a file on disk. Errors: EPERM for anything but a regular file or a link.
[[nodiscard]] Result<LoadedFile> open_file(int directory, const std::string& name);
/// Its checksum; reads all of it.
[[nodiscard]] Result<std::string> checksum_of(const LoadedFile& file);
/// Only what counts in an image: security.capability. Labels of the host's security module are the
/// host's business, whatever they are.
[[nodiscard]] glib::Variant kept_xattrs(GVariant* all);

/// Writes an object whose bytes are those of commit, dirtree or dirmeta. They are parsed, and must
/// give the name. Errors: EBADMSG, those of parse_*().
[[nodiscard]] Result<void> write_metadata(OstreeRepo* repo, const ObjectName& object,
                                          const std::string& bytes);
/// Writes a file; what it is must give the name. Errors: EBADMSG, ENOSPC.
[[nodiscard]] Result<void> write_file(OstreeRepo* repo, const std::string& checksum,
                                      const LoadedFile& file);
/// Looks through a file object in the form of archive_path() without writing anything: header, what
/// it may be, and how long it is when inflated. Leaves the offset anywhere. Returns the bytes of
/// its content. Errors: see Incoming::add(); not yet whether it is what its name says.
[[nodiscard]] Result<std::uint64_t> check_archived_file(int fd, std::uint64_t most_bytes,
                                                        const std::string& what);
/// Writes an object out of a file in the form of archive_path() that a stranger may have made.
/// Returns the bytes of its content. Errors: see Incoming::add().
[[nodiscard]] Result<std::uint64_t> write_archived(OstreeRepo* repo, const ObjectName& object,
                                                   int fd, std::uint64_t most_bytes);

/// A transaction of libostree that is undone unless it is committed.
class Transaction {
 public:
  [[nodiscard]] static Result<Transaction> begin(OstreeRepo* repo, const Work& work);
  Transaction(Transaction&& other) noexcept : repo_(std::exchange(other.repo_, nullptr)) {}
  Transaction& operator=(Transaction&& other) = delete;
  ~Transaction();
  /// Syncs, and makes all that was written visible; gives the version its name where none is empty.
  /// Errors: EEXIST where another commit has that name.
  [[nodiscard]] Result<void> commit(const Repository::Inner& inner, const VersionManifest& manifest,
                                    const std::string& checksum, const Work& work);

 private:
  explicit Transaction(OstreeRepo* repo) : repo_(repo) {}
  OstreeRepo* repo_;
};

/// Deletes what dead transactions and checkouts left, if nobody uses the repository right now:
/// after a failure for lack of space this gives the space back at once.
void drop_leftovers(const Repository::Inner& inner);
/// The same for a caller that holds the exclusive lock. Returns how many entries.
[[nodiscard]] Result<std::uint64_t> delete_leftovers(const Repository::Inner& inner);

}  // namespace panal::storage

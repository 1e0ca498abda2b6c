#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "storage/repo/repository.h"
#include "storage/repo/work.h"
#include "storage/transfer/image_list.h"
#include "storage/transfer/keys.h"

namespace panal::storage {

/// How long a list that is signed is to be believed. A list that ends must be signed again in time
/// (sign_again()), and an attacker cannot keep nodes from hearing of newer ones for longer than
/// this.
struct ListLife {
  std::int64_t seconds = 0;  ///< 0: as long as the list before was; below zero: for ever
};

/// A directory to publish: an archive repository and its signed list. Any web server can serve it;
/// it holds nothing that is not public to who may read images. Several processes may publish: they
/// wait for each other.
///
/// The list is written after the objects it needs, and before any are taken away, each time by one
/// rename: at every moment a reader sees a signed list all of whose versions are whole.
class Archive {
 public:
  /// Opens it, or makes it. It is signed with `key` from the first moment.
  /// Errors: EKEYREJECTED where the list there is signed by another key; those of Repository.
  [[nodiscard]] static Result<Archive> open_or_create(const std::string& dir, const SecretKey& key);
  /// Errors: ENOENT where there is none.
  [[nodiscard]] static Result<Archive> open(const std::string& dir);

  /// The list as it is now; checked against `key`.
  [[nodiscard]] Result<ImageList> list(const PublicKey& key) const;

  /// Copies a version of a node's repository here (what is missing of it) and lists it. Listed
  /// already: it is made whole, and nothing is signed anew.
  /// Errors: EEXIST where another commit has this name here; those of Repository::copy_from().
  [[nodiscard]] Result<ListedVersion> push(const Repository& source, const std::string& commit,
                                           const SecretKey& key, ListLife life = {},
                                           const Work& work = {});
  /// Takes versions from the list, then their names; Repository::gc() frees the space.
  /// Errors: ENOENT for one that is not listed; nothing is changed then.
  [[nodiscard]] Result<void> withdraw(const std::string& image,
                                      const std::vector<std::string>& versions,
                                      const SecretKey& key, ListLife life = {});
  /// Reads every object, and looks whether the list is whole, signed, and of versions that are
  /// here. Needs no key: whose signature it is nobody is asked. `most_bytes_per_s` spares the disk;
  /// 0: as fast as it goes. Damage is no error; of the list it has no object, and the place
  /// kListName.
  [[nodiscard]] Result<VerifyReport> verify(std::uint64_t most_bytes_per_s = 0,
                                            const Work& work = {}) const;
  /// A new list of the same versions, for a longer life.
  [[nodiscard]] Result<ImageList> sign_again(const SecretKey& key, ListLife life);

  [[nodiscard]] Repository& repository() { return repository_; }

 private:
  Archive(std::string dir, Repository repository)
      : dir_(std::move(dir)), repository_(std::move(repository)) {}

  std::string dir_;
  Repository repository_;
};

/// Changes a publisher's key: a new one takes the place of `key_file`, and the lists of all its
/// archives are signed by it, with the old key's word for it. Nodes that trust the old key follow.
/// Killed in the middle it goes on where it was when it is called again: the new key waits in
/// KEY_FILE.next until all archives have it. Returns the new key.
/// Errors: EKEYREJECTED for an archive of another key; EINVAL without an archive.
[[nodiscard]] Result<PublicKey> rotate_key(const std::string& key_file,
                                           const std::vector<std::string>& archives);

}  // namespace panal::storage

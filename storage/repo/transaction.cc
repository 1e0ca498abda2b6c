#include <fcntl.h>
#include <unistd.h>

#include "engine/base/file_tree.h"
#include "engine/base/tree.h"
#include "storage/repo/inner.h"

namespace panal::storage {

Result<Transaction> Transaction::begin(OstreeRepo* repo, const Work& work) {
  glib::Problem problem;
  const glib::Cancellable cancellable(work);
  if (!::ostree_repo_prepare_transaction(repo, nullptr, cancellable.get(), problem.out()))
    return problem.failure("begin to write to the repository");
  return Transaction(repo);
}

Transaction::~Transaction() {
  if (repo_ == nullptr) return;
  // What was written so far stays in its staging directory, for another try or for gc().
  (void)::ostree_repo_abort_transaction(repo_, nullptr, nullptr);
}

Result<void> Transaction::commit(const Repository::Inner& inner, const VersionManifest& manifest,
                                 const std::string& checksum, const Work& work) {
  // Held until the name is on disk: whoever looks for the name after us finds it.
  PANAL_ASSIGN(const auto names,
               FileLock::take(inner.fd(), kNamesLock, FileLock::Kind::kExclusive, kNameWait, work));
  glib::Problem problem;
  glib::Text there;
  const std::string ref = manifest.image + "/" + manifest.version;
  if (!::ostree_repo_resolve_rev(repo_, ref.c_str(), TRUE, glib::into(there), problem.out()))
    return problem.failure("look for version " + ref);
  if (there && checksum != there.get())
    return fail(EEXIST, "image " + manifest.image + " has another version " + manifest.version +
                            " already");
  // A new name appears by link(2). One that is there already would be replaced by way of a file
  // beside it, and a kill in between would leave that as a second name.
  if (!there) ::ostree_repo_transaction_set_ref(repo_, nullptr, ref.c_str(), checksum.c_str());
  // Not cancellable: from here on it is short, and half of it would be nothing to go back from.
  if (!::ostree_repo_commit_transaction(repo_, nullptr, nullptr, problem.out()))
    return problem.failure("write version " + ref);
  repo_ = nullptr;
  return sync_names(inner, manifest.image);
}

Result<void> sync_names(const Repository::Inner& inner, const std::string& image) {
  const std::string heads = inner.path + "/refs/heads";
  for (const std::string& path : {heads + "/" + image, heads}) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd && errno == ENOENT) continue;
    if (!fd || ::fsync(fd.get()) != 0) return fail_errno("fsync", path);
  }
  return {};
}

Result<std::uint64_t> delete_leftovers(const Repository::Inner& inner) {
  std::uint64_t count = 0;
  PANAL_ASSIGN(const Dir tmp, Dir::open(inner.path + "/tmp"));
  PANAL_ASSIGN(const auto names, tmp.list());
  for (const auto& name : names) {
    if (name == "cache") continue;  // libostree holds it open
    PANAL_TRY(remove_tree(tmp.fd(), name));
    ++count;
  }
  return count;
}

void drop_leftovers(const Repository::Inner& inner) {
  const auto lock = FileLock::take(inner.fd(), kObjectsLock, FileLock::Kind::kExclusive,
                                   std::chrono::milliseconds{0}, {});
  if (lock) (void)delete_leftovers(inner);
}

}  // namespace panal::storage

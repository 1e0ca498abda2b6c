#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "engine/base/cleanup.h"
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
  // Still ours when the transaction has let go of it: gc() must not come before the name.
  PANAL_ASSIGN(const auto objects,
               FileLock::take(inner.fd(), kObjectsLock, FileLock::Kind::kShared, kLockWait, work));
  // Not cancellable: from here on it is short, and half of it would be nothing to go back from.
  if (!::ostree_repo_commit_transaction(repo_, nullptr, nullptr, problem.out()))
    return problem.failure("write version " + ref);
  repo_ = nullptr;
  if (there) return {};
  return write_name(inner, manifest, checksum);
}

Result<void> write_name(const Repository::Inner& inner, const VersionManifest& manifest,
                        const std::string& checksum, bool replaces) {
  const std::string dir = inner.path + "/refs/heads/" + manifest.image;
  if (::mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno("make directory", dir);
  std::string aside = inner.path + "/tmp/name.XXXXXX";
  const UniqueFd fd(::mkostemp(aside.data(), O_CLOEXEC));
  if (!fd) return fail_errno("create", aside);
  const Cleanup undo([&aside] { (void)::unlink(aside.c_str()); });
  const std::string text = checksum + "\n";
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno("write", aside);
  if (::fchmod(fd.get(), 0644) != 0) return fail_errno("chmod", aside);
  if (::fsync(fd.get()) != 0) return fail_errno("fsync", aside);
  const std::string name = dir + "/" + manifest.version;
  const unsigned flags = replaces ? 0U : unsigned{RENAME_NOREPLACE};
  if (::syscall(SYS_renameat2, AT_FDCWD, aside.c_str(), AT_FDCWD, name.c_str(), flags) != 0)
    return fail_errno("rename", aside + " to " + name);
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

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "storage/repo/inner.h"

namespace panal::storage {
namespace {

OstreeRepoCheckoutFilterResult on_file(OstreeRepo* /*repo*/, const char* /*path*/,
                                       struct stat* /*info*/, gpointer data) {
  static_cast<glib::Cancellable*>(data)->poll();
  return OSTREE_REPO_CHECKOUT_FILTER_ALLOW;
}

}  // namespace

Result<void> Repository::checkout(const std::string& checksum, const std::string& dir,
                                  const Work& work) const {
  if (mode() != RepositoryMode::kBare)
    return fail(ENOTSUP, "a repository for publishing has no checkouts");
  if (!is_checksum(checksum)) return fail(EINVAL, "\"" + checksum + "\" is no checksum");
  struct stat info{};
  if (::lstat(dir.c_str(), &info) == 0) return fail(EEXIST, "checkout to " + dir);
  // gc() takes what is in tmp for a dead process's: it must wait for us.
  PANAL_ASSIGN(const auto lock, FileLock::take(inner_->fd(), kObjectsLock, FileLock::Kind::kShared,
                                               kLockWait, work));
  if (const auto checked = check_directories(*inner_, checksum); !checked)
    return prefixed("check out " + checksum, checked.error());
  std::string aside = path() + "/tmp/checkout.XXXXXX";
  if (::mkdtemp(aside.data()) == nullptr) return fail_errno("make directory", aside);
  const Cleanup undo([aside] { (void)remove_tree(aside); });

  glib::Cancellable cancellable(work);
  OstreeRepoCheckoutAtOptions options{};
  options.mode = OSTREE_REPO_CHECKOUT_MODE_NONE;
  options.overwrite_mode = OSTREE_REPO_CHECKOUT_OVERWRITE_NONE;
  options.filter = on_file;
  options.filter_user_data = &cancellable;
  glib::Problem problem;
  const std::string root = aside + "/root";
  if (!::ostree_repo_checkout_at(handle(), &options, AT_FDCWD, root.c_str(), checksum.c_str(),
                                 cancellable.get(), problem.out())) {
    if (work.is_cancelled()) return fail(ECANCELED, "the checkout was cancelled");
    return problem.failure("check out " + checksum);
  }
  if (::syscall(SYS_renameat2, AT_FDCWD, root.c_str(), AT_FDCWD, dir.c_str(), RENAME_NOREPLACE) !=
      0)
    return fail_errno("rename", root + " to " + dir);
  return {};
}

}  // namespace panal::storage

#include "storage/repo/repository.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/tree.h"
#include "storage/repo/inner.h"

namespace panal::storage {
namespace {

/// PostgreSQL may live on the same disk: an image must not take its last bytes.
constexpr const char* kReserve = "64MB";
/// How long a commit or a pull waits for a gc() to end.
constexpr const char* kGcWaitSeconds = "300";
/// A name's file has 65 bytes.
constexpr std::size_t kMostRefBytes = 4096;

Result<glib::Object<OstreeRepo>> open_handle(const std::string& dir) {
  glib::Problem problem;
  glib::Object<OstreeRepo> repo(
      ::ostree_repo_open_at(AT_FDCWD, dir.c_str(), nullptr, problem.out()));
  if (repo) return repo;
  if (problem.code() != ENOENT) return problem.failure("open repository " + dir);
  struct stat info{};
  if (::lstat(dir.c_str(), &info) != 0) return fail_errno("open repository", dir);
  return fail(EPROTO, dir + " is no repository");
}

Result<void> configure(OstreeRepo* repo) {
  glib::Problem problem;
  const glib::KeyFile config(::ostree_repo_copy_config(repo));
  ::g_key_file_set_string(config.get(), "core", "min-free-space-size", kReserve);
  ::g_key_file_set_string(config.get(), "core", "lock-timeout-secs", kGcWaitSeconds);
  if (!::ostree_repo_write_config(repo, config.get(), problem.out()))
    return problem.failure("write the repository's settings");
  return {};
}

/// What processes that were killed while they made a repository left beside `dir`.
void remove_half_made(const std::string& parent, const std::string& prefix) {
  const auto dir = Dir::open(parent);
  if (!dir) return;
  const auto names = dir->list();
  if (!names) return;
  for (const auto& name : *names) {
    if (!name.starts_with(prefix)) continue;
    const UniqueFd lock(
        ::openat(dir->fd(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) (void)remove_tree(dir->fd(), name);
  }
}

/// Made aside and renamed, so that a repository is there whole or not at all.
Result<void> create(const std::string& dir, RepositoryMode mode) {
  const auto slash = dir.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : dir.substr(0, slash + 1);
  const std::string base = dir.substr(slash == std::string::npos ? 0 : slash + 1);
  remove_half_made(parent, base + ".new.");
  std::string aside = dir + ".new.XXXXXX";
  if (::mkdtemp(aside.data()) == nullptr) return fail_errno("make directory", aside);
  Cleanup undo([aside] { (void)remove_tree(aside); });
  const UniqueFd lock(::open(aside.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return fail_errno("lock", aside);

  glib::Problem problem;
  const glib::Object<OstreeRepo> repo(::ostree_repo_create_at(
      AT_FDCWD, aside.c_str(),
      mode == RepositoryMode::kBare ? OSTREE_REPO_MODE_BARE : OSTREE_REPO_MODE_ARCHIVE, nullptr,
      nullptr, problem.out()));
  if (!repo) return problem.failure("make repository " + dir);
  PANAL_TRY(configure(repo.get()));
  if (::syncfs(lock.get()) != 0) return fail_errno("syncfs", aside);
  if (::syscall(SYS_renameat2, AT_FDCWD, aside.c_str(), AT_FDCWD, dir.c_str(), RENAME_NOREPLACE) !=
      0) {
    if (errno == EEXIST) return {};  // another process was faster
    return fail_errno("rename", aside);
  }
  undo.release();
  return {};
}

/// What a name's file says: a checksum, unless it is damaged. Errors: ENOENT.
Result<std::string> read_name(const Dir& heads, const std::string& ref) {
  auto text = heads.read(ref, kMostRefBytes);
  if (!text) {
    const int code = text.error().code;
    if (code == EFBIG || code == EIO || code == EUCLEAN || code == EBADMSG) return std::string();
    return text;
  }
  if (text->ends_with('\n')) text->pop_back();
  return text;
}

}  // namespace

Repository::Repository(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
Repository::Repository(Repository&& other) noexcept = default;
Repository& Repository::operator=(Repository&& other) noexcept = default;
Repository::~Repository() = default;

const std::string& Repository::path() const { return inner_->path; }
RepositoryMode Repository::mode() const { return inner_->mode; }
OstreeRepo* Repository::handle() const { return inner_->repo.get(); }

Result<Repository> Repository::open(const std::string& dir) {
  auto inner = std::make_unique<Inner>();
  inner->path = dir;
  PANAL_ASSIGN(inner->repo, open_handle(dir));
  switch (::ostree_repo_get_mode(inner->repo.get())) {
    case OSTREE_REPO_MODE_BARE: inner->mode = RepositoryMode::kBare; break;
    case OSTREE_REPO_MODE_ARCHIVE: inner->mode = RepositoryMode::kArchive; break;
    default:
      return fail(EINVAL, "repository " + dir + " is neither \"bare\" nor \"archive\": Panal did " +
                              "not make it");
  }
  return Repository(std::move(inner));
}

Result<Repository> Repository::open_or_create(const std::string& dir, RepositoryMode mode) {
  std::string path = dir;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  auto there = open(path);
  if (!there && there.error().code == ENOENT) {
    PANAL_TRY(create(path, mode));
    there = open(path);
  }
  if (!there) return there;
  if (there->mode() != mode)
    return fail(EINVAL, "repository " + path +
                            (mode == RepositoryMode::kBare ? " is for publishing, not for a node"
                                                           : " is a node's, not for publishing"));
  return there;
}

Result<std::vector<std::pair<std::string, std::string>>> list_refs(const Repository::Inner& inner) {
  std::vector<std::pair<std::string, std::string>> all;
  PANAL_ASSIGN(const Dir heads, Dir::open(inner.path + "/refs/heads"));
  const auto walked = walk_tree(heads.path(), [&](const TreeEntry& entry) -> Result<void> {
    if (S_ISDIR(entry.info.st_mode)) return {};
    auto text = read_name(heads, entry.path);
    if (!text && text.error().code == ENOENT) return {};  // taken meanwhile
    if (!text) return tl::make_unexpected(text.error());
    all.emplace_back(entry.path, std::move(*text));
    return {};
  });
  if (!walked) return prefixed("list the versions of " + inner.path, walked.error());
  std::sort(all.begin(), all.end());
  return all;
}

Result<std::vector<VersionManifest>> Repository::log(const std::string& image) const {
  std::vector<VersionManifest> all;
  PANAL_ASSIGN(const auto refs, list_refs(*inner_));
  for (const auto& [ref, checksum] : refs) {
    const auto slash = ref.find('/');
    if (slash == std::string::npos) continue;  // no version of ours
    if (!image.empty() && ref.substr(0, slash) != image) continue;
    if (!is_checksum(checksum))
      return fail(EUCLEAN, "the name of version " + ref + " is damaged (panal image repair)");
    auto manifest = show(checksum);
    if (!manifest) return prefixed("version " + ref, manifest.error());
    if (manifest->image + "/" + manifest->version != ref)
      return fail(EPROTO, "version " + ref + " of " + path() + " is the commit of " +
                              manifest->image + " " + manifest->version);
    all.push_back(std::move(*manifest));
  }
  std::sort(all.begin(), all.end(), is_listed_before);
  return all;
}

Result<VersionManifest> Repository::show(const std::string& checksum) const {
  PANAL_ASSIGN(CommitObject commit, load_commit(handle(), checksum));
  commit.manifest.commit = checksum;
  return std::move(commit.manifest);
}

Result<std::string> Repository::resolve(const std::string& image,
                                        const std::string& version) const {
  const Failure absent = fail(ENOENT, "there is no version " + image + " " + version);
  if (!is_plain_name(image) || !is_plain_name(version)) return absent;
  PANAL_ASSIGN(const Dir heads, Dir::open(path() + "/refs/heads"));
  auto checksum = read_name(heads, image + "/" + version);
  if (!checksum && checksum.error().code == ENOENT) return absent;
  if (checksum && !is_checksum(*checksum))
    return fail(EUCLEAN, "the name of version " + image + " " + version + " is damaged");
  return checksum;
}

Result<void> Repository::name(const std::string& checksum) {
  // gc() must not take what is about to be named.
  PANAL_ASSIGN(const auto objects,
               FileLock::take(inner_->fd(), kObjectsLock, FileLock::Kind::kShared, kLockWait, {}));
  PANAL_ASSIGN(const std::string bytes, commit_bytes(checksum));
  const std::string what = describe({checksum, ObjectType::kCommit});
  if (sha256_hex(bytes) != checksum) return fail(EBADMSG, what + " is damaged");
  PANAL_ASSIGN(const CommitObject commit, parse_commit(bytes, what));
  const VersionManifest& manifest = commit.manifest;
  PANAL_ASSIGN(const bool whole, has(checksum));
  if (!whole) return fail(ENOENT, what + " is here without all its objects");
  PANAL_ASSIGN(const auto names,
               FileLock::take(inner_->fd(), kNamesLock, FileLock::Kind::kExclusive, kNameWait, {}));
  const auto there = resolve(manifest.image, manifest.version);
  if (there && *there == checksum) return {};
  const auto leads_nowhere = [this](const std::string& named) {
    const auto other = load_commit(handle(), named);
    return !other && other.error().code == ENOENT;
  };
  const bool is_damaged = there ? leads_nowhere(*there) : there.error().code == EUCLEAN;
  if (there && !is_damaged)
    return fail(EEXIST, "image " + manifest.image + " has another version " + manifest.version +
                            " already");
  if (!there && !is_damaged && there.error().code != ENOENT)
    return tl::make_unexpected(there.error());
  return write_name(*inner_, manifest, checksum, is_damaged);
}

Result<void> Repository::remove(const std::string& image, const std::string& version) {
  PANAL_ASSIGN(const auto names,
               FileLock::take(inner_->fd(), kNamesLock, FileLock::Kind::kExclusive, kNameWait, {}));
  const auto there = resolve(image, version);
  if (!there && there.error().code == ENOENT) return {};
  if (!there && there.error().code != EUCLEAN) return tl::make_unexpected(there.error());
  glib::Problem problem;
  if (!::ostree_repo_set_ref_immediate(handle(), nullptr, (image + "/" + version).c_str(), nullptr,
                                       nullptr, problem.out()))
    return problem.failure("remove version " + image + " " + version);
  return sync_names(*inner_, image);
}

Result<std::string> Repository::commit_bytes(const std::string& checksum) const {
  if (!is_checksum(checksum)) return fail(EINVAL, "\"" + checksum + "\" is no checksum");
  return load_metadata(handle(), {checksum, ObjectType::kCommit});
}

}  // namespace panal::storage

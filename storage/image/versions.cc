/// How versions come and go.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "engine/base/file_tree.h"
#include "engine/base/tree.h"
#include "storage/image/files.h"
#include "storage/image/image_store.h"

namespace panal::storage {
namespace {

constexpr const char* kStaging = ".staging";
constexpr const char* kLock = ".lock";
/// A commit may hash and write gigabytes while others wait.
constexpr std::chrono::minutes kMostWait{30};

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 16> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y.%m.%d", &utc);
  return {text.data(), length};
}

}  // namespace

Result<Repository> ImageStore::repository() const {
  PANAL_TRY(files::make_directory(images_dir_, 0700));
  return Repository::open_or_create(repository_dir(), RepositoryMode::kBare);
}

Result<FileLock> ImageStore::lock(const Work& work) const {
  PANAL_TRY(files::make_directory(images_dir_, 0700));
  const UniqueFd dir(::open(images_dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return fail_errno("open", images_dir_);
  return FileLock::take(dir.get(), kLock, FileLock::Kind::kExclusive, kMostWait, work);
}

Result<std::string> ImageStore::new_staging(const std::string& image) {
  if (!is_plain_name(image)) return fail(EINVAL, "\"" + image + "\" is no image name");
  PANAL_TRY(files::make_directory(images_dir_, 0700));
  PANAL_TRY(files::make_directory(images_dir_ + "/" + kStaging, 0700));
  for (;;) {
    std::string path = images_dir_ + "/" + kStaging + "/" + image + ".XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return fail_errno("make directory", path);
    UniqueFd held(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const bool locked = held && ::flock(held.get(), LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno != ENOENT && errno != EWOULDBLOCK) return fail_errno("lock", path);
    // Another process may have taken it for a dead one's before we held it.
    if (!locked || !files::exists(path)) continue;
    staging_->emplace(path, std::move(held));
    return path;
  }
}

Result<std::string> ImageStore::free_number(const Repository& repository,
                                            const std::string& image) const {
  const std::string date = today();
  unsigned long number = 1;
  if (const auto versions = Dir::open(images_dir_ + "/" + image)) {
    PANAL_ASSIGN(const auto names, versions->list());
    for (const auto& name : names) {
      const auto [day, count] = version_key(name);
      if (day == date) number = std::max(number, count + 1);
    }
  }
  for (;; ++number) {
    std::string version = date + "-" + std::to_string(number);
    const auto taken = repository.resolve(image, version);
    if (!taken && taken.error().code == ENOENT) return version;
    if (!taken && taken.error().code != EUCLEAN) return tl::make_unexpected(taken.error());
  }
}

Result<void> ImageStore::place(const Repository& repository, const std::string& staging,
                               const VersionManifest& manifest, const Work& work) {
  PANAL_TRY(repository.checkout(manifest.commit, staging + "/root", work));
  PANAL_TRY(files::write_file(staging + "/manifest.json", print_manifest(manifest)));
  if (::chmod(staging.c_str(), 0755) != 0) return fail_errno("chmod", staging);
  // The name must not be on disk before the files are.
  PANAL_TRY(files::sync_file_system(staging));
  const std::string image_dir = images_dir_ + "/" + manifest.image;
  PANAL_TRY(files::make_directory(image_dir, 0700));
  PANAL_TRY(files::rename_new(staging, image_dir + "/" + manifest.version));
  staging_->erase(staging);
  PANAL_TRY(files::sync_directory(image_dir));
  return files::sync_directory(images_dir_);
}

Result<VersionManifest> ImageStore::commit(const std::string& staging, VersionManifest manifest,
                                           bool file_capabilities, const Work& work) {
  if (!is_plain_name(manifest.image))
    return fail(EINVAL, "commit: \"" + manifest.image + "\" is no image name");
  struct stat info{};
  if (::lstat((staging + "/root").c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return fail(ENOENT, "commit: no tree " + staging + "/root");
  if (manifest.created_unix_s == 0) manifest.created_unix_s = std::time(nullptr);

  PANAL_ASSIGN(const auto held, lock(work));
  PANAL_ASSIGN(Repository repository, this->repository());
  if (manifest.version.empty()) {
    PANAL_ASSIGN(manifest.version, free_number(repository, manifest.image));
  } else if (files::exists(images_dir_ + "/" + manifest.image + "/" + manifest.version)) {
    return fail(EEXIST,
                "image " + manifest.image + " has a version " + manifest.version + " already");
  }
  CommitSpec spec;
  spec.root = staging + "/root";
  spec.manifest = manifest;
  spec.consume = true;
  spec.file_capabilities = file_capabilities;
  PANAL_ASSIGN(manifest.commit, repository.commit(spec, work));
  if (auto placed = place(repository, staging, manifest, work); !placed) {
    // Unless it was already renamed. What this cannot undo recover() brings to an end.
    if (!find(manifest.image, manifest.version))
      (void)repository.remove(manifest.image, manifest.version);
    return tl::make_unexpected(placed.error());
  }
  return manifest;
}

Result<void> ImageStore::remove(const std::string& image, const std::string& version) {
  PANAL_ASSIGN(const auto held, lock({}));
  auto manifest = find(image, version);
  if (!manifest && manifest.error().code != ENOENT) {
    // Damaged; what has its name goes with it.
    PANAL_ASSIGN(Repository repository, this->repository());
    const auto named = repository.resolve(image, version);
    if (!named) PANAL_TRY(repository.remove(image, version));
    VersionManifest damaged;
    damaged.image = image;
    damaged.version = version;
    damaged.commit = named.value_or("");
    manifest = std::move(damaged);
  }
  if (!manifest) {
    // Pulled, but never given a tree.
    if (!is_plain_name(image) || !is_plain_name(version) || !files::exists(repository_dir()))
      return tl::make_unexpected(manifest.error());
    PANAL_ASSIGN(Repository repository, this->repository());
    const auto named = repository.resolve(image, version);
    if (!named && named.error().code != EUCLEAN) return tl::make_unexpected(manifest.error());
    return repository.remove(image, version);
  }
  PANAL_ASSIGN(const std::string staging, new_staging(image));
  const std::string image_dir = images_dir_ + "/" + image;
  PANAL_TRY(files::rename_new(image_dir + "/" + version, staging + "/" + kRemoved));
  PANAL_TRY(files::sync_directory(image_dir));
  if (::rmdir(image_dir.c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
    return fail_errno("delete directory", image_dir);
  PANAL_TRY(forget(*manifest));
  return discard_staging(staging);
}

Result<void> ImageStore::forget(const VersionManifest& manifest) {
  if (manifest.commit.empty()) return {};
  PANAL_ASSIGN(Repository repository, this->repository());
  const auto named = repository.resolve(manifest.image, manifest.version);
  if (!named && named.error().code == ENOENT) return {};
  if (!named && named.error().code != EUCLEAN) return tl::make_unexpected(named.error());
  if (named && *named != manifest.commit) {
    // Another version has the name since; unless that is a damaged name, which leads nowhere.
    const auto other = repository.show(*named);
    if (other || other.error().code != ENOENT) return {};
  }
  return repository.remove(manifest.image, manifest.version);
}

Result<void> ImageStore::discard_staging(const std::string& staging) {
  PANAL_TRY(remove_tree(staging));
  staging_->erase(staging);
  return {};
}

Result<void> ImageStore::finish_removal(const std::string& staging) {
  const auto removed = Dir::open(staging + "/" + kRemoved);
  if (!removed) return {};  // a build's
  const auto text = removed->read("manifest.json", kMostManifestBytes);
  if (!text) return {};  // half deleted: the name went before
  const auto manifest = parse_manifest(*text, removed->path() + "/manifest.json");
  if (!manifest) return {};
  PANAL_ASSIGN(const auto held, lock({}));
  if (find(manifest->image, manifest->version)) return {};  // there again
  return forget(*manifest);
}

Result<void> ImageStore::collect_staging() {
  const std::string dir = images_dir_ + "/" + kStaging;
  auto opened = Dir::open(dir);
  if (!opened) {
    if (opened.error().code == ENOENT) return {};
    return tl::make_unexpected(opened.error());
  }
  PANAL_ASSIGN(const auto names, opened->list());
  for (const auto& name : names) {
    const std::string path = dir + "/" + name;
    if (staging_->contains(path)) continue;
    const UniqueFd lock(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!lock) {
      if (errno == ENOENT) continue;
      return fail_errno("open", path);
    }
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;  // its builder lives
    PANAL_TRY(finish_removal(path));
    PANAL_TRY(remove_tree(path));
  }
  return {};
}

}  // namespace panal::storage

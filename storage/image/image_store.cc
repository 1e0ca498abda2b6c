#include "storage/image/image_store.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "engine/base/file_tree.h"
#include "engine/base/tree.h"

namespace panal::storage {
namespace {

constexpr const char* kStaging = ".staging";
constexpr std::size_t kMostManifest = std::size_t{4} << 20;

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.size() <= 128 &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

Result<void> make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT) return fail_errno("make directory", path);
  const auto slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return fail_errno("make directory", path);
  PANAL_TRY(make_directory(path.substr(0, slash), 0755));
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail_errno("make directory", path);
}

Result<void> rename_new(const std::string& from, const std::string& to) {
  // glibc has renameat2, but <stdio.h> and <linux/fs.h> both define the flags.
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0)
    return fail_errno("rename", from + " to " + to);
  return {};
}

Result<void> sync_directory(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno("fsync", path);
  return {};
}

Result<void> write_file(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("create", path);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno("write", path);
  return {};
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 16> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y.%m.%d", &utc);
  return {text.data(), length};
}

/// "2026.11.23-10" after "2026.11.23-9": by date, then by number.
std::pair<std::string, unsigned long> version_key(const std::string& version) {
  const auto dash = version.rfind('-');
  if (dash == std::string::npos) return {version, 0};
  unsigned long number = 0;
  std::from_chars(version.data() + dash + 1, version.data() + version.size(), number);
  return {version.substr(0, dash), number};
}

}  // namespace

Result<std::vector<VersionManifest>> ImageStore::list() const {
  std::vector<VersionManifest> all;
  auto images = Dir::open(images_dir_);
  if (!images) {
    if (images.error().code == ENOENT) return all;
    return tl::make_unexpected(images.error());
  }
  PANAL_ASSIGN(const auto names, images->list());
  for (const auto& image : names) {
    if (!is_plain_name(image)) continue;
    auto versions = images->list(image);
    if (!versions) {
      if (versions.error().code == ENOTDIR) continue;
      return tl::make_unexpected(versions.error());
    }
    for (const auto& version : *versions) {
      if (!is_plain_name(version)) continue;
      const std::string file = image + "/" + version + "/manifest.json";
      auto text = images->read(file, kMostManifest);
      if (!text && text.error().code == ENOENT && !images->exists(image + "/" + version))
        continue;  // removed while we looked
      if (!text) return tl::make_unexpected(text.error());
      PANAL_ASSIGN(auto manifest, parse_manifest(*text, images_dir_ + "/" + file));
      if (manifest.image != image || manifest.version != version)
        return fail(EPROTO, images_dir_ + "/" + file + ": is the manifest of " + manifest.image +
                                " " + manifest.version);
      all.push_back(std::move(manifest));
    }
  }
  std::sort(all.begin(), all.end(), [](const VersionManifest& a, const VersionManifest& b) {
    if (a.image != b.image) return a.image < b.image;
    return version_key(a.version) > version_key(b.version);
  });
  return all;
}

Result<VersionManifest> ImageStore::find(const std::string& image,
                                         const std::string& version) const {
  const std::string path = images_dir_ + "/" + image + "/" + version;
  const Failure absent = fail(ENOENT, "image " + image + " has no version " + version);
  if (!is_plain_name(image) || !is_plain_name(version)) return absent;
  const auto dir = Dir::open(path);
  if (!dir) {
    if (dir.error().code == ENOENT) return absent;
    return tl::make_unexpected(dir.error());
  }
  PANAL_ASSIGN(const std::string text, dir->read("manifest.json", kMostManifest));
  return parse_manifest(text, path + "/manifest.json");
}

Result<VersionManifest> ImageStore::find_by_digest(const std::string& image,
                                                   const std::string& recipe_digest) const {
  PANAL_ASSIGN(auto all, list());
  for (auto& manifest : all)
    if (manifest.image == image && manifest.recipe_digest == recipe_digest)
      return std::move(manifest);
  return fail(ENOENT, "image " + image + " was not built from this recipe yet");
}

std::string ImageStore::root_of(const std::string& image, const std::string& version) const {
  return images_dir_ + "/" + image + "/" + version + "/root";
}

Result<std::string> ImageStore::new_staging(const std::string& image) {
  if (!is_plain_name(image)) return fail(EINVAL, "\"" + image + "\" is no image name");
  PANAL_TRY(make_directory(images_dir_, 0700));
  PANAL_TRY(make_directory(images_dir_ + "/" + kStaging, 0700));
  std::string path = images_dir_ + "/" + kStaging + "/" + image + ".XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail_errno("make directory", path);
  UniqueFd lock(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return fail_errno("lock", path);
  staging_->emplace(path, std::move(lock));
  return path;
}

Result<VersionManifest> ImageStore::commit(const std::string& staging, VersionManifest manifest) {
  if (!is_plain_name(manifest.image))
    return fail(EINVAL, "commit: \"" + manifest.image + "\" is no image name");
  struct stat info{};
  if (::lstat((staging + "/root").c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return fail(ENOENT, "commit: no tree " + staging + "/root");
  const std::string image_dir = images_dir_ + "/" + manifest.image;
  PANAL_TRY(make_directory(image_dir, 0700));
  if (manifest.created_unix_s == 0) manifest.created_unix_s = std::time(nullptr);
  const std::string date = today();

  unsigned long number = 1;
  PANAL_ASSIGN(const Dir versions, Dir::open(image_dir));
  PANAL_ASSIGN(const auto names, versions.list());
  for (const auto& name : names) {
    const auto [day, count] = version_key(name);
    if (day == date) number = std::max(number, count + 1);
  }
  for (;; ++number) {
    manifest.version = date + "-" + std::to_string(number);
    PANAL_TRY(write_file(staging + "/manifest.json", print_manifest(manifest)));
    if (::chmod(staging.c_str(), 0755) != 0) return fail_errno("chmod", staging);
    // The name must not be on disk before the files are: one sync of the file system is far
    // cheaper than an fsync for each of 20,000 files.
    const UniqueFd fd(::open(staging.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::syncfs(fd.get()) != 0) return fail_errno("syncfs", staging);
    const auto renamed = rename_new(staging, image_dir + "/" + manifest.version);
    if (renamed) break;
    if (renamed.error().code != EEXIST) return tl::make_unexpected(renamed.error());
  }
  staging_->erase(staging);
  PANAL_TRY(sync_directory(image_dir));
  return manifest;
}

Result<void> ImageStore::remove(const std::string& image, const std::string& version) {
  PANAL_ASSIGN(const VersionManifest manifest, find(image, version));
  PANAL_ASSIGN(const std::string staging, new_staging(image));
  const std::string image_dir = images_dir_ + "/" + manifest.image;
  PANAL_TRY(rename_new(image_dir + "/" + version, staging + "/removed"));
  PANAL_TRY(sync_directory(image_dir));
  if (::rmdir(image_dir.c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
    return fail_errno("delete directory", image_dir);
  return discard_staging(staging);
}

Result<void> ImageStore::discard_staging(const std::string& staging) {
  PANAL_TRY(remove_tree(staging));
  staging_->erase(staging);
  return {};
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
    PANAL_TRY(remove_tree(path));
  }
  return {};
}

}  // namespace panal::storage

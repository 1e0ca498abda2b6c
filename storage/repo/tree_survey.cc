#include "storage/repo/tree_survey.h"

#include <fcntl.h>
#include <gio/gunixinputstream.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <unordered_set>

#include "engine/base/file_tree.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "engine/base/tree.h"
#include "storage/repo/inner.h"

namespace panal::storage {
namespace {

constexpr std::size_t kMostCapabilityBytes = 64;  // VFS_CAP_REVISION_3 has 24

bool is_utf8(const std::string& text) {
  return ::g_utf8_validate(text.data(), static_cast<gssize>(text.size()), nullptr) != FALSE;
}

/// For people: a name can be any bytes.
std::string shown(const TreeEntry& entry) { return printable("/" + entry.path, 400); }

Result<void> survey_attributes(const TreeEntry& entry, const CommitSpec& spec, TreeSurvey& survey) {
  // The l*xattr calls take paths only: through the directory's descriptor nothing is followed.
  const std::string path = std::string(kernel_paths::kProcSelfFd) + "/" +
                           std::to_string(entry.directory) + "/" + entry.name;
  std::array<char, 4096> names{};
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0) {
    if (errno == EOPNOTSUPP) return {};
    return fail_errno("list attributes of", shown(entry));
  }
  std::string_view rest(names.data(), static_cast<std::size_t>(length));
  while (!rest.empty()) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    if (name == "security.selinux") continue;  // the host's, not the image's
    if (name != "security.capability")
      return fail(EPERM, shown(entry) + " has the extended attribute " + printable(name, 100) +
                             ", which an image must not hold");
    if (!spec.file_capabilities || !S_ISREG(entry.info.st_mode))
      return fail(EPERM, shown(entry) + " has file capabilities, which an image from elsewhere " +
                             "must not hold");
    std::array<char, kMostCapabilityBytes> value{};
    const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size < 0) return fail_errno("read attribute of", shown(entry));
    survey.capabilities["/" + entry.path].assign(value.data(), static_cast<std::size_t>(size));
  }
  return {};
}

Result<void> survey_entry(const TreeEntry& entry, const CommitSpec& spec, TreeSurvey& survey) {
  const auto refused = [&entry](const char* why) {
    return fail(EPERM, shown(entry) + " " + why + ", which an image must not hold");
  };
  if (S_ISCHR(entry.info.st_mode) || S_ISBLK(entry.info.st_mode))
    return refused("is a device node");
  if (S_ISFIFO(entry.info.st_mode)) return refused("is a FIFO");
  if (S_ISSOCK(entry.info.st_mode)) return refused("is a socket");
  if (entry.info.st_uid >= kIds || entry.info.st_gid >= kIds)
    return fail(ERANGE, shown(entry) + " belongs to user " + std::to_string(entry.info.st_uid) +
                            ", group " + std::to_string(entry.info.st_gid) +
                            "; ids in an image are below 65536");
  if (!is_utf8(entry.name)) return fail(EILSEQ, "the name of " + shown(entry) + " is not UTF-8");
  if (S_ISLNK(entry.info.st_mode)) {
    std::array<char, 4097> target{};
    const ssize_t length =
        ::readlinkat(entry.directory, entry.name.c_str(), target.data(), target.size() - 1);
    if (length < 0) return fail_errno("read link", shown(entry));
    if (!is_utf8({target.data(), static_cast<std::size_t>(length)}))
      return fail(EILSEQ, "the link " + shown(entry) + " points to a name that is not UTF-8");
  }
  ++survey.entries;
  if (S_ISREG(entry.info.st_mode)) {
    if (entry.info.st_nlink > 1) survey.hard_links = true;
    if (entry.info.st_ino > UINT32_MAX) survey.short_inodes = false;
    // A moved file becomes the object as it is: copied ones get this from libostree.
    if (spec.consume && (entry.info.st_mtim.tv_sec != 0 || entry.info.st_mtim.tv_nsec != 0)) {
      const std::array<timespec, 2> times{{{0, UTIME_OMIT}, {0, 0}}};
      if (::utimensat(entry.directory, entry.name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno("set the time of", shown(entry));
    }
  }
  return survey_attributes(entry, spec, survey);
}

/// A link to the object beside the file that is about to be replaced by it.
constexpr const char* kLinkName = ".panal-object";

/// The inodes of all file objects.
Result<std::unordered_set<ino_t>> object_inodes(const Dir& objects) {
  std::unordered_set<ino_t> inodes;
  PANAL_TRY(for_each_object(objects, [&](const std::string& key) -> Result<void> {
    struct stat info{};
    if (!key.ends_with(".file")) return {};
    if (::fstatat(objects.fd(), key.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("stat", objects.path() + "/" + key);
    inodes.insert(info.st_ino);
    return {};
  }));
  return inodes;
}

int fd_of(const LoadedFile& file) {
  return ::g_unix_input_stream_get_fd(G_UNIX_INPUT_STREAM(file.input.get()));
}

/// What a damaged disk answers: a reason to take the good file, and none to give up.
bool is_unreadable(int code) {
  return code == EIO || code == EUCLEAN || code == EBADMSG || code == ENODATA;
}

/// Whether an object is what `file`, of which its name was reckoned just now, is.
///
/// By its bytes: a bit that a disk or its memory has flipped changes neither size nor times (mtime
/// is 0 for ever, and ctime is that of the last link). It costs one read of the object for what was
/// read and hashed a moment ago, so file and, where desktops run from it, object are in the page
/// cache, and comparing is an order of magnitude faster than SHA-256.
Result<bool> is_equal(const LoadedFile& object, const LoadedFile& file, const std::string& name) {
  GFileInfo* const ours = file.info.get();
  GFileInfo* const theirs = object.info.get();
  for (const char* key : {"unix::mode", "unix::uid", "unix::gid"})
    if (::g_file_info_get_attribute_uint32(theirs, key) !=
        ::g_file_info_get_attribute_uint32(ours, key))
      return false;
  if (::g_file_info_get_size(theirs) != ::g_file_info_get_size(ours) ||
      ::g_variant_equal(object.xattrs.get(), file.xattrs.get()) == FALSE)
    return false;
  std::array<char, 16384> good{};
  std::array<char, 16384> other{};
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(fd_of(file), good.data(), good.size(), at);
    if (got < 0) return fail_errno("read", name);
    if (got == 0) return true;
    const auto length = static_cast<std::size_t>(got);
    const ssize_t theirs_got = ::pread(fd_of(object), other.data(), length, at);
    if (theirs_got < 0 && !is_unreadable(errno)) return fail_errno("read the object of", name);
    if (theirs_got != got || std::memcmp(good.data(), other.data(), length) != 0) return false;
    at += got;
  }
}

/// The file becomes the object, in the place of a damaged one, by one rename. What was checked out
/// before keeps the damaged file: that is verify()'s and repair()'s part.
Result<void> replace_object(const TreeEntry& entry, const LoadedFile& file,
                            const Repository::Inner& inner, const std::string& object) {
  if (::fsync(fd_of(file)) != 0) return fail_errno("fsync", shown(entry));
  // In tmp, where gc() finds it if we are killed.
  const std::string aside = inner.path + "/tmp/mended." + std::to_string(::getpid());
  if (::unlink(aside.c_str()) != 0 && errno != ENOENT) return fail_errno("delete", aside);
  if (::linkat(entry.directory, entry.name.c_str(), AT_FDCWD, aside.c_str(), 0) != 0)
    return fail_errno("link to " + shown(entry), aside);
  const std::string path = inner.path + "/objects/" + object;
  if (::rename(aside.c_str(), path.c_str()) != 0) {
    auto failed = fail_errno("replace damaged object", path);
    (void)::unlink(aside.c_str());
    return failed;
  }
  const std::string directory = path.substr(0, path.rfind('/'));
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno("fsync", directory);
  return {};
}

Result<void> link_if_known(const TreeEntry& entry, const Repository::Inner& inner,
                           const Dir& objects, TreeSurvey& survey) {
  PANAL_ASSIGN(const LoadedFile file, open_file(entry.directory, entry.name));
  PANAL_ASSIGN(const std::string checksum, checksum_of(file));
  const std::string object = loose_path({checksum, ObjectType::kFile}, false);
  const auto known = open_file(objects.fd(), object);
  if (!known && known.error().code == ENOENT) return {};
  if (!known && !is_unreadable(known.error().code)) return tl::make_unexpected(known.error());
  bool equal = false;
  if (known) {
    PANAL_ASSIGN(equal, is_equal(*known, file, shown(entry)));
  }
  if (!equal) {
    // Once more, as it is rare: a file that somebody writes to must not take a sound object's
    // place.
    PANAL_ASSIGN(const LoadedFile again, open_file(entry.directory, entry.name));
    PANAL_ASSIGN(const std::string now, checksum_of(again));
    if (now != checksum) return fail(EBUSY, shown(entry) + " changes while it is committed");
    PANAL_TRY(replace_object(entry, again, inner, object));
    survey.hard_links = true;
    return {};
  }
  if (::linkat(objects.fd(), object.c_str(), entry.directory, kLinkName, 0) != 0) {
    // It has as many links as the file system bears: then this one becomes the object.
    if (errno == ENOENT || errno == EMLINK) return {};
    return fail_errno("link to object", checksum);
  }
  struct stat linked{};
  if (::fstatat(entry.directory, kLinkName, &linked, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno("stat", kLinkName);
  if (::renameat(entry.directory, kLinkName, entry.directory, entry.name.c_str()) != 0)
    return fail_errno("replace", shown(entry));
  // rename(2) does nothing where both names are the same file's.
  if (::unlinkat(entry.directory, kLinkName, 0) != 0 && errno != ENOENT)
    return fail_errno("delete", kLinkName);
  survey.hard_links = true;
  if (linked.st_ino > UINT32_MAX) survey.short_inodes = false;
  return {};
}

}  // namespace

Result<TreeSurvey> survey_tree(const CommitSpec& spec) {
  struct stat top{};
  if (::lstat(spec.root.c_str(), &top) != 0) return fail_errno("commit", spec.root);
  if (!S_ISDIR(top.st_mode)) return fail(ENOTDIR, "commit " + spec.root);
  if (top.st_uid >= kIds || top.st_gid >= kIds)
    return fail(ERANGE, spec.root + " belongs to user " + std::to_string(top.st_uid) + ", group " +
                            std::to_string(top.st_gid) + "; ids in an image are below 65536");
  TreeSurvey survey;
  PANAL_TRY(walk_tree(spec.root,
                      [&](const TreeEntry& entry) { return survey_entry(entry, spec, survey); }));
  return survey;
}

Result<void> link_known_files(const Repository::Inner& inner, const CommitSpec& spec,
                              TreeSurvey& survey, const Work& work) {
  PANAL_ASSIGN(const Dir objects, Dir::open(inner.path + "/objects"));
  struct stat disk{};
  if (::fstat(objects.fd(), &disk) != 0) return fail_errno("stat", objects.path());
  std::unordered_set<ino_t> known;  // of a tree that was checked out and changed: most of it
  if (survey.hard_links) {
    PANAL_ASSIGN(known, object_inodes(objects));
  }
  std::uint64_t done = 0;
  return walk_tree(spec.root, [&](const TreeEntry& entry) -> Result<void> {
    if (work.is_cancelled()) return fail(ECANCELED, "the commit was cancelled");
    if (++done % 64 == 0)
      work.tell(0.5 * static_cast<double>(done) / static_cast<double>(survey.entries + 1),
                shown(entry));
    // Empty files are copied at every checkout: they share nothing.
    if (!S_ISREG(entry.info.st_mode) || entry.info.st_size == 0) return {};
    if (entry.info.st_dev == disk.st_dev && known.contains(entry.info.st_ino)) return {};
    return link_if_known(entry, inner, objects, survey);
  });
}

}  // namespace panal::storage

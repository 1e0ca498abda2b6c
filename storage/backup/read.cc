#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "engine/base/unique_fd.h"
#include "storage/backup/backup.h"
#include "storage/backup/sum.h"
#include "storage/backup/target.h"

namespace panal::storage::backup {
namespace {

constexpr std::size_t kReadBlock = std::size_t{1} << 18U;
constexpr std::size_t kMostText = 4096;  ///< of panal-home and panal-sum
constexpr std::uint32_t kMostHomeId = 65535;
constexpr std::size_t kMostAttributes = 256;

struct FreeReader {
  void operator()(archive* reader) const { ::archive_read_free(reader); }
};

struct Input {
  int fd = -1;
  std::vector<char> buffer = std::vector<char>(kReadBlock);
};

la_ssize_t read_stream(archive* reader, void* state, const void** bytes) {
  auto* input = static_cast<Input*>(state);
  *bytes = input->buffer.data();
  for (;;) {
    const ssize_t got = ::read(input->fd, input->buffer.data(), input->buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) ::archive_set_error(reader, errno, "read");
    return got;
  }
}

/// "/proc/self/fd/N": the way to set attributes of what is held by O_PATH or is a link's parent.
std::string name_of_fd(int fd) {
  return std::string(kernel_paths::kProcSelfFd) + "/" + std::to_string(fd);
}

class BackupReader {
 public:
  BackupReader(int in, int tree, const Budget& budget, const Watch& watch, Summer summer)
      : target_(tree), budget_(budget), watch_(watch), summer_(std::move(summer)) {
    input_.fd = in;
  }

  Result<Report> run() {
    archive_.reset(::archive_read_new());
    if (!archive_) return fail(ENOMEM, "read a backup");
    archive* a = archive_.get();
    const bool good = ::archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
                      ::archive_read_support_format_tar(a) == ARCHIVE_OK;
    if (!good) return fail(ENOSYS, "libarchive lacks tar or zstd");
    if (::archive_read_open(a, &input_, nullptr, read_stream, nullptr) != ARCHIVE_OK)
      return damaged();
    PANAL_ASSIGN(const std::string label, text_entry("panal-home"));
    PANAL_ASSIGN(report_.label, parse_label(label));
    for (;;) {
      PANAL_ASSIGN(archive_entry* const entry, next());
      if (entry == nullptr)
        return fail(EPROTO, "the backup is cut: it ends after " + std::to_string(report_.entries) +
                                " entries without its sum");
      const char* name = ::archive_entry_pathname(entry);
      if (name == nullptr) return fail(EPROTO, "the backup holds an entry without a name");
      if (std::string_view(name) == "panal-sum") return finish();
      PANAL_TRY(take(entry, name));
    }
  }

 private:
  Failure damaged() {
    const int code = ::archive_errno(archive_.get());
    const char* words = ::archive_error_string(archive_.get());
    // Its own numbers are none of the kernel's; a failed read(2) says what it was.
    if (code == EIO || code == EISDIR) return fail(code, "read the backup");
    return fail(EPROTO, "this is no backup of a home, or it is damaged or cut after " +
                            std::to_string(report_.entries) + " entries (" +
                            (words == nullptr ? "unreadable" : printable(words, 200)) + ")");
  }

  /// Null at the end.
  Result<archive_entry*> next() {
    archive_entry* entry = nullptr;
    const int status = ::archive_read_next_header(archive_.get(), &entry);
    if (status == ARCHIVE_EOF) return nullptr;
    // A warning is a header that cannot be taken as it is.
    if (status != ARCHIVE_OK) return damaged();
    return entry;
  }

  Result<std::string> content(std::size_t most) {
    std::string text(most + 1, '\0');
    const la_ssize_t got = ::archive_read_data(archive_.get(), text.data(), text.size());
    if (got < 0) return damaged();
    if (static_cast<std::size_t>(got) > most)
      return fail(EPROTO, "the backup is damaged: a long text");
    text.resize(static_cast<std::size_t>(got));
    return text;
  }

  Result<std::string> text_entry(std::string_view wanted) {
    PANAL_ASSIGN(archive_entry* const entry, next());
    const char* name = entry == nullptr ? nullptr : ::archive_entry_pathname(entry);
    if (name == nullptr || std::string_view(name) != wanted)
      return fail(EPROTO, "this is no backup of a home");
    return content(kMostText);
  }

  Result<Kept> kept_of(archive_entry* entry, const char* name) {
    Kept kept;
    PANAL_ASSIGN(kept.name, parse_entry_name(name));
    const std::string shown = "the backup's entry \"" + printable(kept.name, 200) + "\" ";
    const char* link = ::archive_entry_hardlink(entry);
    const auto type = ::archive_entry_filetype(entry);
    if (link != nullptr) {
      kept.type = 'h';
      PANAL_ASSIGN(kept.target, parse_entry_name(link));
    } else if (type == AE_IFDIR) {
      kept.type = 'd';
    } else if (type == AE_IFREG) {
      kept.type = 'f';
      if (::archive_entry_size(entry) < 0) return fail(EPROTO, shown + "has no size");
      kept.size = static_cast<std::uint64_t>(::archive_entry_size(entry));
    } else if (type == AE_IFLNK && ::archive_entry_symlink(entry) != nullptr) {
      kept.type = 'l';
      kept.target = ::archive_entry_symlink(entry);
    } else {
      return fail(EPROTO, shown + "is no file, directory or link");
    }
    if (kept.name.empty() != (report_.entries == 0) || (kept.name.empty() && kept.type != 'd'))
      return fail(EPROTO, "the backup does not begin with the home itself");
    kept.mode = ::archive_entry_perm(entry) & 07777U;
    const auto uid = ::archive_entry_uid(entry);
    const auto gid = ::archive_entry_gid(entry);
    if (uid < 0 || uid > kMostHomeId || gid < 0 || gid > kMostHomeId)
      return fail(EPROTO, shown + "belongs to somebody no desktop has");
    kept.uid = static_cast<std::uint32_t>(uid);
    kept.gid = static_cast<std::uint32_t>(gid);
    kept.mtime_s = ::archive_entry_mtime(entry);
    kept.mtime_ns = ::archive_entry_mtime_nsec(entry);
    PANAL_TRY(take_attributes(entry, kept, shown));
    return kept;
  }

  static Result<void> take_attributes(archive_entry* entry, Kept& kept, const std::string& shown) {
    (void)::archive_entry_xattr_reset(entry);
    const char* attribute = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    while (::archive_entry_xattr_next(entry, &attribute, &value, &size) == ARCHIVE_OK) {
      if (attribute == nullptr || !keeps_attribute(attribute) ||
          kept.attributes.size() >= kMostAttributes)
        return fail(EPROTO, shown + "has an attribute that no home has");
      kept.attributes[attribute] = std::string(static_cast<const char*>(value), size);
    }
    return {};
  }

  Result<void> take(archive_entry* entry, const char* name) {
    if (watch_.cancelled && watch_.cancelled()) return fail(ECANCELED, "it was cancelled");
    PANAL_ASSIGN(const Kept kept, kept_of(entry, name));
    if (budget_.entries != 0 && report_.entries >= budget_.entries)
      return fail(EFBIG, "the backup holds more than " + std::to_string(budget_.entries) +
                             " files, which the home may not have");
    summer_.entry(kept);
    ++report_.entries;
    if (kept.type == 'f' && budget_.bytes != 0 && kept.size > budget_.bytes - report_.bytes)
      return fail(EFBIG, "the backup holds more than " + std::to_string(budget_.bytes) +
                             " bytes, which the home may not have");
    switch (kept.type) {
      case 'd': return make_directory(kept);
      case 'f': return make_file(kept);
      case 'l': return make_link(kept);
      default: return make_hard_link(kept);
    }
  }

  Result<void> make_directory(const Kept& kept) {
    if (target_.only_checks()) return {};
    UniqueFd dir;
    if (kept.name.empty()) {
      dir = UniqueFd(::openat(target_.root(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    } else {
      std::string last;
      PANAL_ASSIGN(const int parent, target_.parent_of(kept.name, last));
      if (::mkdirat(parent, last.c_str(), 0700) != 0) return twice(kept);
      dir =
          UniqueFd(::openat(parent, last.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    if (!dir) return fail_errno("open", kept.name);
    directories_.push_back({kept.name, kept.mtime_s, kept.mtime_ns});
    return dress(dir.get(), kept);
  }

  Result<void> make_file(const Kept& kept) {
    UniqueFd file;
    if (!target_.only_checks()) {
      std::string last;
      PANAL_ASSIGN(const int parent, target_.parent_of(kept.name, last));
      file = UniqueFd(::openat(parent, last.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
      if (!file) return twice(kept);
    }
    std::uint64_t at = 0;
    for (;;) {
      const void* bytes = nullptr;
      std::size_t size = 0;
      la_int64_t offset = 0;
      const int status = ::archive_read_data_block(archive_.get(), &bytes, &size, &offset);
      if (status == ARCHIVE_EOF) break;
      // Our writer makes no holes; they are made below, where there are zeros.
      if (status != ARCHIVE_OK || offset < 0 || static_cast<std::uint64_t>(offset) != at ||
          size > kept.size - at)
        return damaged();
      summer_.bytes(bytes, size);
      if (file) PANAL_TRY(put(file.get(), static_cast<const char*>(bytes), size, kept.name));
      at += size;
      report_.bytes += size;
      if (watch_.progress) watch_.progress(report_.bytes);
      if (watch_.cancelled && watch_.cancelled()) return fail(ECANCELED, "it was cancelled");
    }
    if (at != kept.size) return damaged();
    if (!file) return {};
    if (::ftruncate(file.get(), static_cast<off_t>(kept.size)) != 0)
      return fail_errno("size", kept.name);
    PANAL_TRY(dress(file.get(), kept));
    return set_time(file.get(), kept.mtime_s, kept.mtime_ns, kept.name);
  }

  /// Blocks of zeros become holes, as they may have been.
  static Result<void> put(int fd, const char* bytes, std::size_t size, const std::string& name) {
    constexpr std::size_t kHole = 4096;
    while (size > 0) {
      const std::size_t piece = std::min(size, kHole);
      const bool zeros = std::all_of(bytes, bytes + piece, [](char c) { return c == '\0'; });
      if (zeros && piece == kHole) {
        if (::lseek(fd, static_cast<off_t>(piece), SEEK_CUR) < 0)
          return fail_errno("seek in", name);
      } else {
        for (std::size_t done = 0; done < piece;) {
          const ssize_t wrote = ::write(fd, bytes + done, piece - done);
          if (wrote < 0 && errno == EINTR) continue;
          if (wrote < 0) return fail_errno("write", name);
          done += static_cast<std::size_t>(wrote);
        }
      }
      bytes += piece;
      size -= piece;
    }
    return {};
  }

  Result<void> make_link(const Kept& kept) {
    if (target_.only_checks()) return {};
    std::string last;
    PANAL_ASSIGN(const int parent, target_.parent_of(kept.name, last));
    if (::symlinkat(kept.target.c_str(), parent, last.c_str()) != 0) return twice(kept);
    if (::fchownat(parent, last.c_str(), kept.uid, kept.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("chown", kept.name);
    const timespec times[] = {{0, UTIME_OMIT}, {kept.mtime_s, static_cast<long>(kept.mtime_ns)}};
    if (::utimensat(parent, last.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("set the time of", kept.name);
    return {};
  }

  Result<void> make_hard_link(const Kept& kept) {
    if (target_.only_checks()) return {};
    std::string last;
    PANAL_ASSIGN(const int from_parent, target_.parent_of(kept.target, last));
    const UniqueFd from(::openat(from_parent, last.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info{};
    if (!from || ::fstat(from.get(), &info) != 0 || S_ISDIR(info.st_mode))
      return fail(EPROTO, "the backup's entry \"" + printable(kept.name, 200) +
                              "\" is another name of a file that is not there");
    PANAL_ASSIGN(const int parent, target_.parent_of(kept.name, last));
    if (::linkat(AT_FDCWD, name_of_fd(from.get()).c_str(), parent, last.c_str(),
                 AT_SYMLINK_FOLLOW) != 0)
      return twice(kept);
    return {};
  }

  /// Owner first: a change of owner takes set-id bits away.
  static Result<void> dress(int fd, const Kept& kept) {
    if (::fchown(fd, kept.uid, kept.gid) != 0) return fail_errno("chown", kept.name);
    if (::fchmod(fd, kept.mode) != 0) return fail_errno("chmod", kept.name);
    for (const auto& [attribute, value] : kept.attributes)
      if (::fsetxattr(fd, attribute.c_str(), value.data(), value.size(), 0) != 0)
        return fail_errno("set the attribute " + attribute + " of", kept.name);
    return {};
  }

  static Result<void> set_time(int fd, std::int64_t seconds, std::int64_t nanoseconds,
                               const std::string& name) {
    const timespec times[] = {{0, UTIME_OMIT}, {seconds, static_cast<long>(nanoseconds)}};
    if (::futimens(fd, times) != 0) return fail_errno("set the time of", name);
    return {};
  }

  static Failure twice(const Kept& kept) {
    const int code = errno;
    if (code == EEXIST)
      return fail(EPROTO, "the backup holds \"" + printable(kept.name, 200) + "\" twice");
    return fail(code, "make " + kept.name);
  }

  /// Times of directories last: what is made in them changes them.
  Result<void> set_directory_times() {
    if (target_.only_checks()) return {};
    for (auto dir = directories_.rbegin(); dir != directories_.rend(); ++dir) {
      std::string last;
      int parent = target_.root();
      if (!dir->name.empty()) {
        PANAL_ASSIGN(parent, target_.parent_of(dir->name, last));
      }
      const UniqueFd fd(::openat(parent, dir->name.empty() ? "." : last.c_str(),
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd) return fail_errno("open", dir->name);
      PANAL_TRY(set_time(fd.get(), dir->mtime_s, dir->mtime_ns, dir->name));
    }
    return {};
  }

  Result<Report> finish() {
    PANAL_ASSIGN(const std::string text, content(kMostText));
    PANAL_ASSIGN(const Sum said, parse_sum(text));
    PANAL_ASSIGN(archive_entry* const more, next());
    if (more != nullptr) return fail(EPROTO, "the backup goes on after its sum");
    PANAL_ASSIGN(report_.sum, summer_.finish());
    if (said.sum != report_.sum || said.entries != report_.entries || said.bytes != report_.bytes)
      return fail(EPROTO, "the backup is damaged: its content is not what its sum says");
    if (report_.entries == 0) return fail(EPROTO, "the backup holds no home");
    PANAL_TRY(set_directory_times());
    return report_;
  }

  struct Dated {
    std::string name;
    std::int64_t mtime_s, mtime_ns;
  };
  Input input_;
  Target target_;
  Budget budget_;
  const Watch& watch_;
  Summer summer_;
  std::unique_ptr<archive, FreeReader> archive_;  // goes first: it reads from input_
  Report report_;
  std::vector<Dated> directories_;
};

}  // namespace

Result<Report> read(int in, int tree, const Budget& budget, const Watch& watch) {
  PANAL_ASSIGN(Summer summer, Summer::start());
  BackupReader reader(in, tree, budget, watch, std::move(summer));
  return reader.run();
}

}  // namespace panal::storage::backup

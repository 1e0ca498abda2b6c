#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <vector>

#include "engine/base/unique_fd.h"
#include "storage/backup/backup.h"
#include "storage/backup/sum.h"

namespace panal::storage::backup {
namespace {

constexpr int kDeepestHome = 512;
constexpr std::size_t kBlockBytes = std::size_t{1} << 18U;
constexpr std::size_t kMostAttributeBytes = 65536;  // XATTR_SIZE_MAX

struct FreeWriter {
  void operator()(archive* writer) const { ::archive_write_free(writer); }
};
struct FreeMade {
  void operator()(archive_entry* entry) const { ::archive_entry_free(entry); }
};
struct CloseStream {
  void operator()(DIR* stream) const { ::closedir(stream); }
};

la_ssize_t write_stream(archive* writer, void* fd, const void* bytes, std::size_t size) {
  for (;;) {
    const ssize_t put = ::write(*static_cast<const int*>(fd), bytes, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) ::archive_set_error(writer, errno, "write");
    return put;
  }
}

/// In byte order.
Result<std::vector<std::string>> sorted_names(int dir, const std::string& path) {
  UniqueFd fd(::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open", path);
  const std::unique_ptr<DIR, CloseStream> stream(::fdopendir(fd.get()));
  if (!stream) return fail_errno("list", path);
  (void)fd.release();  // closedir closes it
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) return fail_errno("list", path);
      std::sort(names.begin(), names.end());
      return names;
    }
    std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
}

/// Of an open file or directory.
Result<std::map<std::string, std::string>> attributes_of(int fd, const std::string& path) {
  std::map<std::string, std::string> kept;
  std::vector<char> list(kMostAttributeBytes);
  const ssize_t size = ::flistxattr(fd, list.data(), list.size());
  if (size < 0) {
    if (errno == EOPNOTSUPP || errno == ENOSYS) return kept;
    return fail_errno("list the attributes of", path);
  }
  std::vector<char> value(kMostAttributeBytes);
  for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
    const std::string name(list.data() + at);
    at += name.size() + 1;
    if (!keeps_attribute(name)) continue;
    const ssize_t length = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (length < 0 && errno == ENODATA) continue;
    if (length < 0) return fail_errno("read the attribute " + name + " of", path);
    kept[name] = std::string(value.data(), static_cast<std::size_t>(length));
  }
  return kept;
}

Kept kept_of(const struct stat& info, std::string name) {
  Kept kept;
  kept.name = std::move(name);
  kept.type = S_ISDIR(info.st_mode) ? 'd' : S_ISLNK(info.st_mode) ? 'l' : 'f';
  kept.mode = info.st_mode & 07777U;
  kept.uid = info.st_uid;
  kept.gid = info.st_gid;
  kept.mtime_s = info.st_mtim.tv_sec;
  kept.mtime_ns = info.st_mtim.tv_nsec;
  return kept;
}

class BackupWriter {
 public:
  BackupWriter(int out, const Watch& watch, Summer summer)
      : out_(out), watch_(watch), summer_(std::move(summer)), buffer_(kBlockBytes) {}
  ~BackupWriter() {
    // Freed unfinished, libarchive would write a good end.
    if (archive_ && !finished_) (void)::archive_write_fail(archive_.get());
  }
  BackupWriter(const BackupWriter&) = delete;
  BackupWriter& operator=(const BackupWriter&) = delete;

  Result<void> start(const Label& label) {
    archive_.reset(::archive_write_new());
    entry_.reset(::archive_entry_new());
    if (!archive_ || !entry_) return fail(ENOMEM, "write a backup");
    archive* a = archive_.get();
    // pax: nanoseconds; names as the bytes that they are; attributes in the form others read too.
    // One thread and a fixed level: the same bytes for the same content.
    const bool good =
        ::archive_write_set_format_pax(a) == ARCHIVE_OK &&
        ::archive_write_set_format_option(a, "pax", "hdrcharset", "BINARY") == ARCHIVE_OK &&
        ::archive_write_set_format_option(a, "pax", "xattrheader", "SCHILY") == ARCHIVE_OK &&
        ::archive_write_add_filter_zstd(a) == ARCHIVE_OK &&
        ::archive_write_set_filter_option(a, "zstd", "compression-level", "3") == ARCHIVE_OK &&
        ::archive_write_set_bytes_in_last_block(a, 1) == ARCHIVE_OK &&
        ::archive_write_open(a, &out_, nullptr, write_stream, nullptr) == ARCHIVE_OK;
    if (!good) return failed("start a backup");
    report_.label = label;
    return text_entry("panal-home", print_label(label));
  }

  Result<void> directory(int dir, Kept kept, int depth) {
    if (depth > kDeepestHome)
      return fail(EOVERFLOW, "home/" + kept.name + " is deeper than " +
                                 std::to_string(kDeepestHome) + " directories");
    PANAL_ASSIGN(kept.attributes, attributes_of(dir, kept.name));
    PANAL_TRY(header(kept, AE_IFDIR));
    PANAL_ASSIGN(const auto names, sorted_names(dir, kept.name));
    for (const std::string& name : names) {
      if (watch_.cancelled && watch_.cancelled())
        return fail(ECANCELED, "the backup was cancelled");
      PANAL_TRY(child(dir, name, kept.name.empty() ? name : kept.name + "/" + name, depth));
    }
    return {};
  }

  Result<Report> finish() {
    PANAL_ASSIGN(report_.sum, summer_.finish());
    PANAL_TRY(text_entry("panal-sum", print_sum({report_.sum, report_.entries, report_.bytes})));
    if (::archive_write_close(archive_.get()) != ARCHIVE_OK) return failed("end the backup");
    finished_ = true;
    return report_;
  }

 private:
  Failure failed(const std::string& what) {
    const int code = ::archive_errno(archive_.get());
    const char* words = ::archive_error_string(archive_.get());
    return fail(code > 0 ? code : EIO, what + (words == nullptr ? "" : std::string(": ") + words));
  }

  Result<void> child(int dir, const std::string& name, const std::string& path, int depth) {
    struct stat info{};
    if (::fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("look at", path);
    Kept kept = kept_of(info, path);
    if (S_ISDIR(info.st_mode)) {
      const UniqueFd below(
          ::openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below) return fail_errno("open", path);
      return directory(below.get(), std::move(kept), depth + 1);
    }
    if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)) {
      ++report_.left_out;
      return {};
    }
    if (info.st_nlink > 1) {
      const auto [first, fresh] = names_.emplace(std::pair(info.st_dev, info.st_ino), path);
      if (!fresh) {
        kept.type = 'h';
        kept.target = first->second;
        return header(kept, AE_IFREG);
      }
    }
    if (S_ISREG(info.st_mode)) return file(dir, name, std::move(kept));
    std::array<char, PATH_MAX> target{};
    const ssize_t length = ::readlinkat(dir, name.c_str(), target.data(), target.size());
    if (length < 0) return fail_errno("read the link", path);
    kept.target.assign(target.data(), static_cast<std::size_t>(length));
    return header(kept, AE_IFLNK);
  }

  Result<void> file(int dir, const std::string& name, Kept kept) {
    // O_NONBLOCK: were it a FIFO by now, nobody would come to its other end.
    const UniqueFd source(
        ::openat(dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC));
    if (!source) return fail_errno("open", kept.name);
    struct stat info{};
    if (::fstat(source.get(), &info) != 0) return fail_errno("look at", kept.name);
    if (!S_ISREG(info.st_mode)) return changed(kept.name);
    kept.size = static_cast<std::uint64_t>(info.st_size);
    PANAL_ASSIGN(kept.attributes, attributes_of(source.get(), kept.name));
    PANAL_TRY(header(kept, AE_IFREG));
    for (std::uint64_t left = kept.size; left > 0;) {
      const std::size_t wanted = std::min<std::uint64_t>(left, buffer_.size());
      const ssize_t got = ::read(source.get(), buffer_.data(), wanted);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno("read", kept.name);
      if (got == 0) return changed(kept.name);
      const auto size = static_cast<std::size_t>(got);
      summer_.bytes(buffer_.data(), size);
      if (::archive_write_data(archive_.get(), buffer_.data(), size) != got)
        return failed("write " + kept.name);
      left -= size;
      report_.bytes += size;
      if (watch_.progress) watch_.progress(report_.bytes);
      if (watch_.cancelled && watch_.cancelled())
        return fail(ECANCELED, "the backup was cancelled");
    }
    return {};
  }

  static Failure changed(const std::string& name) {
    return fail(EAGAIN, "home/" + name + " changed while it was read");
  }

  Result<void> header(const Kept& kept, unsigned type) {
    archive_entry* entry = ::archive_entry_clear(entry_.get());
    const std::string name = kept.name.empty() ? "home" : "home/" + kept.name;
    ::archive_entry_set_pathname(entry, name.c_str());
    ::archive_entry_set_filetype(entry, type);
    ::archive_entry_set_perm(entry, kept.mode);
    ::archive_entry_set_uid(entry, kept.uid);
    ::archive_entry_set_gid(entry, kept.gid);
    ::archive_entry_set_mtime(entry, kept.mtime_s, static_cast<long>(kept.mtime_ns));
    ::archive_entry_set_size(entry, static_cast<la_int64_t>(kept.size));
    if (kept.type == 'h')
      ::archive_entry_set_hardlink(entry, ("home/" + kept.target).c_str());
    else if (type == AE_IFLNK)
      ::archive_entry_set_symlink(entry, kept.target.c_str());
    for (const auto& [attribute, value] : kept.attributes)
      ::archive_entry_xattr_add_entry(entry, attribute.c_str(), value.data(), value.size());
    const int status = ::archive_write_header(archive_.get(), entry);
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return failed("write " + name);
    summer_.entry(kept);
    ++report_.entries;
    return {};
  }

  Result<void> text_entry(const char* name, const std::string& text) {
    archive_entry* entry = ::archive_entry_clear(entry_.get());
    ::archive_entry_set_pathname(entry, name);
    ::archive_entry_set_filetype(entry, AE_IFREG);
    ::archive_entry_set_perm(entry, 0600);
    ::archive_entry_set_uid(entry, 0);
    ::archive_entry_set_gid(entry, 0);
    ::archive_entry_set_mtime(entry, 0, 0);
    ::archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
    if (::archive_write_header(archive_.get(), entry) != ARCHIVE_OK ||
        ::archive_write_data(archive_.get(), text.data(), text.size()) !=
            static_cast<la_ssize_t>(text.size()))
      return failed(std::string("write ") + name);
    return {};
  }

  int out_;
  const Watch& watch_;
  Summer summer_;
  std::vector<char> buffer_;
  std::unique_ptr<archive, FreeWriter> archive_;
  std::unique_ptr<archive_entry, FreeMade> entry_;
  bool finished_ = false;
  Report report_;
  std::map<std::pair<dev_t, ino_t>, std::string> names_;  ///< of files with several
};

}  // namespace

Result<Report> write(int tree, const Label& label, int out, const Watch& watch) {
  PANAL_ASSIGN(Summer summer, Summer::start());
  BackupWriter writer(out, watch, std::move(summer));
  PANAL_TRY(writer.start(label));
  struct stat info{};
  if (::fstat(tree, &info) != 0) return fail_errno("look at the home");
  PANAL_TRY(writer.directory(tree, kept_of(info, ""), 0));
  return writer.finish();
}

}  // namespace panal::storage::backup

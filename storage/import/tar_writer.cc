#include "storage/import/tar_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "engine/base/file_tree.h"
#include "engine/base/log.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {
namespace {

constexpr const char* kCapability = "security.capability";
constexpr std::size_t kCopyBytes = std::size_t{1} << 20;

struct FreeWriter {
  void operator()(archive* writer) const { ::archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { ::archive_entry_free(entry); }
};

la_ssize_t write_out(archive* writer, void* fd, const void* bytes, std::size_t size) {
  for (;;) {
    const ssize_t put = ::write(*static_cast<const int*>(fd), bytes, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) ::archive_set_error(writer, errno, "write");
    return put;
  }
}

/// This thread's character set while it lives, which is what libarchive takes names to be in.
class Utf8Locale {
 public:
  Utf8Locale()
      : made_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)),
        before_(made_ != nullptr ? ::uselocale(made_) : nullptr) {}
  ~Utf8Locale() {
    if (made_ == nullptr) return;
    (void)::uselocale(before_);
    ::freelocale(made_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

  [[nodiscard]] bool valid() const { return made_ != nullptr; }

 private:
  locale_t made_;
  locale_t before_;
};

class Writer {
 public:
  explicit Writer(const TarWriting& writing) : writing_(writing), buffer_(kCopyBytes) {}
  /// What was not finished must not end as if it were whole: freed, libarchive would write the end.
  ~Writer() {
    if (archive_ && !finished_) (void)::archive_write_fail(archive_.get());
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  Result<void> start() {
    archive_.reset(::archive_write_new());
    entry_.reset(::archive_entry_new());
    if (!archive_ || !entry_) return fail(ENOMEM, "write a tarball");
    // Restricted: extended headers only where plain ones do not suffice.
    bool good = ::archive_write_set_format_pax_restricted(archive_.get()) == ARCHIVE_OK;
    switch (writing_.compression) {
      case TarCompression::kNone: break;
      case TarCompression::kGzip:
        good = good && ::archive_write_add_filter_gzip(archive_.get()) == ARCHIVE_OK &&
               // The time of the packing would be in its header.
               ::archive_write_set_filter_option(archive_.get(), "gzip", "timestamp", nullptr) ==
                   ARCHIVE_OK;
        break;
      case TarCompression::kZstd:
        good = good && ::archive_write_add_filter_zstd(archive_.get()) == ARCHIVE_OK;
        break;
      case TarCompression::kXz:
        good = good && ::archive_write_add_filter_xz(archive_.get()) == ARCHIVE_OK;
        break;
    }
    // Attributes in the one form that others read as well.
    good =
        good && ::archive_write_set_options(archive_.get(), "pax:xattrheader=SCHILY") == ARCHIVE_OK;
    if (writing_.raw_names)
      good = good &&
             ::archive_write_set_options(archive_.get(), "pax:hdrcharset=BINARY") == ARCHIVE_OK;
    // A file that ends where its last byte is, on a pipe too.
    good = good && ::archive_write_set_bytes_in_last_block(archive_.get(), 1) == ARCHIVE_OK &&
           ::archive_write_open(archive_.get(), &fd_, nullptr, write_out, nullptr) == ARCHIVE_OK;
    if (!good) return failure("start a tarball");
    return {};
  }

  Result<void> add(const TreeEntry& found) {
    if (writing_.check) PANAL_TRY(writing_.check(found.path, 0));
    if (S_ISSOCK(found.info.st_mode)) {
      if (!writing_.leave_out_sockets)
        return fail(EPERM, "\"" + printable(found.path, 200) +
                               "\" is a socket, which no image has (--leave-out-special leaves it "
                               "out)");
      ++left_out_;
      return {};
    }
    archive_entry* entry = ::archive_entry_clear(entry_.get());
    ::archive_entry_set_pathname(entry, found.path.c_str());
    ::archive_entry_set_mode(entry, found.info.st_mode);
    ::archive_entry_set_uid(entry, found.info.st_uid);
    ::archive_entry_set_gid(entry, found.info.st_gid);
    ::archive_entry_set_mtime(entry, writing_.keep_times ? found.info.st_mtim.tv_sec : 0,
                              writing_.keep_times ? found.info.st_mtim.tv_nsec : 0);
    ::archive_entry_set_size(entry, 0);
    if (S_ISCHR(found.info.st_mode) || S_ISBLK(found.info.st_mode))
      ::archive_entry_set_rdev(entry, found.info.st_rdev);
    if (writing_.hard_links && !S_ISDIR(found.info.st_mode) && found.info.st_nlink > 1) {
      const auto [first, added] = names_.emplace(found.info.st_ino, found.path);
      if (!added) {
        ::archive_entry_set_hardlink(entry, first->second.c_str());
        return header(found);
      }
    }
    if (S_ISLNK(found.info.st_mode)) return add_link(found, entry);
    if (S_ISREG(found.info.st_mode)) return add_file(found, entry);
    return header(found);
  }

  Result<std::uint64_t> finish() {
    if (::archive_write_close(archive_.get()) != ARCHIVE_OK) return failure("end the tarball");
    finished_ = true;
    return left_out_;
  }

 private:
  Result<void> add_link(const TreeEntry& found, archive_entry* entry) {
    std::array<char, PATH_MAX> target{};
    const ssize_t length =
        ::readlinkat(found.directory, found.name.c_str(), target.data(), target.size() - 1);
    if (length < 0) return fail_errno("read the link", found.path);
    target[static_cast<std::size_t>(length)] = '\0';
    ::archive_entry_set_symlink(entry, target.data());
    return header(found);
  }

  Result<void> add_file(const TreeEntry& found, archive_entry* entry) {
    // O_NONBLOCK: should it have become a FIFO meanwhile, nobody waits for its other end.
    const UniqueFd file(::openat(found.directory, found.name.c_str(),
                                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) return fail_errno("open", found.path);
    struct stat info{};
    if (::fstat(file.get(), &info) != 0) return fail_errno("stat", found.path);
    if (info.st_ino != found.info.st_ino || !S_ISREG(info.st_mode))
      return fail(EAGAIN, "the tree changed while it was read: " + found.path);
    ::archive_entry_set_size(entry, info.st_size);
    std::array<char, 256> value{};
    const ssize_t length = ::fgetxattr(file.get(), kCapability, value.data(), value.size());
    if (length > 0)
      ::archive_entry_xattr_add_entry(entry, kCapability, value.data(),
                                      static_cast<std::size_t>(length));
    PANAL_TRY(header(found));
    return copy(file, static_cast<std::uint64_t>(info.st_size), found.path);
  }

  Result<void> copy(const UniqueFd& file, std::uint64_t left, const std::string& path) {
    while (left > 0) {
      const std::size_t wanted = left < buffer_.size() ? left : buffer_.size();
      const ssize_t got = ::read(file.get(), buffer_.data(), wanted);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno("read", path);
      if (got == 0) return fail(EAGAIN, "the tree changed while it was read: " + path);
      if (::archive_write_data(archive_.get(), buffer_.data(), static_cast<std::size_t>(got)) !=
          got)
        return failure("write " + path);
      left -= static_cast<std::size_t>(got);
      if (writing_.check) PANAL_TRY(writing_.check(path, static_cast<std::uint64_t>(got)));
    }
    return {};
  }

  Result<void> header(const TreeEntry& found) {
    const int status = ::archive_write_header(archive_.get(), entry_.get());
    // It warns of names that are no UTF-8; they are written as bytes, and marked so.
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return failure("write " + found.path);
    return {};
  }

  Failure failure(const std::string& what) {
    const int code = ::archive_errno(archive_.get());
    if (code > 0 && code != EINVAL) return fail(code, what);  // of write_out(), or no memory
    const char* words = ::archive_error_string(archive_.get());
    return fail(EIO, what + (words != nullptr ? ": " + printable(words, 200) : std::string()));
  }

  const TarWriting& writing_;
  int fd_ = writing_.fd;
  bool finished_ = false;
  std::uint64_t left_out_ = 0;
  std::vector<char> buffer_;
  std::unique_ptr<archive, FreeWriter> archive_;
  std::unique_ptr<archive_entry, FreeEntry> entry_;
  std::map<ino_t, std::string> names_;  ///< first names of files that have several
};

}  // namespace

Result<std::uint64_t> write_tar(const TarWriting& writing) {
  const Utf8Locale utf8;
  if (!utf8.valid()) return fail(ENOENT, "the locale C.UTF-8 is missing on this host");
  Writer writer(writing);
  PANAL_TRY(writer.start());
  PANAL_TRY(
      walk_tree(writing.root, [&writer](const TreeEntry& entry) { return writer.add(entry); }));
  return writer.finish();
}

Result<std::uint64_t> bytes_below(const std::string& root) {
  std::uint64_t bytes = 0;
  PANAL_TRY(walk_tree(root, [&bytes](const TreeEntry& entry) -> Result<void> {
    if (S_ISREG(entry.info.st_mode)) bytes += static_cast<std::uint64_t>(entry.info.st_size);
    return {};
  }));
  return bytes;
}

}  // namespace panal::storage

#include <gio/gunixinputstream.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "storage/repo/inner.h"

namespace panal::storage {
namespace {

/// Owner, mode, a link's target and attributes; libostree would allocate what the file says.
constexpr std::uint32_t kMostHeaderBytes = std::uint32_t{1} << 20;
constexpr std::size_t kHeaderPrefix = 8;  // the header's length, big endian, and 4 bytes of nothing

/// libostree says "Corrupted" where content and name differ, and GLib "invalid" of bad zlib data.
Failure write_failure(const glib::Problem& problem, const std::string& what) {
  return problem.failure("write " + what);
}

Result<std::string> read_all(int fd, std::size_t most, const std::string& what) {
  std::string bytes;
  std::array<char, 65536> buffer{};
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), at);
    if (got < 0) return fail_errno("read", what);
    if (got == 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
    if (bytes.size() > most) return fail(EFBIG, what + " is too long");
    at += got;
  }
}

/// libostree believes what a header says of its own length.
Result<std::uint64_t> check_header(int fd, const std::string& what) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return fail_errno("stat", what);
  std::array<unsigned char, kHeaderPrefix> prefix{};
  const ssize_t got = ::pread(fd, prefix.data(), prefix.size(), 0);
  if (got < 0) return fail_errno("read", what);
  const std::uint32_t length = (std::uint32_t{prefix[0]} << 24U) |
                               (std::uint32_t{prefix[1]} << 16U) |
                               (std::uint32_t{prefix[2]} << 8U) | std::uint32_t{prefix[3]};
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (static_cast<std::size_t>(got) != prefix.size() || length == 0 || length > kMostHeaderBytes ||
      length > size - prefix.size())
    return fail(EBADMSG, what + " has no good header");
  return size;
}

Result<LoadedFile> parse_archived(int fd, std::uint64_t size, const std::string& what) {
  if (::lseek(fd, 0, SEEK_SET) != 0) return fail_errno("seek", what);
  glib::Problem problem;
  LoadedFile file;
  const glib::Object<GInputStream> raw(::g_unix_input_stream_new(fd, FALSE));
  if (!::ostree_content_stream_parse(TRUE, raw.get(), size, FALSE, glib::into(file.input),
                                     glib::into(file.info), glib::into(file.xattrs), nullptr,
                                     problem.out()))
    return fail(EBADMSG, what + " has no good header");
  return file;
}

Result<void> check_allowed(const LoadedFile& file, const std::string& what) {
  GFileInfo* const info = file.info.get();
  const auto number = [info](const char* key) {
    return ::g_file_info_get_attribute_uint32(info, key);
  };
  const std::uint32_t mode = number("unix::mode");
  if ((!S_ISREG(mode) && !S_ISLNK(mode)) || (mode & ~(unsigned{S_IFMT} | 07777U)) != 0)
    return fail(EBADMSG, what + " is neither a file nor a link");
  if (number("unix::uid") >= kIds || number("unix::gid") >= kIds)
    return fail(ERANGE, what + " belongs to user " + std::to_string(number("unix::uid")) +
                            ", group " + std::to_string(number("unix::gid")) +
                            "; ids in an image are below 65536");
  if (::g_variant_n_children(file.xattrs.get()) !=
      ::g_variant_n_children(kept_xattrs(file.xattrs.get()).get()))
    return fail(EPERM, what + " has extended attributes that an image must not hold");
  if (S_ISLNK(mode)) {
    const char* target = ::g_file_info_get_symlink_target(info);
    const std::size_t length = target == nullptr ? 0 : std::string_view(target).size();
    if (length == 0 || length > 4095) return fail(EBADMSG, what + " is a link to nowhere");
  }
  return {};
}

/// Bytes the content has when it is inflated, counted before any is written: what the header says
/// may be a lie, and a small file may hold a great one.
Result<std::uint64_t> inflated_bytes(const LoadedFile& file, std::uint64_t most,
                                     const std::string& what) {
  if (!file.input) return std::uint64_t{0};
  const goffset said = ::g_file_info_get_size(file.info.get());
  if (said < 0) return fail(EBADMSG, what + " has no good header");
  const auto size = static_cast<std::uint64_t>(said);
  if (size > most)
    return fail(EFBIG, what + " has " + std::to_string(size) + " bytes, more than is allowed");
  glib::Problem problem;
  std::array<char, 65536> buffer{};
  std::uint64_t total = 0;
  for (;;) {
    const gssize got = ::g_input_stream_read(file.input.get(), buffer.data(), buffer.size(),
                                             nullptr, problem.out());
    if (got < 0) {
      if (problem.code() == EIO) return problem.failure("read " + what);
      return fail(EBADMSG, what + " is damaged");
    }
    if (got == 0) break;
    total += static_cast<std::uint64_t>(got);
    if (total > size) break;
  }
  if (total != size) return fail(EBADMSG, what + " does not have the length that it says");
  return size;
}

}  // namespace

Result<void> write_metadata(OstreeRepo* repo, const ObjectName& object, const std::string& bytes) {
  const std::string what = describe(object);
  if (sha256_hex(bytes) != object.checksum)
    return fail(EBADMSG, what + " is not what its name says");
  switch (object.type) {
    case ObjectType::kDirTree: PANAL_TRY(parse_dirtree(bytes, what)); break;
    case ObjectType::kDirMeta: PANAL_TRY(parse_dirmeta(bytes, what)); break;
    case ObjectType::kCommit: PANAL_TRY(parse_commit(bytes, what)); break;
    case ObjectType::kFile: return fail(EINVAL, what + " is no metadata");
  }
  const OstreeObjectType type = glib::type_of(object.type);
  GBytes* copy = ::g_bytes_new(bytes.data(), bytes.size());
  const glib::Variant variant(::g_variant_ref_sink(
      ::g_variant_new_from_bytes(::ostree_metadata_variant_type(type), copy, FALSE)));
  ::g_bytes_unref(copy);
  glib::Problem problem;
  glib::Digest digest;
  if (!::ostree_repo_write_metadata(repo, type, object.checksum.c_str(), variant.get(),
                                    glib::into(digest), nullptr, problem.out()))
    return write_failure(problem, what);
  return {};
}

Result<void> write_file(OstreeRepo* repo, const std::string& checksum, const LoadedFile& file) {
  const std::string what = "file " + checksum;
  glib::Problem problem;
  glib::Object<GInputStream> content;
  guint64 length = 0;
  if (!::ostree_raw_file_to_content_stream(file.input.get(), file.info.get(), file.xattrs.get(),
                                           glib::into(content), &length, nullptr, problem.out()))
    return write_failure(problem, what);
  glib::Digest digest;
  if (!::ostree_repo_write_content(repo, checksum.c_str(), content.get(), length,
                                   glib::into(digest), nullptr, problem.out()))
    return write_failure(problem, what);
  return {};
}

Result<std::uint64_t> check_archived_file(int fd, std::uint64_t most_bytes,
                                          const std::string& what) {
  PANAL_ASSIGN(const std::uint64_t archived_bytes, check_header(fd, what));
  PANAL_ASSIGN(const LoadedFile file, parse_archived(fd, archived_bytes, what));
  PANAL_TRY(check_allowed(file, what));
  return inflated_bytes(file, most_bytes, what);
}

Result<std::uint64_t> write_archived(OstreeRepo* repo, const ObjectName& object, int fd,
                                     std::uint64_t most_bytes) {
  const std::string what = describe(object);
  if (object.type != ObjectType::kFile) {
    PANAL_ASSIGN(const std::string bytes, read_all(fd, kMostMetadataBytes, what));
    PANAL_TRY(write_metadata(repo, object, bytes));
    return std::uint64_t{bytes.size()};
  }
  PANAL_ASSIGN(const std::uint64_t size, check_archived_file(fd, most_bytes, what));
  PANAL_ASSIGN(const std::uint64_t archived_bytes, check_header(fd, what));
  PANAL_ASSIGN(const LoadedFile file, parse_archived(fd, archived_bytes, what));
  PANAL_TRY(write_file(repo, object.checksum, file));
  return size;
}

}  // namespace panal::storage

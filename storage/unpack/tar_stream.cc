#include "storage/unpack/tar_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "engine/base/log.h"

namespace panal::storage::unpack {
namespace {

constexpr const char* kNoTarball = "is no tarball, plain or compressed by gzip, zstd or xz: ";
constexpr std::size_t kReadBytes = std::size_t{256} << 10;
constexpr std::uint64_t kProgressBytes = std::uint64_t{4} << 20;

struct FreeArchive {
  void operator()(archive* reader) const { ::archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, FreeArchive>;

std::string words_of(archive* reader) {
  const char* words = ::archive_error_string(reader);
  return words == nullptr ? "no reason given" : printable(words, 300);
}

EntryType type_of(archive_entry* entry) {
  if (::archive_entry_hardlink(entry) != nullptr) return EntryType::kHardLink;
  switch (::archive_entry_filetype(entry)) {
    case AE_IFREG: return EntryType::kFile;
    case AE_IFDIR: return EntryType::kDirectory;
    case AE_IFLNK: return EntryType::kSymlink;
    case AE_IFCHR: return EntryType::kCharDevice;
    case AE_IFBLK: return EntryType::kBlockDevice;
    case AE_IFIFO: return EntryType::kFifo;
    case AE_IFSOCK: return EntryType::kSocket;
    default: return EntryType::kOther;
  }
}

TarEntry converted(archive_entry* entry) {
  TarEntry out;
  if (const char* name = ::archive_entry_pathname(entry); name != nullptr) out.name = name;
  out.type = type_of(entry);
  const char* target = out.type == EntryType::kHardLink ? ::archive_entry_hardlink(entry)
                                                        : ::archive_entry_symlink(entry);
  if (target != nullptr) out.target = target;
  out.mode = static_cast<std::uint32_t>(::archive_entry_perm(entry)) & 07777U;
  out.uid = ::archive_entry_uid(entry);
  out.gid = ::archive_entry_gid(entry);
  if (out.type == EntryType::kFile && ::archive_entry_size_is_set(entry) != 0)
    out.size_bytes =
        static_cast<std::uint64_t>(std::max<la_int64_t>(0, ::archive_entry_size(entry)));
  out.modified.tv_sec = ::archive_entry_mtime(entry);
  out.modified.tv_nsec = ::archive_entry_mtime_nsec(entry);
  (void)::archive_entry_xattr_reset(entry);
  const char* attribute = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (::archive_entry_xattr_next(entry, &attribute, &value, &size) == ARCHIVE_OK)
    if (attribute != nullptr) out.attributes.emplace_back(attribute);
  return out;
}

}  // namespace

/// What libarchive's callbacks see. Errors of ours come back from it as -1 only, so they wait here.
struct TarStream::State {
  Options options;
  Budget* budget = nullptr;
  std::vector<char> buffer = std::vector<char>(kReadBytes);
  std::optional<Hasher> hasher;
  std::optional<Hasher> content_hasher;
  std::optional<Error> error;
  std::uint64_t read_bytes = 0;
  std::uint64_t told_bytes = 0;
  std::uint64_t entries = 0;
  Reader outer;
  Reader inner;  // goes first: it reads from the outer one

  [[nodiscard]] la_ssize_t fill() {
    for (;;) {
      const ssize_t got = ::read(options.fd, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        error = fail_errno("read the archive").value();
        return -1;
      }
      hasher->feed(buffer.data(), static_cast<std::size_t>(got));
      read_bytes += static_cast<std::uint64_t>(got);
      if (options.progress && read_bytes - told_bytes >= kProgressBytes) {
        told_bytes = read_bytes;
        options.progress(read_bytes);
      }
      return got;
    }
  }

  /// A piece of the decompressed stream.
  [[nodiscard]] la_ssize_t pull(const void** piece) {
    for (;;) {
      std::size_t size = 0;
      la_int64_t offset = 0;
      const int status = ::archive_read_data_block(outer.get(), piece, &size, &offset);
      if (status == ARCHIVE_EOF) return 0;
      if (status != ARCHIVE_OK) {
        if (!error) error = Error{EPROTO, "damaged compression: " + words_of(outer.get())};
        return -1;
      }
      if (size == 0) continue;
      if (auto taken = budget->take_stream(size); !taken) {
        error = std::move(taken.error());
        return -1;
      }
      if (content_hasher) content_hasher->feed(*piece, size);
      return static_cast<la_ssize_t>(size);
    }
  }

  [[nodiscard]] Failure failure(const std::string& words) {
    if (error) return tl::make_unexpected(*error);
    return fail(EPROTO, words);
  }
  [[nodiscard]] std::string complaint() const {
    if (entries == 0) return std::string(kNoTarball) + words_of(inner.get());
    return "is no sound tarball after " + std::to_string(entries) +
           " entries: " + words_of(inner.get());
  }
};

namespace {

la_ssize_t read_input(archive* /*reader*/, void* state, const void** bytes) {
  auto* self = static_cast<TarStream::State*>(state);
  *bytes = self->buffer.data();
  return self->fill();
}

la_ssize_t read_content(archive* /*reader*/, void* state, const void** bytes) {
  return static_cast<TarStream::State*>(state)->pull(bytes);
}

}  // namespace

TarStream::TarStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarStream::~TarStream() = default;

Result<std::unique_ptr<TarStream>> TarStream::open(const Options& options, Budget& budget) {
  auto state = std::make_unique<State>();
  state->options = options;
  state->budget = &budget;
  PANAL_ASSIGN(state->hasher, Hasher::start(options.hash));
  if (!options.content_hash.empty()) {
    PANAL_ASSIGN(state->content_hasher, Hasher::start(options.content_hash));
  }

  state->outer = Reader(::archive_read_new());
  archive* outer = state->outer.get();
  if (outer == nullptr) return fail(ENOMEM, "read an archive");
  // ARCHIVE_WARN means "by an external program": those are not wanted, and Debian's needs none.
  for (const auto support : {::archive_read_support_filter_gzip, ::archive_read_support_filter_zstd,
                             ::archive_read_support_filter_xz, ::archive_read_support_format_raw,
                             ::archive_read_support_format_empty})
    if (support(outer) != ARCHIVE_OK)
      return fail(ENOSYS, "libarchive lacks a format: " + words_of(outer));
  if (::archive_read_open(outer, state.get(), nullptr, read_input, nullptr) != ARCHIVE_OK)
    return state->failure(std::string(kNoTarball) + words_of(outer));
  if (::archive_filter_count(outer) > 2)
    return fail(EPERM, "is compressed more than once; unpack the outer compression first");
  archive_entry* whole = nullptr;
  const int status = ::archive_read_next_header(outer, &whole);
  if (status == ARCHIVE_EOF) return state->failure("is empty");
  if (status != ARCHIVE_OK) return state->failure("damaged compression: " + words_of(outer));

  state->inner = Reader(::archive_read_new());
  archive* inner = state->inner.get();
  if (inner == nullptr) return fail(ENOMEM, "read an archive");
  if (::archive_read_support_format_tar(inner) != ARCHIVE_OK)
    return fail(ENOSYS, "libarchive lacks tar: " + words_of(inner));
  if (::archive_read_open(inner, state.get(), nullptr, read_content, nullptr) != ARCHIVE_OK)
    return state->failure(std::string(kNoTarball) + words_of(inner));
  return std::unique_ptr<TarStream>(new TarStream(std::move(state)));
}

Result<std::optional<TarEntry>> TarStream::next() {
  archive_entry* entry = nullptr;
  const int status = ::archive_read_next_header(state_->inner.get(), &entry);
  if (status == ARCHIVE_EOF) {
    if (state_->error) return tl::make_unexpected(*state_->error);
    return std::optional<TarEntry>();
  }
  // A warning is a header that libarchive could not take as it is: another reader would see
  // another entry.
  if (status != ARCHIVE_OK) return state_->failure(state_->complaint());
  PANAL_TRY(state_->budget->take_entry());
  ++state_->entries;
  return std::optional<TarEntry>(converted(entry));
}

Result<std::optional<TarStream::Block>> TarStream::block() {
  const void* bytes = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const int status = ::archive_read_data_block(state_->inner.get(), &bytes, &size, &offset);
  if (status == ARCHIVE_EOF) return std::optional<Block>();
  if (status != ARCHIVE_OK || offset < 0) return state_->failure(state_->complaint());
  return std::optional<Block>(
      Block{static_cast<const char*>(bytes), size, static_cast<std::uint64_t>(offset)});
}

Result<TarStream::Digests> TarStream::finish() {
  const void* piece = nullptr;
  la_ssize_t got = 0;
  while ((got = state_->pull(&piece)) > 0) {
  }
  if (got < 0) return state_->failure("cannot be read to its end");
  while ((got = state_->fill()) > 0) {
  }
  if (got < 0) return state_->failure("cannot be read to its end");
  Digests digests;
  PANAL_ASSIGN(digests.input, state_->hasher->finish());
  if (state_->content_hasher) {
    PANAL_ASSIGN(Digest content, state_->content_hasher->finish());
    digests.content = std::move(content);
  }
  return digests;
}

}  // namespace panal::storage::unpack

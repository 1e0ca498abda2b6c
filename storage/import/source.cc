#include "storage/import/source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "storage/import/tar_writer.h"

namespace panal::storage {
namespace {

constexpr const char* kLayoutMark = "/oci-layout";

}  // namespace

Result<ImportSource> open_source(const ImportSpec& spec) {
  ImportSource source;
  source.kind = spec.kind;
  // O_NONBLOCK: a FIFO would keep us waiting for its other end.
  source.file = UniqueFd(::open(spec.source.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!source.file) return fail_errno("open", spec.source);
  struct stat info{};
  if (::fstat(source.file.get(), &info) != 0) return fail_errno("stat", spec.source);
  if (S_ISREG(info.st_mode)) {
    if (spec.kind == ImportKind::kDirectory)
      return fail(EINVAL, spec.source + " is a file, not a directory");
    source.bytes = static_cast<std::uint64_t>(info.st_size);
    return source;
  }
  if (!S_ISDIR(info.st_mode))
    return fail(EINVAL, spec.source + " is neither a file nor a directory");
  if (spec.kind == ImportKind::kTar)
    return fail(EINVAL, spec.source + " is a directory, no tarball");
  source.is_directory = true;
  source.file.reset();
  struct stat mark{};
  const bool layout = ::stat((spec.source + kLayoutMark).c_str(), &mark) == 0;
  if (source.kind == ImportKind::kAuto)
    source.kind = layout ? ImportKind::kOci : ImportKind::kDirectory;
  if (source.kind == ImportKind::kOci && !layout)
    return fail(EINVAL, spec.source + " has no file oci-layout: it is no OCI layout");
  PANAL_ASSIGN(source.bytes, bytes_below(spec.source));
  return source;
}

}  // namespace panal::storage

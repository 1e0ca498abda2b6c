#include "storage/import/export.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/kernel_paths.h"
#include "engine/base/unique_fd.h"
#include "storage/import/tar_writer.h"

namespace panal::storage {
namespace {

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string directory_of(const std::string& file) {
  const auto slash = file.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : file.substr(0, slash);
}

}  // namespace

Result<TarCompression> compression_of_name(const std::string& file) {
  if (ends_with(file, ".tar")) return TarCompression::kNone;
  if (ends_with(file, ".tar.gz") || ends_with(file, ".tgz")) return TarCompression::kGzip;
  if (ends_with(file, ".tar.zst")) return TarCompression::kZstd;
  if (ends_with(file, ".tar.xz")) return TarCompression::kXz;
  return fail(EINVAL, file + ": its name must end in .tar, .tar.gz, .tgz, .tar.zst or .tar.xz");
}

Result<void> export_tar(const ExportSpec& spec, const ImportProgress& progress,
                        const std::atomic<bool>* cancelled) {
  struct stat there{};
  if (::lstat(spec.file.c_str(), &there) == 0) return fail(EEXIST, "export to " + spec.file);
  // Without a name until it is whole: whatever ends this program, nothing is left.
  const std::string directory = directory_of(spec.file);
  const UniqueFd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) return fail_errno("make a file in", directory);
  PANAL_ASSIGN(const std::uint64_t whole, bytes_below(spec.root));

  TarWriting writing;
  writing.root = spec.root;
  writing.fd = file.get();
  writing.compression = spec.compression;
  std::uint64_t done = 0;
  writing.check = [&](const std::string& path, std::uint64_t bytes) -> Result<void> {
    if (cancelled != nullptr && cancelled->load())
      return fail(ECANCELED, "the export was cancelled");
    done += bytes;
    if (progress && whole > 0)
      progress(0.99 * static_cast<double>(done < whole ? done : whole) / static_cast<double>(whole),
               "writing " + path);
    return {};
  };
  if (auto written = write_tar(writing); !written)
    return prefixed("export to " + spec.file, written.error());
  if (::fsync(file.get()) != 0) return fail_errno("fsync", spec.file);
  const std::string self =
      std::string(kernel_paths::kProcSelfFd) + "/" + std::to_string(file.get());
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, spec.file.c_str(), AT_SYMLINK_FOLLOW) != 0)
    return fail_errno("export to", spec.file);
  const UniqueFd parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent || ::fsync(parent.get()) != 0) return fail_errno("fsync", directory);
  if (progress) progress(1, "done");
  return {};
}

}  // namespace panal::storage

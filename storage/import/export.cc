#include "storage/import/export.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "engine/base/kernel_paths.h"
#include "engine/base/unique_fd.h"
#include "storage/import/tar_writer.h"

namespace panal::storage {
namespace {

constexpr mode_t kOutputMode = 0600;  // trees hold what only root may read
constexpr double kWritten = 0.99;

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string directory_of(const std::string& file) {
  const auto slash = file.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : file.substr(0, slash);
}

/// The file that is being made: without a name where the file system can do that (nothing is left
/// then, whatever ends this program), else under a name of its own beside the wanted one.
class OutputFile {
 public:
  static Result<OutputFile> make(const std::string& wanted) {
    struct stat there{};
    if (::lstat(wanted.c_str(), &there) == 0)
      return fail(EEXIST, wanted + " is there already; export to another name");
    OutputFile made;
    made.wanted_ = wanted;
    made.fd_ =
        UniqueFd(::open(directory_of(wanted).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kOutputMode));
    if (made.fd_) return made;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
      return fail_errno("make a file for", wanted);
    std::string name = wanted + ".XXXXXX";
    made.fd_ = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
    if (!made.fd_) return fail_errno("make a file", name);
    made.temporary_ = std::move(name);
    return made;
  }

  OutputFile(OutputFile&& other) noexcept
      : wanted_(std::move(other.wanted_)),
        temporary_(std::exchange(other.temporary_, {})),
        fd_(std::move(other.fd_)) {}
  OutputFile& operator=(OutputFile&& other) = delete;
  ~OutputFile() {
    if (!temporary_.empty()) (void)::unlink(temporary_.c_str());
  }

  [[nodiscard]] int fd() const { return fd_.get(); }

  /// Errors: EEXIST where somebody took the name meanwhile.
  Result<void> appear() {
    if (::fsync(fd_.get()) != 0) return fail_errno("fsync", wanted_);
    const std::string self = std::string(kernel_paths::kProcSelfFd) + "/" + std::to_string(fd());
    const std::string& from = temporary_.empty() ? self : temporary_;
    if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, wanted_.c_str(), AT_SYMLINK_FOLLOW) != 0)
      return fail_errno("make the file", wanted_);
    const std::string directory = directory_of(wanted_);
    const UniqueFd parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent || ::fsync(parent.get()) != 0) return fail_errno("fsync", directory);
    return {};
  }

 private:
  OutputFile() = default;
  std::string wanted_;
  std::string temporary_;  ///< empty: the file has no name
  UniqueFd fd_;
};

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
  PANAL_ASSIGN(OutputFile file, OutputFile::make(spec.file));
  PANAL_ASSIGN(const std::uint64_t whole, bytes_below(spec.root));
  TarWriting writing;
  writing.root = spec.root;
  writing.fd = file.fd();
  writing.compression = spec.compression;
  std::uint64_t done = 0;
  writing.check = [&](const std::string& path, std::uint64_t bytes) -> Result<void> {
    if (cancelled != nullptr && cancelled->load())
      return fail(ECANCELED, "the export was cancelled");
    done += bytes;
    if (progress && whole > 0)
      progress(kWritten * static_cast<double>(std::min(done, whole)) / static_cast<double>(whole),
               "writing " + path);
    return {};
  };
  if (auto written = write_tar(writing); !written)
    return prefixed("export to " + spec.file, written.error());
  PANAL_TRY(file.appear());
  if (progress) progress(1, "done");
  return {};
}

}  // namespace panal::storage

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <deque>

#include "storage/transfer/source.h"

namespace panal::storage {
namespace {

class LocalSource final : public Source {
 public:
  LocalSource(UniqueFd directory, std::string where)
      : directory_(std::move(directory)), where_(std::move(where)) {}

  Result<void> want(const std::string& path, std::uint64_t most_bytes) override {
    if (!is_archive_path(path)) return fail(EINVAL, "\"" + path + "\" is no file of an archive");
    wanted_.emplace_back(path, most_bytes);
    return {};
  }

  Result<FetchedFile> next() override {
    if (wanted_.empty()) return fail(EINVAL, "nothing was asked for");
    const auto [path, most_bytes] = wanted_.front();
    wanted_.pop_front();
    return open(path, most_bytes);
  }

  [[nodiscard]] const std::string& where() const override { return where_; }

 private:
  [[nodiscard]] Result<FetchedFile> open(const std::string& path, std::uint64_t most_bytes) const {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    // Somebody else may have made the directory: a stick, an unpacked archive.
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    UniqueFd file(
        static_cast<int>(::syscall(SYS_openat2, directory_.get(), path.c_str(), &how, sizeof how)));
    if (!file) {
      if (errno == ENOENT) return fail(ENOENT, where_ + ": " + path + " is not there");
      return fail_errno("open", where_ + "/" + path);
    }
    struct stat info{};
    if (::fstat(file.get(), &info) != 0) return fail_errno("stat", where_ + "/" + path);
    if (!S_ISREG(info.st_mode)) return fail(EIO, where_ + ": " + path + " is no plain file");
    const auto bytes = static_cast<std::uint64_t>(info.st_size);
    if (bytes > most_bytes)
      return fail(EFBIG, where_ + ": " + path + " has " + std::to_string(bytes) +
                             " bytes, and at most " + std::to_string(most_bytes) + " may come");
    return FetchedFile{path, std::move(file), bytes};
  }

  UniqueFd directory_;
  std::string where_;
  std::deque<std::pair<std::string, std::uint64_t>> wanted_;
};

}  // namespace

Result<std::unique_ptr<Source>> open_local_source(const std::string& directory) {
  UniqueFd opened(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!opened) return fail_errno("open archive", directory);
  return std::unique_ptr<Source>(std::make_unique<LocalSource>(std::move(opened), directory));
}

}  // namespace panal::storage

#include "runtime/broker/archive_door.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "runtime/broker/auth/password.h"

namespace panal::broker {
namespace {

constexpr std::string_view kBearer = "Bearer ";
/// 32 random hex digits are 128 bits: no limit of attempts is needed.
constexpr std::size_t kLeastToken = 32;
constexpr std::size_t kMostToken = 512;
constexpr std::string_view kTokenLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
constexpr std::array<std::string_view, 4> kObjectKinds = {".filez", ".dirtree", ".dirmeta",
                                                          ".commit"};

bool are_hex_digits(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<std::string> read_token(const std::string& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return fail_errno("open", file);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("stat", file);
  if (!S_ISREG(info.st_mode)) return fail(EINVAL, file + ": a token must be in a plain file");
  if ((info.st_mode & 007U) != 0)
    return fail(EACCES, file + ": everybody may read this token; chmod 600 it");
  std::string token(kMostToken + 2, '\0');
  const ssize_t got = ::read(fd.get(), token.data(), token.size());
  if (got < 0) return fail_errno("read", file);
  token.resize(static_cast<std::size_t>(got));
  if (token.ends_with('\n')) token.pop_back();
  if (token.size() < kLeastToken || token.size() > kMostToken ||
      token.find_first_not_of(kTokenLetters) != std::string::npos)
    return fail(EINVAL, file +
                            ": a token is one line of 32 to 512 letters and digits; make one "
                            "with `openssl rand -hex 32`");
  return token;
}

}  // namespace

Result<PublishedArchive> open_published_archive(const config::Config& config) {
  PublishedArchive archive;
  if (config.archive_dir.empty()) return archive;
  PANAL_ASSIGN(archive.token, read_token(config.archive_token_file));
  archive.directory =
      UniqueFd(::open(config.archive_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!archive.directory) return fail_errno("open", config.archive_dir);
  return archive;
}

bool is_published_path(std::string_view path) {
  if (path == "panal-images") return true;
  // objects/ab/62 hex digits.kind
  constexpr std::string_view kObjects = "objects/";
  if (!path.starts_with(kObjects)) return false;
  path.remove_prefix(kObjects.size());
  if (path.size() < 65 || path[2] != '/' || !are_hex_digits(path.substr(0, 2)) ||
      !are_hex_digits(path.substr(3, 62)))
    return false;
  return std::find(kObjectKinds.begin(), kObjectKinds.end(), path.substr(65)) != kObjectKinds.end();
}

Answer<ArchiveDoor::File> ArchiveDoor::open(const http::Request& request) const {
  const auto refuse = [](int status, const char* sentence) {
    return tl::make_unexpected(Refusal{status, sentence});
  };
  if (!archive_.directory) return refuse(404, "No images are published here.");
  const auto header = request.header("Authorization");
  if (!header || !header->starts_with(kBearer) ||
      !auth::equal_constant_time(header->substr(kBearer.size()), archive_.token))
    return refuse(401, "Images are for nodes: send their token.");
  const std::string path = request.path.substr(std::min(kPrefix.size(), request.path.size()));
  if (!request.path.starts_with(kPrefix) || !is_published_path(path))
    return refuse(404, "The archive of images has no such file.");
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  File found;
  found.file = UniqueFd(static_cast<int>(
      ::syscall(SYS_openat2, archive_.directory.get(), path.c_str(), &how, sizeof how)));
  if (!found.file && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
    return refuse(503, "Too much is being sent. Try again in a few seconds.");
  struct stat info{};
  if (!found.file || ::fstat(found.file.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return refuse(404, "The archive of images has no such file.");
  found.bytes = static_cast<std::uint64_t>(info.st_size);
  return found;
}

}  // namespace panal::broker

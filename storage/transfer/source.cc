#include "storage/transfer/source.h"

#include <unistd.h>

namespace panal::storage {

bool is_archive_path(const std::string& path) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
  if (path.empty() || path.size() > 200 || path.back() == '/' ||
      path.find("..") != std::string::npos || path.find_first_not_of(kLetters) != std::string::npos)
    return false;
  bool begins = true;  // a word
  for (const char c : path) {
    if (begins && (c == '.' || c == '/')) return false;
    begins = c == '/';
  }
  return true;
}

Result<UniqueFd> fetch_one(Source& source, const std::string& path, std::uint64_t most_bytes) {
  PANAL_TRY(source.want(path, most_bytes));
  PANAL_ASSIGN(FetchedFile fetched, source.next());
  if (fetched.path != path)
    return fail(EPROTO, source.where() + ": " + fetched.path + " came instead of " + path);
  return std::move(fetched.file);
}

Result<std::string> read_fetched(int file, std::uint64_t most_bytes) {
  std::string text;
  char buffer[16384];
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(file, buffer, sizeof buffer, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read what was fetched");
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    at += got;
    if (text.size() > most_bytes)
      return fail(EFBIG,
                  "what was fetched is longer than " + std::to_string(most_bytes) + " bytes");
  }
}

}  // namespace panal::storage

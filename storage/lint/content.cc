#include "storage/lint/content.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace panal::storage::lint {
namespace {

constexpr std::size_t kBlock = std::size_t{128} << 10;

/// Fills the buffer unless the file ends. Returns how many bytes.
Result<std::size_t> read_block(int fd, std::vector<char>& buffer, std::uint64_t offset) {
  std::size_t have = 0;
  while (have < buffer.size()) {
    const ssize_t got =
        ::pread(fd, buffer.data() + have, buffer.size() - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read a file");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return have;
}

}  // namespace

Result<void> Reading::look() const {
  if (budget_.cancelled != nullptr && budget_.cancelled->load())
    return fail(ECANCELED, "the look was cancelled");
  if (std::chrono::steady_clock::now() >= deadline_)
    return fail(EDQUOT, "it took longer than " + std::to_string(budget_.most_time.count()) + " s");
  return {};
}

Result<void> Reading::take_file() {
  if (++files_ > budget_.most_files)
    return fail(EDQUOT, "there are more than " + std::to_string(budget_.most_files) + " files");
  return look();
}

Result<void> Reading::take_bytes(std::uint64_t bytes) {
  bytes_ += bytes;
  if (bytes_ > budget_.most_read_bytes)
    return fail(EDQUOT, "more than " + std::to_string(budget_.most_read_bytes >> 20U) +
                            " MiB would have to be compared");
  return look();
}

Result<std::string> content_digest(int fd, Reading& reading) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return fail(ENOMEM, "begin a SHA-256");
  std::vector<char> buffer(kBlock);
  for (std::uint64_t offset = 0;; offset += kBlock) {
    PANAL_TRY(reading.take_bytes(kBlock));
    PANAL_ASSIGN(const std::size_t got, read_block(fd, buffer, offset));
    if (EVP_DigestUpdate(context.get(), buffer.data(), got) != 1)
      return fail(EIO, "SHA-256 of a file");
    if (got < buffer.size()) break;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1)
    return fail(EIO, "SHA-256 of a file");
  std::string hex;
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (unsigned i = 0; i < length; ++i) {
    const unsigned byte = digest[i];
    hex.push_back(kDigits[byte >> 4U]);
    hex.push_back(kDigits[byte & 15U]);
  }
  return hex;
}

Result<bool> same_content(int a, int b, std::uint64_t size, Reading& reading) {
  std::vector<char> of_a(kBlock);
  std::vector<char> of_b(kBlock);
  for (std::uint64_t offset = 0; offset < size; offset += kBlock) {
    PANAL_TRY(reading.take_bytes(2 * kBlock));
    PANAL_ASSIGN(const std::size_t got_a, read_block(a, of_a, offset));
    PANAL_ASSIGN(const std::size_t got_b, read_block(b, of_b, offset));
    if (got_a != got_b || std::memcmp(of_a.data(), of_b.data(), got_a) != 0) return false;
    if (got_a < kBlock) break;
  }
  return true;
}

}  // namespace panal::storage::lint

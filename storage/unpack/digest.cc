#include "storage/unpack/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "engine/base/log.h"

namespace panal::storage::unpack {

Result<Digest> parse_digest(std::string_view text) {
  const auto colon = text.find(':');
  Digest digest;
  digest.algorithm = std::string(text.substr(0, colon));
  if (colon != std::string_view::npos) digest.hex = std::string(text.substr(colon + 1));
  const std::size_t digits =
      digest.algorithm == "sha256" ? 64 : (digest.algorithm == "sha512" ? 128 : 0);
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (digits == 0 || digest.hex.size() != digits ||
      !std::all_of(digest.hex.begin(), digest.hex.end(), is_hex))
    return fail(EPROTO, "\"" + printable(text, 160) + "\" is no sha256 or sha512 digest");
  return digest;
}

void Hasher::Free::operator()(evp_md_ctx_st* context) const { ::EVP_MD_CTX_free(context); }

Result<Hasher> Hasher::start(const std::string& algorithm) {
  const EVP_MD* kind = nullptr;
  if (algorithm == "sha256") kind = ::EVP_sha256();
  if (algorithm == "sha512") kind = ::EVP_sha512();
  if (kind == nullptr) return fail(EPROTO, "hash " + printable(algorithm, 40) + " is not known");
  std::unique_ptr<evp_md_ctx_st, Free> context(::EVP_MD_CTX_new());
  if (context == nullptr || ::EVP_DigestInit_ex(context.get(), kind, nullptr) != 1)
    return fail(ENOMEM, "start " + algorithm);
  return Hasher(algorithm, std::move(context));
}

void Hasher::feed(const void* bytes, std::size_t size) {
  if (::EVP_DigestUpdate(context_.get(), bytes, size) != 1) failed_ = true;
}

Result<Digest> Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned length = 0;
  if (failed_ || ::EVP_DigestFinal_ex(context_.get(), value.data(), &length) != 1)
    return fail(EIO, "compute " + algorithm_);
  static constexpr char kDigits[] = "0123456789abcdef";
  Digest digest;
  digest.algorithm = algorithm_;
  for (unsigned i = 0; i < length; ++i) {
    digest.hex += kDigits[value[i] >> 4U];
    digest.hex += kDigits[value[i] & 0xfU];
  }
  return digest;
}

}  // namespace panal::storage::unpack

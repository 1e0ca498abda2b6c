#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace panal::storage::unpack {

/// "sha256:<64 hex digits>" or "sha512:<128>": what OCI calls a digest.
struct Digest {
  std::string algorithm;
  std::string hex;
  [[nodiscard]] bool operator==(const Digest&) const = default;
  [[nodiscard]] std::string text() const { return algorithm + ":" + hex; }
};

/// Errors: EPROTO; other algorithms, upper case and wrong lengths are none.
[[nodiscard]] Result<Digest> parse_digest(std::string_view text);

/// A hash being computed.
class Hasher {
 public:
  /// `algorithm` as in Digest. Errors: EPROTO for one that is not known, ENOMEM.
  [[nodiscard]] static Result<Hasher> start(const std::string& algorithm);

  void feed(const void* bytes, std::size_t size);
  /// Hex digits of all that was fed; once.
  [[nodiscard]] Result<Digest> finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  Hasher(std::string algorithm, std::unique_ptr<evp_md_ctx_st, Free> context)
      : algorithm_(std::move(algorithm)), context_(std::move(context)) {}

  std::string algorithm_;
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool failed_ = false;
};

}  // namespace panal::storage::unpack

#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace panal::storage {

/// A public ed25519 key (RFC 8032); written as 64 lower-case hex digits.
struct PublicKey {
  std::array<unsigned char, 32> bytes{};
  bool operator==(const PublicKey&) const = default;
};

using Signature = std::array<unsigned char, 64>;

[[nodiscard]] std::string print_key(const PublicKey& key);
/// Errors: EINVAL for anything but 64 lower-case hex digits.
[[nodiscard]] Result<PublicKey> parse_key(std::string_view digits);

/// Whether `signature` is the key's over exactly this text.
[[nodiscard]] bool is_signed_by(const PublicKey& key, std::string_view text,
                                const Signature& signature);

/// Who has it can publish images in the name of an archive. Kept in a file of mode 0600.
class SecretKey {
 public:
  /// A new one from the kernel's random numbers. Errors: EIO.
  [[nodiscard]] static Result<SecretKey> generate();
  /// Errors: ENOENT; EACCES when others than its owner may read the file, or it is a link; EPROTO
  /// for a file that is no key.
  [[nodiscard]] static Result<SecretKey> load(const std::string& file);
  /// Writes it to a new file, 0600, on disk when it returns. Errors: EEXIST: a key is never
  /// overwritten.
  [[nodiscard]] Result<void> save(const std::string& file) const;

  [[nodiscard]] const PublicKey& public_key() const { return public_; }
  /// Errors: EIO.
  [[nodiscard]] Result<Signature> sign(std::string_view text) const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  using Pointer = std::unique_ptr<evp_pkey_st, Free>;
  [[nodiscard]] static Result<SecretKey> from(Pointer key);
  friend Result<SecretKey> parse_secret_key(std::string_view text, const std::string& file);

  Pointer key_;
  PublicKey public_;
};

/// A key file's text. Errors: EPROTO that names `file`.
[[nodiscard]] Result<SecretKey> parse_secret_key(std::string_view text, const std::string& file);

}  // namespace panal::storage

#include "storage/transfer/keys.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/unique_fd.h"
#include "storage/transfer/hex.h"
#include "storage/transfer/whole_file.h"

namespace panal::storage {
namespace {

constexpr std::string_view kKeyHead = "panal-secret-key 1\n";
constexpr std::size_t kSeedBytes = 32;

struct FreeDigest {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using DigestPointer = std::unique_ptr<EVP_MD_CTX, FreeDigest>;

const unsigned char* as_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// Erased when it goes: it holds a key's digits.
struct Secret {
  Secret() = default;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { OPENSSL_cleanse(text.data(), text.size()); }
  std::string text;
};

}  // namespace

std::string print_key(const PublicKey& key) { return to_hex(key.bytes); }

Result<PublicKey> parse_key(std::string_view digits) {
  PublicKey key;
  if (!from_hex(digits, key.bytes))
    return fail(EINVAL, "a public key is 64 hex digits (0-9, a-f), and \"" +
                            std::string(digits.substr(0, 80)) + "\" is not");
  return key;
}

bool is_signed_by(const PublicKey& key, std::string_view text, const Signature& signature) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> opened(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.bytes.data(), key.bytes.size()),
      EVP_PKEY_free);
  const DigestPointer context(EVP_MD_CTX_new());
  return opened && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, opened.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), as_bytes(text),
                          text.size()) == 1;
}

void SecretKey::Free::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

Result<SecretKey> SecretKey::from(Pointer key) {
  SecretKey secret;
  std::size_t length = secret.public_.bytes.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), secret.public_.bytes.data(), &length) != 1 ||
      length != secret.public_.bytes.size())
    return fail(EIO, "make an ed25519 key");
  secret.key_ = std::move(key);
  return secret;
}

Result<SecretKey> SecretKey::generate() {
  return from(Pointer(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")));
}

Result<SecretKey> parse_secret_key(std::string_view text, const std::string& file) {
  std::array<unsigned char, kSeedBytes> seed{};
  const bool whole = text.starts_with(kKeyHead) && text.ends_with("\n") &&
                     text.size() == kKeyHead.size() + 2 * kSeedBytes + 1 &&
                     from_hex(text.substr(kKeyHead.size(), 2 * kSeedBytes), seed);
  if (!whole) {
    OPENSSL_cleanse(seed.data(), seed.size());
    return fail(EPROTO, file +
                            ": is no secret key of Panal (\"panal-secret-key 1\" and 64 hex "
                            "digits); give the file that `panal image push` made");
  }
  SecretKey::Pointer key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  OPENSSL_cleanse(seed.data(), seed.size());
  return SecretKey::from(std::move(key));
}

Result<SecretKey> SecretKey::load(const std::string& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    if (errno == ELOOP) return fail(EACCES, file + ": a key file must not be a link");
    return fail_errno("open key", file);
  }
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("stat", file);
  if (!S_ISREG(info.st_mode)) return fail(EACCES, file + ": a key must be a plain file");
  if ((info.st_mode & 077U) != 0)
    return fail(EACCES, file +
                            ": others than its owner may read this key; chmod 600 it, and "
                            "rotate it if somebody did");
  Secret read;
  read.text.resize(kKeyHead.size() + 2 * kSeedBytes + 2);
  const ssize_t got = ::read(fd.get(), read.text.data(), read.text.size());
  if (got < 0) return fail_errno("read key", file);
  return parse_secret_key(std::string_view(read.text).substr(0, static_cast<std::size_t>(got)),
                          file);
}

Result<void> SecretKey::save(const std::string& file) const {
  std::array<unsigned char, kSeedBytes> seed{};
  std::size_t length = seed.size();
  if (EVP_PKEY_get_raw_private_key(key_.get(), seed.data(), &length) != 1)
    return fail(EIO, "read an ed25519 key");
  Secret digits;
  digits.text = to_hex(seed);
  OPENSSL_cleanse(seed.data(), seed.size());
  Secret all;
  all.text.reserve(kKeyHead.size() + digits.text.size() + 1);
  all.text.append(kKeyHead).append(digits.text).append("\n");
  return create_file(file, all.text, 0600);
}

Result<Signature> SecretKey::sign(std::string_view text) const {
  Signature signature{};
  std::size_t length = signature.size();
  const DigestPointer context(EVP_MD_CTX_new());
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &length, as_bytes(text), text.size()) != 1 ||
      length != signature.size())
    return fail(EIO, "sign with an ed25519 key");
  return signature;
}

}  // namespace panal::storage

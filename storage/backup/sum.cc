#include "storage/backup/sum.h"

#include <openssl/evp.h>

#include <array>
#include <utility>

namespace panal::storage::backup {

bool keeps_attribute(const std::string& name) {
  return name.starts_with("user.") || name == "system.posix_acl_access" ||
         name == "system.posix_acl_default";
}

void Summer::Free::operator()(evp_md_ctx_st* context) const { ::EVP_MD_CTX_free(context); }

Result<Summer> Summer::start() {
  std::unique_ptr<evp_md_ctx_st, Free> context(::EVP_MD_CTX_new());
  Summer summer(std::move(context));
  if (!summer.context_ || ::EVP_DigestInit_ex(summer.context_.get(), ::EVP_sha256(), nullptr) != 1)
    return fail(ENOMEM, "start a checksum");
  return summer;
}

void Summer::bytes(const void* data, std::size_t size) {
  if (::EVP_DigestUpdate(context_.get(), data, size) != 1) failed_ = true;
}

void Summer::entry(const Kept& kept) {
  // Each text with its length, so that no two entries can look alike.
  const auto add = [this](const std::string& text) {
    const std::string length = std::to_string(text.size()) + ":";
    bytes(length.data(), length.size());
    bytes(text.data(), text.size());
  };
  add(kept.name);
  add(std::string(1, kept.type));
  for (const std::int64_t number :
       {std::int64_t{kept.mode}, std::int64_t{kept.uid}, std::int64_t{kept.gid}, kept.mtime_s,
        kept.mtime_ns, static_cast<std::int64_t>(kept.size)})
    add(std::to_string(number));
  add(kept.target);
  add(std::to_string(kept.attributes.size()));
  for (const auto& [name, value] : kept.attributes) {
    add(name);
    add(value);
  }
}

Result<std::string> Summer::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (failed_ || ::EVP_DigestFinal_ex(context_.get(), digest.data(), &size) != 1)
    return fail(EIO, "compute a checksum");
  constexpr const char* kDigits = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4U];
    hex += kDigits[digest[i] & 15U];
  }
  return hex;
}

}  // namespace panal::storage::backup

#include "runtime/broker/auth/password.h"

#include <argon2.h>
#include <sys/random.h>

#include <array>
#include <charconv>
#include <vector>

namespace panal::auth {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;
constexpr std::uint32_t kMostMemoryKib = 1U << 20U;
constexpr std::uint32_t kMostPasses = 64;
constexpr std::uint32_t kMostLanes = 16;  // argon2 starts a thread for each

/// The number after `key` ("m=") in the parameter part of a PHC string.
Result<std::uint32_t> parameter(std::string_view hash, std::string_view key, std::uint32_t most) {
  const auto at = hash.find(key);
  if (at == std::string_view::npos) return fail(EPROTO, "password hash: no parameter");
  std::uint32_t value = 0;
  const std::string_view digits = hash.substr(at + key.size());
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (parsed.ec != std::errc{} || value > most) {
    return fail(EPROTO, "password hash: parameter out of range");
  }
  return value;
}

}  // namespace

Result<std::string> random_bytes(std::size_t bytes) {
  std::string out(bytes, '\0');
  std::size_t have = 0;
  while (have < bytes) {
    const ssize_t got = ::getrandom(out.data() + have, bytes - have, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail(EIO, "read random bytes");
    }
    have += static_cast<std::size_t>(got);
  }
  return out;
}

Result<std::string> hash_password(std::string_view password, Cost cost) {
  if (password.empty()) return fail(EINVAL, "the password is empty");
  if (password.size() > kPasswordBytes) {
    return fail(EINVAL, "the password is longer than 1024 bytes");
  }
  PANAL_ASSIGN(const std::string salt, random_bytes(kSaltBytes));
  std::vector<char> encoded(
      argon2_encodedlen(cost.passes, cost.memory_kib, 1, kSaltBytes, kHashBytes, Argon2_id) + 1);
  const int code =
      argon2id_hash_encoded(cost.passes, cost.memory_kib, 1, password.data(), password.size(),
                            salt.data(), salt.size(), kHashBytes, encoded.data(), encoded.size());
  if (code == ARGON2_MEMORY_ALLOCATION_ERROR) return fail(ENOMEM, "hash the password");
  if (code != ARGON2_OK) {
    return fail(EINVAL, std::string("hash the password: ") + argon2_error_message(code));
  }
  return std::string(encoded.data());
}

Result<Cost> cost_of(std::string_view hash) {
  if (!hash.starts_with("$argon2id$")) return fail(EPROTO, "password hash: not an argon2id hash");
  Cost cost;
  PANAL_ASSIGN(cost.memory_kib, parameter(hash, "$m=", kMostMemoryKib));
  PANAL_ASSIGN(cost.passes, parameter(hash, ",t=", kMostPasses));
  PANAL_TRY(parameter(hash, ",p=", kMostLanes));
  return cost;
}

Result<bool> verify_password(const std::string& hash, std::string_view password) {
  // Before argon2 allocates what the string asks for.
  PANAL_TRY(cost_of(hash));
  if (password.empty() || password.size() > kPasswordBytes) return false;
  const int code = argon2id_verify(hash.c_str(), password.data(), password.size());
  if (code == ARGON2_OK) return true;
  if (code == ARGON2_VERIFY_MISMATCH) return false;
  if (code == ARGON2_MEMORY_ALLOCATION_ERROR) return fail(ENOMEM, "check a password");
  return fail(EPROTO, std::string("password hash: ") + argon2_error_message(code));
}

bool equal_constant_time(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    difference |= static_cast<unsigned>(static_cast<unsigned char>(left[i]) ^
                                        static_cast<unsigned char>(right[i]));
  }
  const volatile unsigned result = difference;
  return result == 0;
}

}  // namespace panal::auth

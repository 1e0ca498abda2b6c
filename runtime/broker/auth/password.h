#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace panal::auth {

/// Longer passwords are refused unread: argon2 would hash any length and a login is cheap to send.
inline constexpr std::size_t kPasswordBytes = 1024;

/// Work of one hash. 19 MiB and two passes is OWASP's argon2id floor: a login costs about 25 ms of
/// one core, and a storm of logins stays inside the broker's memory (workers x cost).
struct Cost {
  std::uint32_t memory_kib = 19456;
  std::uint32_t passes = 2;
};

/// The argon2id hash of `password` as a PHC string ("$argon2id$v=19$m=...") with a random salt.
/// Errors: EINVAL for an empty password or one past kPasswordBytes; EIO when there is no
/// randomness.
[[nodiscard]] Result<std::string> hash_password(std::string_view password, Cost cost = {});

/// What a PHC string of argon2id asks for. Errors: EPROTO when it is none, or asks for more than
/// 1 GiB, 64 passes or 16 lanes (a row somebody tampered with).
[[nodiscard]] Result<Cost> cost_of(std::string_view hash);

/// Whether `password` belongs to `hash` (a PHC string of argon2id). False for a wrong password, an
/// empty one and one past kPasswordBytes; errors: EPROTO when `hash` is no argon2id hash or one
/// that cost_of() refuses; ENOMEM.
[[nodiscard]] Result<bool> verify_password(const std::string& hash, std::string_view password);

/// Equality in a time that depends on the lengths only.
[[nodiscard]] bool equal_constant_time(std::string_view left, std::string_view right);

/// `bytes` random bytes from getrandom(2). Errors: EIO.
[[nodiscard]] Result<std::string> random_bytes(std::size_t bytes);

}  // namespace panal::auth

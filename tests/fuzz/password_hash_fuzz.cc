// Password hashes come from the database: a row somebody tampered with may cost neither memory nor
// time beyond the bounds.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "runtime/broker/auth/password.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace panal::auth;
  const std::string hash(reinterpret_cast<const char*>(data), size);
  const auto cost = cost_of(hash);
  if (!cost) {
    if (verify_password(hash, "x")) std::abort();
    return 0;
  }
  // Only cheap ones are tried: the dear ones would be a test of argon2.
  if (cost->memory_kib > 64 || cost->passes > 2) return -1;
  static_cast<void>(verify_password(hash, "secret"));
  return 0;
}

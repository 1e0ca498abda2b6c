#include "netconfine/policy/group_number.h"

namespace panal::netconfine {
namespace {

void mix(std::uint32_t& digest, std::uint64_t value) {
  for (int byte = 0; byte < 8; ++byte)
    digest = (digest ^ static_cast<std::uint8_t>(value >> byte * 8)) * 16777619U;
}

// With its length: "a", "bc" and "ab", "c" are not the same.
void mix(std::uint32_t& digest, const std::string& text) {
  mix(digest, text.size());
  for (const char c : text) mix(digest, static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
}

}  // namespace

std::uint32_t group_number(const std::string& group, const std::string& tenant) {
  std::uint32_t digest = 2166136261U;
  mix(digest, group);
  mix(digest, tenant);
  return digest == 0 ? 1 : digest;
}

std::uint32_t group_number(const CompiledPolicy& policy) {
  // Rules that were not compiled from names have numbers alone.
  return group_number(policy.group_name.empty() ? std::to_string(policy.group) : policy.group_name,
                      policy.tenant);
}

}  // namespace panal::netconfine

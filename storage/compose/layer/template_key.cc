#include "storage/compose/layer/template_key.h"

#include <cstddef>
#include <cstdint>

namespace panal::storage {
namespace {

/// FNV-1a, 64 bits: needs no library and is the same everywhere.
std::uint64_t number_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

}  // namespace

std::string template_key(std::string_view version_root) {
  constexpr std::size_t kReadable = 60;
  std::string_view tail = version_root;
  if (tail.size() > kReadable) tail.remove_prefix(tail.size() - kReadable);
  std::string key;
  for (const char c : tail) key += is_plain(c) ? c : '+';
  // "/a/b" and its like begin with a separator; a name must not begin with '.' or '-'.
  const auto first = key.find_first_not_of("+.-");
  key.erase(0, first == std::string::npos ? key.size() : first);
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::uint64_t number = number_of(version_root);
  key += key.empty() ? "version-" : "-";
  for (int shift = 60; shift >= 0; shift -= 4)
    key += kDigits[static_cast<std::size_t>((number >> static_cast<unsigned>(shift)) & 15U)];
  return key;
}

}  // namespace panal::storage

#include "storage/transfer/hex.h"

namespace panal::storage {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

}  // namespace

std::string to_hex(std::span<const unsigned char> bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

bool from_hex(std::string_view digits, std::span<unsigned char> bytes) {
  if (digits.size() != bytes.size() * 2) return false;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const std::size_t high = kDigits.find(digits[2 * at]);
    const std::size_t low = kDigits.find(digits[2 * at + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    bytes[at] = static_cast<unsigned char>(high * 16 + low);
  }
  return true;
}

}  // namespace panal::storage

#pragma once

#include <cstdlib>
#include <string_view>
#include <utility>

namespace panal::fuzz {

/// What does not hold is a find.
inline void require(bool holds) {
  if (!holds) std::abort();
}

/// Cut in two at the first zero byte: for parsers of two texts.
inline std::pair<std::string_view, std::string_view> halves(std::string_view text) {
  const std::size_t at = text.find('\0');
  return {text.substr(0, at), at == text.npos ? std::string_view{} : text.substr(at + 1)};
}

}  // namespace panal::fuzz

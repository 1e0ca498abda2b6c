#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace panal::profile {

/// Of a-z, 0-9 and -, beginning with a letter or digit.
[[nodiscard]] inline bool plain_word(const std::string& text, std::size_t most) {
  return !text.empty() && text.size() <= most && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

/// A whole path, or empty. No blanks: states of zram are words.
[[nodiscard]] inline bool plain_path(const std::string& text) {
  return text.empty() || (text.front() == '/' && text.find("//") == std::string::npos &&
                          std::all_of(text.begin(), text.end(), [](char c) {
                            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                   (c >= '0' && c <= '9') ||
                                   std::string_view("._/+:@-").find(c) != std::string_view::npos;
                          }));
}

}  // namespace panal::profile

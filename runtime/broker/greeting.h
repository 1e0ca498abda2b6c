#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace panal::broker {

inline constexpr std::size_t kGreetingBytes = 1024;
inline constexpr std::size_t kCookieDigits = 32;

/// The first words of an nxproxy, in plain text: "NXPROXY-3.5.0-3.5.99 key=value,key=value " [with
/// one space after the version and one after the options]. QVD's clients send no cookie, ours
/// sends the one the broker gave it.
struct Greeting {
  std::size_t bytes = 0;              ///< its length, last space included
  std::size_t options = 0;            ///< offset of the first option
  std::optional<std::string> cookie;  ///< value of cookie=
};

enum class GreetingState { kMore, kDone, kBad };

/// Looks at what has arrived so far. kBad as soon as it cannot become a greeting: other first
/// words, a control character, a second cookie, a cookie that is not 32 hex digits, more than
/// kGreetingBytes. Sets `greeting` at kDone.
[[nodiscard]] GreetingState parse_greeting(std::string_view bytes, Greeting& greeting);

/// What the agent may be told: `bytes` with "cookie=<cookie>," put in front of the options where
/// the client sent none. nullopt when the client's cookie is not `cookie` (compared in constant
/// time).
[[nodiscard]] std::optional<std::string> admit_greeting(std::string_view bytes,
                                                        const Greeting& greeting,
                                                        std::string_view cookie);

}  // namespace panal::broker

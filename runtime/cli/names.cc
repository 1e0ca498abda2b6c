#include "runtime/cli/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/base/log.h"

namespace panal::cli {
namespace {

bool lower(char c) { return c >= 'a' && c <= 'z'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return lower(c) || (c >= 'A' && c <= 'Z'); }

template <typename Allowed>
bool all(std::string_view text, Allowed allowed) {
  return std::all_of(text.begin(), text.end(), allowed);
}

bool one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

Failure wrong(std::string_view what, std::string_view value, std::string_view rule) {
  return fail(EINVAL, fmt::format("'{}' is no {}: {}", printable(value, 80), what, rule));
}

Result<void> check_word(std::string_view what, std::string_view word) {
  const bool good = !word.empty() && word.size() <= 32 && (lower(word[0]) || digit(word[0])) &&
                    all(word, [](char c) { return lower(c) || digit(c) || one_of(c, "_-"); });
  if (good) return {};
  return wrong(what, word,
               "use a-z, 0-9, '_' and '-', at most 32, beginning with a letter or digit");
}

}  // namespace

Result<void> check_login(std::string_view login) {
  const bool good = !login.empty() && login.size() <= 32 && (lower(login[0]) || login[0] == '_') &&
                    all(login, [](char c) { return lower(c) || digit(c) || one_of(c, "_-"); });
  if (good) return {};
  return wrong("login name", login,
               "use a-z, 0-9, '_' and '-', at most 32, beginning with a letter or '_'");
}

Result<void> check_tenant(std::string_view tenant) { return check_word("tenant name", tenant); }

Result<void> check_trust(std::string_view trust) { return check_word("trust level", trust); }

Result<void> check_image_name(std::string_view image) {
  const bool good = !image.empty() && image.size() <= 64 && image.front() != '-' &&
                    all(image, [](char c) { return lower(c) || digit(c) || c == '-'; });
  if (good) return {};
  return wrong("image name", image,
               "use a-z, 0-9 and '-', at most 64, beginning with a letter or "
               "digit");
}

Result<void> check_message(std::string_view message) {
  constexpr std::size_t kMost = 2000;
  if (message.size() <= kMost && printable(message, kMost) == message) return {};
  return wrong("message", message,
               "give one line of UTF-8 without control characters, 2000 bytes "
               "at most");
}

Result<void> check_desktop_name(std::string_view name) {
  const bool good = !name.empty() && name.size() <= 63 && name.front() != '-' &&
                    name.back() != '-' &&
                    all(name, [](char c) { return lower(c) || digit(c) || c == '-'; });
  if (!good) {
    return wrong("desktop name", name,
                 "use a-z, 0-9 and '-', at most 63, no '-' at an end: it is a host name too");
  }
  if (all(name, digit)) {
    return wrong("desktop name", name, "a number alone would be taken for a desktop's id");
  }
  return {};
}

Result<void> check_shell(std::string_view shell) {
  const bool good =
      shell.empty() || (shell.size() <= 255 && shell.front() == '/' && all(shell, [](char c) {
                          return letter(c) || digit(c) || one_of(c, "/._-+");
                        }));
  if (good) return {};
  return wrong("shell", shell, "give the absolute path it has inside the image");
}

Result<void> check_lang(std::string_view lang) {
  const bool good = lang.size() <= 64 &&
                    all(lang, [](char c) { return letter(c) || digit(c) || one_of(c, "_.@-"); });
  if (good) return {};
  return wrong("language", lang, "give a locale such as es_ES.UTF-8");
}

Result<void> check_timezone(std::string_view timezone) {
  const bool good =
      timezone.empty() ||
      (timezone.size() <= 64 && letter(timezone.front()) &&
       timezone.find("..") == std::string_view::npos &&
       timezone.find("//") == std::string_view::npos &&
       all(timezone, [](char c) { return letter(c) || digit(c) || one_of(c, "/_+-"); }));
  if (good) return {};
  return wrong("time zone", timezone, "give a name such as Europe/Madrid");
}

Result<void> check_keyboard(std::string_view keyboard) {
  const auto slash = keyboard.find('/');
  const bool good =
      keyboard.empty() ||
      (keyboard.size() <= 64 && slash != std::string_view::npos && slash > 0 &&
       slash + 1 < keyboard.size() &&
       all(keyboard, [](char c) { return letter(c) || digit(c) || one_of(c, "/_,()-"); }) &&
       keyboard.find('/', slash + 1) == std::string_view::npos);
  if (good) return {};
  return wrong("keyboard", keyboard, "give model and layout, such as pc105/es");
}

Result<std::pair<std::string, std::uint32_t>> parse_group(std::string_view text) {
  const auto colon = text.find(':');
  std::uint32_t gid = 0;
  if (colon != std::string_view::npos && check_login(text.substr(0, colon))) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, gid);
    if (error == std::errc{} && rest == end && gid >= 1 && gid <= 65533) {
      return std::pair{std::string(text.substr(0, colon)), gid};
    }
  }
  return wrong("group", text, "give NAME:GID with a gid of 1 to 65533, such as audio:29");
}

Result<std::vector<std::string>> expand_names(const std::string& pattern, std::uint32_t count) {
  const auto percent = pattern.find('%');
  const bool numbered = percent != std::string::npos && pattern.compare(percent, 2, "%d") == 0 &&
                        pattern.find('%', percent + 1) == std::string::npos;
  if (percent != std::string::npos && !numbered) {
    return wrong("desktop name", pattern, "only one %d may stand in it");
  }
  if (!numbered && count != 1) {
    return wrong("name for more than one desktop", pattern, "put %d where the number belongs");
  }
  std::vector<std::string> names;
  for (std::uint32_t i = 1; i <= count; ++i) {
    std::string name = pattern;
    if (numbered) name.replace(percent, 2, std::to_string(i));
    PANAL_TRY(check_desktop_name(name));
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace panal::cli

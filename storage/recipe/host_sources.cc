#include "storage/recipe/host_sources.h"

#include <algorithm>
#include <vector>

#include "engine/base/tree.h"

namespace panal::storage {
namespace {

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  while (true) {
    const auto begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const auto end = std::min(line.find_first_of(" \t\r"), line.size());
    words.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

template <typename Visit>
void each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

bool is_usable(const std::string& url) {
  return url.starts_with("http://") && url.size() > 7 &&
         std::all_of(url.begin(), url.end(), [](unsigned char c) {
           return c > 0x20 && c < 0x7f && c != '"' && c != '\'' && c != '[' && c != ']';
         });
}

void take(std::string url, const std::string& entry_suite, const std::string& suite,
          mmdebstrap::Sources& sources) {
  if (!is_usable(url)) return;
  while (url.back() == '/') url.pop_back();
  if (entry_suite == suite) sources.mirror = url;
  if (entry_suite == suite + "-security") sources.security_mirror = url;
}

/// One paragraph of the deb822 format.
struct Stanza {
  std::vector<std::string> types, urls, suites, components;
  bool enabled = true;

  void apply(const std::string& suite, mmdebstrap::Sources& sources) const {
    const auto has = [](const std::vector<std::string>& all, const char* one) {
      return std::find(all.begin(), all.end(), one) != all.end();
    };
    if (!enabled || urls.empty() || !has(types, "deb") || !has(components, "main")) return;
    for (const auto& entry : suites) take(urls.front(), entry, suite, sources);
  }
};

}  // namespace

void take_sources(std::string_view text, const std::string& suite, mmdebstrap::Sources& sources) {
  Stanza stanza;
  each_line(text, [&](std::string_view line) {
    if (line.starts_with("#")) return;
    const auto words = words_of(line);
    if (words.empty()) {
      stanza.apply(suite, sources);
      stanza = Stanza();
      return;
    }
    const std::vector<std::string> values(words.begin() + 1, words.end());
    if (words[0] == "Types:") stanza.types = values;
    if (words[0] == "URIs:") stanza.urls = values;
    if (words[0] == "Suites:") stanza.suites = values;
    if (words[0] == "Components:") stanza.components = values;
    if (words[0] == "Enabled:") stanza.enabled = values.empty() || values[0] != "no";
    if (words[0] != "deb") return;
    // deb [option=value ...] url suite component...
    std::size_t at = 1;
    if (at < words.size() && words[at].starts_with("[")) {
      while (at < words.size() && !words[at].ends_with("]")) ++at;
      ++at;
    }
    if (at + 2 < words.size() && std::find(words.begin() + static_cast<std::ptrdiff_t>(at) + 2,
                                           words.end(), "main") != words.end())
      take(words[at], words[at + 1], suite, sources);
  });
  stanza.apply(suite, sources);
}

std::string find_proxy(std::string_view text) {
  std::string found;
  each_line(text, [&found](std::string_view line) {
    constexpr std::string_view kKey = "Acquire::http::Proxy";
    const auto words = words_of(line);
    if (words.size() < 2 || words[0] != kKey) return;
    std::string value = words[1];
    std::erase_if(value, [](char c) { return c == '"' || c == ';'; });
    if (is_usable(value)) found = value;
  });
  return found;
}

mmdebstrap::Sources host_sources(const std::string& suite, const std::string& etc_apt) {
  mmdebstrap::Sources sources;
  const auto dir = Dir::open(etc_apt);
  if (!dir) return sources;
  const auto each = [&dir](const std::string& below, std::string_view suffixes, auto visit) {
    auto names = dir->list(below);
    if (!names) return;
    std::sort(names->begin(), names->end());
    for (const auto& name : *names) {
      const auto dot = name.rfind('.');
      const std::string suffix = dot == std::string::npos ? "" : name.substr(dot);
      if (suffixes.find(suffix + " ") == std::string_view::npos) continue;
      if (const auto text = dir->read(below + "/" + name)) visit(*text);
    }
  };
  if (const auto text = dir->read("sources.list")) take_sources(*text, suite, sources);
  each("sources.list.d", ".list .sources ",
       [&](const std::string& text) { take_sources(text, suite, sources); });
  each("apt.conf.d", ".conf  ", [&](const std::string& text) {
    if (auto proxy = find_proxy(text); !proxy.empty()) sources.proxy = std::move(proxy);
  });
  return sources;
}

}  // namespace panal::storage

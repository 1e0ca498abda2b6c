#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/profile/schema.h"

namespace panal::profile {
namespace {

/// A TOML basic string; texts of a profile hold no control characters.
std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

struct Printer {
  std::string out;

  void section(std::string_view name) {
    if (!name.empty()) out += fmt::format("\n[{}]\n", name);
  }
  void text(std::string_view key, const std::string& value) {
    out += fmt::format("{} = {}\n", key, toml_text(value));
  }
  void number(std::string_view key, std::uint32_t value, std::uint32_t /*least*/,
              std::uint32_t /*most*/) {
    out += fmt::format("{} = {}\n", key, value);
  }
  void flag(std::string_view key, bool value) { out += fmt::format("{} = {}\n", key, value); }
  template <typename Value, std::size_t kCount>
  void word(std::string_view key, Value value, const Words<Value, kCount>& words) {
    for (const auto& [name, meaning] : words)
      if (meaning == value) out += fmt::format("{} = \"{}\"\n", key, name);
  }
  template <std::size_t kCount>
  void one_of(std::string_view key, const std::optional<std::string>& value,
              const std::array<std::string_view, kCount>& /*words*/) {
    if (value) out += fmt::format("{} = {}\n", key, toml_text(*value));
  }

  // What is absent is not printed.
  void number(std::string_view key, const std::optional<std::uint32_t>& value, std::uint32_t least,
              std::uint32_t most) {
    if (value) number(key, *value, least, most);
  }
  void flag(std::string_view key, const std::optional<bool>& value) {
    if (value) flag(key, *value);
  }
  template <typename Value, std::size_t kCount>
  void word(std::string_view key, const std::optional<Value>& value,
            const Words<Value, kCount>& words) {
    if (value) word(key, *value, words);
  }

  void sysctls(const std::vector<SysctlRule>& rules) {
    if (rules.empty()) return;
    out += "\n[sysctl]\n";
    for (const SysctlRule& rule : rules) {
      out += fmt::format("\"{}\" = {{ {} = {}", rule.name, rule.at_least ? "at_least" : "exactly",
                         rule.value);
      if (rule.per_desktop != 0) out += fmt::format(", per_desktop = {}", rule.per_desktop);
      if (rule.optional) out += ", optional = true";
      if (!rule.why.empty()) out += ", why = " + toml_text(rule.why);
      out += " }\n";
    }
  }
};

/// Sections as objects, "class.idle" as one in another.
struct JsonPrinter {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  nlohmann::ordered_json* table = &out;

  void section(std::string_view name) {
    table = &out;
    while (!name.empty()) {
      const std::size_t dot = name.find('.');
      table = &(*table)[std::string(name.substr(0, dot))];
      if (table->is_null()) *table = nlohmann::ordered_json::object();
      name = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
    }
  }
  template <typename Value>
  void put(std::string_view key, const Value& value) {
    (*table)[std::string(key)] = value;
  }
  template <typename Value>
  void put(std::string_view key, const std::optional<Value>& value) {
    if (value) put(key, *value);
  }
  void text(std::string_view key, const std::string& value) { put(key, value); }
  template <typename Value>
  void number(std::string_view key, const Value& value, std::uint32_t /*least*/,
              std::uint32_t /*most*/) {
    put(key, value);
  }
  template <typename Value>
  void flag(std::string_view key, const Value& value) {
    put(key, value);
  }
  template <typename Value, std::size_t kCount>
  void word(std::string_view key, Value value, const Words<Value, kCount>& words) {
    for (const auto& [name, meaning] : words)
      if (meaning == value) put(key, name);
  }
  template <typename Value, std::size_t kCount>
  void word(std::string_view key, const std::optional<Value>& value,
            const Words<Value, kCount>& words) {
    if (value) word(key, *value, words);
  }
  template <std::size_t kCount>
  void one_of(std::string_view key, const std::optional<std::string>& value,
              const std::array<std::string_view, kCount>& /*words*/) {
    put(key, value);
  }
  void sysctls(const std::vector<SysctlRule>& rules) {
    auto& all = out["sysctl"] = nlohmann::ordered_json::object();
    for (const SysctlRule& rule : rules)
      all[rule.name] = {{rule.at_least ? "at_least" : "exactly", rule.value},
                        {"per_desktop", rule.per_desktop},
                        {"optional", rule.optional},
                        {"why", rule.why}};
  }
};

}  // namespace

std::string print_profile_json(const Profile& profile) {
  JsonPrinter printer;
  visit_keys(printer, profile);
  return printer.out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string print_profile(const Profile& profile) {
  Printer printer;
  visit_keys(printer, profile);
  return printer.out;
}

}  // namespace panal::profile

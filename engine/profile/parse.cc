#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/base/log.h"
#include "engine/base/nearest.h"
#include "engine/profile/catalog.h"
#include "engine/profile/plain_text.h"
#include "engine/profile/schema.h"

namespace panal::profile {
namespace {

constexpr std::size_t kMostProfile = 256 * 1024;
constexpr std::uint32_t kMostPerDesktop = 1'000'000;
/// What a setting under [sysctl] may say.
const std::vector<std::string> kRuleKeys{"at_least", "exactly", "per_desktop", "optional", "why"};

std::string join(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

/// Takes values out of the parsed table; the problem that stands first in the file stays in
/// `error`.
class Reader {
 public:
  Reader(const toml::table& root, std::string file) : root_(root), file_(std::move(file)) {}

  void section(std::string_view name) {
    section_ = name;
    (void)keys_[section_];
    table_ = name.empty() ? &root_ : nullptr;
    if (name.empty()) return;
    const auto node = root_.at_path(name);
    if (!node) return;
    table_ = node.as_table();
    if (table_ == nullptr)
      wrong(*node.node(), fmt::format("{} must be a section: [{}]", name, name));
  }

  void text(std::string_view key, std::string& out) {
    const toml::node* node = find(key);
    if (node != nullptr) text_of(*node, key, out);
  }

  void number(std::string_view key, std::uint32_t& out, std::uint32_t least, std::uint32_t most) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (const auto value = number_of(*node, key, least, most))
      out = static_cast<std::uint32_t>(*value);
  }

  void flag(std::string_view key, bool& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto value = node->value_exact<bool>();
    if (!value) return wrong_type(*node, key, "true or false");
    out = *value;
  }

  template <typename Value, std::size_t kCount>
  void word(std::string_view key, Value& out, const Words<Value, kCount>& words) {
    std::vector<std::string> allowed;
    for (const auto& [name, value] : words) allowed.emplace_back(name);
    std::string chosen;
    if (!choice(key, chosen, allowed)) return;
    for (const auto& [name, value] : words)
      if (name == chosen) out = value;
  }

  template <std::size_t kCount>
  void one_of(std::string_view key, std::optional<std::string>& out,
              const std::array<std::string_view, kCount>& words) {
    std::string chosen;
    if (choice(key, chosen, {words.begin(), words.end()})) out = chosen;
  }

  // Values that may be absent: read as the plain ones are.
  void number(std::string_view key, std::optional<std::uint32_t>& out, std::uint32_t least,
              std::uint32_t most) {
    if (!has(key)) return;
    number(key, out.emplace(), least, most);
  }
  void flag(std::string_view key, std::optional<bool>& out) {
    if (!has(key)) return;
    flag(key, out.emplace());
  }
  template <typename Value, std::size_t kCount>
  void word(std::string_view key, std::optional<Value>& out, const Words<Value, kCount>& words) {
    if (!has(key)) return;
    word(key, out.emplace(), words);
  }

  /// The profile that this one differs from, where it names one.
  void base(const FindProfile& find_base, Profile& out) {
    section("");
    const toml::node* node = find("based_on");
    if (node == nullptr) return;
    std::string name;
    text_of(*node, "based_on", name);
    if (!error.empty()) return;
    if (!find_base) return wrong(*node, "based_on cannot be used here");
    auto found = find_base(name);
    if (!found) return wrong(*node, fmt::format("based_on: {}", found.error().context));
    out = std::move(*found);
    out.name.clear();
    out.description.clear();
  }

  void sysctls(std::vector<SysctlRule>& out) {
    const toml::node* node = root_.get("sysctl");
    if (node == nullptr) return;
    if (!node->is_table()) return wrong(*node, "sysctl must be a section: [sysctl]");
    std::map<std::string, SysctlRule> found;
    read_settings(*node->as_table(), "", found);
    for (SysctlRule& rule : out) found.try_emplace(rule.name, std::move(rule));
    out.clear();
    for (const Sysctl& known : profile::sysctls())
      if (const auto rule = found.find(known.name); rule != found.end())
        out.push_back(std::move(rule->second));
  }

  /// What the file says and nobody asked for.
  void check_unknown() {
    for (const auto& [name, node] : root_) {
      const std::string key(name.str());
      if (key == "sysctl" || keys_[""].contains(key)) continue;
      if (key == "class" && node.is_table()) {
        for (const auto& [of, table] : *node.as_table())
          check_section("class." + std::string(of.str()), table);
        continue;
      }
      check_section(key, node);
    }
  }

  /// Position of a key for checks that need more than one value.
  void wrong_at(const std::string& path, const std::string& what) {
    const auto node = root_.at_path(path);
    if (node)
      wrong(*node.node(), what);
    else if (error.empty())
      error = fmt::format("{}:1: {}", file_, what);
  }
  /// The line of a setting, which may be written with quotes or as nested tables.
  void wrong_sysctl(const std::string& name, const std::string& what) {
    const auto at = lines_.find(name);
    wrong(at == lines_.end() ? 1 : at->second, what);
  }

  std::string error;

 private:
  bool has(std::string_view key) { return find(key) != nullptr; }

  const toml::node* find(std::string_view key) {
    keys_[section_].insert(std::string(key));
    return table_ == nullptr ? nullptr : table_->get(key);
  }

  void text_of(const toml::node& node, std::string_view key, std::string& out) {
    const auto value = node.value_exact<std::string>();
    if (!value) return wrong_type(node, key, "text in quotes");
    const bool plain = std::none_of(value->begin(), value->end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (!plain || value->size() > 400)
      return wrong(node, fmt::format("{} must be one line of at most 400 bytes", key));
    out = *value;
  }

  std::optional<std::uint64_t> number_of(const toml::node& node, std::string_view key,
                                         std::uint64_t least, std::uint64_t most) {
    const auto value = node.value_exact<std::int64_t>();
    if (!value) {
      wrong_type(node, key, fmt::format("a whole number, {} to {}", least, most));
      return std::nullopt;
    }
    if (*value < 0 || static_cast<std::uint64_t>(*value) < least ||
        static_cast<std::uint64_t>(*value) > most) {
      wrong(node,
            fmt::format("{} = {} is out of range; {} to {} are allowed", key, *value, least, most));
      return std::nullopt;
    }
    return static_cast<std::uint64_t>(*value);
  }

  bool choice(std::string_view key, std::string& out, const std::vector<std::string>& allowed) {
    const toml::node* node = find(key);
    if (node == nullptr) return false;
    const auto value = node->value_exact<std::string>();
    if (value && std::find(allowed.begin(), allowed.end(), *value) != allowed.end()) {
      out = *value;
      return true;
    }
    wrong(*node, fmt::format("{} must be one of \"{}\"", key, fmt::join(allowed, "\", \"")));
    return false;
  }

  /// Settings are written `"vm.swappiness" = ...` or `vm.swappiness = ...`, which TOML reads as
  /// tables in tables.
  void read_settings(const toml::table& table, const std::string& above,
                     std::map<std::string, SysctlRule>& found) {
    for (const auto& [key, node] : table) {
      const std::string name = above + std::string(key.str());
      const Sysctl* known = find_sysctl(name);
      const toml::table* inner = node.as_table();
      const bool leaf = inner == nullptr || std::any_of(kRuleKeys.begin(), kRuleKeys.end(),
                                                        [&](const std::string& rule_key) {
                                                          return inner->contains(rule_key);
                                                        });
      if (known == nullptr && !leaf) {
        read_settings(*inner, name + ".", found);
        continue;
      }
      if (known == nullptr) {
        unknown(node, "setting", name, "[sysctl]", all_settings());
        continue;
      }
      if (inner == nullptr) {
        wrong(node, fmt::format("{} must say {{ at_least = N }} or {{ exactly = N }}", name));
        continue;
      }
      if (found.contains(name)) {
        wrong(std::max(node.source().begin.line, lines_[name]),
              fmt::format("{} stands here twice", name));
        continue;
      }
      lines_[name] = node.source().begin.line;
      found[name] = read_rule(*known, *inner);
    }
  }

  SysctlRule read_rule(const Sysctl& known, const toml::table& table) {
    SysctlRule rule;
    rule.name = known.name;
    for (const auto& [key, node] : table) {
      const std::string_view word = key.str();
      const std::string shown = fmt::format("{}: {}", known.name, printable(word, 80));
      if (word == "at_least" || word == "exactly") {
        rule.at_least = word == "at_least";
        rule.value = number_of(node, shown, known.least, known.most).value_or(known.least);
      } else if (word == "per_desktop") {
        rule.per_desktop = number_of(node, shown, 0, kMostPerDesktop).value_or(0);
      } else if (word == "optional") {
        if (!node.is_boolean())
          wrong_type(node, shown, "true or false");
        else
          rule.optional = node.as_boolean()->get();
      } else if (word == "why") {
        text_of(node, shown, rule.why);
      } else {
        unknown(node, "key", std::string(word), known.name, kRuleKeys);
      }
    }
    if (table.contains("at_least") == table.contains("exactly"))
      wrong(table, fmt::format("{} must say either at_least or exactly", known.name));
    else if (!rule.at_least && rule.per_desktop != 0)
      wrong(table, fmt::format("{}: per_desktop goes with at_least only", known.name));
    return rule;
  }

  static std::vector<std::string> all_settings() {
    std::vector<std::string> names;
    for (const Sysctl& known : profile::sysctls()) names.emplace_back(known.name);
    return names;
  }

  void check_section(const std::string& name, const toml::node& node) {
    const auto known = keys_.find(name);
    if (known == keys_.end()) {
      std::vector<std::string> all{"sysctl"};
      for (const auto& [section, keys] : keys_)
        if (!section.empty()) all.push_back(section);
      if (!node.is_table()) all.assign(keys_[""].begin(), keys_[""].end());
      return unknown(node, node.is_table() ? "section" : "key", name, "a profile", all);
    }
    if (!node.is_table()) return;  // said when the section was read
    for (const auto& [key, value] : *node.as_table()) {
      const std::string word(key.str());
      if (!known->second.contains(word))
        unknown(value, "key", word, "[" + name + "]", {known->second.begin(), known->second.end()});
    }
  }

  void unknown(const toml::node& node, std::string_view kind, const std::string& word,
               std::string_view where, const std::vector<std::string>& known) {
    const std::string near = nearest(word, known);
    wrong(node,
          fmt::format("unknown {} {} in {}; {}", kind, printable(word, 80), where,
                      near.empty() ? "known: " + join(known) : "the nearest known one is " + near));
  }

  void wrong_type(const toml::node& node, std::string_view key, std::string_view wanted) {
    wrong(node, fmt::format("{} must be {}", key, wanted));
  }
  void wrong(const toml::node& node, const std::string& what) {
    wrong(node.source().begin.line, what);
  }
  void wrong(toml::source_index line, const std::string& what) {
    if (!error.empty() && line >= error_line_) return;
    error_line_ = line;
    error = fmt::format("{}:{}: {}", file_, line, what);
  }

  const toml::table& root_;
  std::string file_;
  std::string section_;
  const toml::table* table_ = nullptr;
  std::map<std::string, std::set<std::string>> keys_;  ///< known ones, by section
  std::map<std::string, toml::source_index> lines_;    ///< of settings
  toml::source_index error_line_ = 0;
};

void check_class(Reader& reader, const std::string& name, const ClassTuning& tuning) {
  if (tuning.memory_soft_percent > tuning.memory_hard_percent)
    reader.wrong_at("class." + name + ".memory_soft_percent",
                    fmt::format("memory_soft_percent = {} is above memory_hard_percent = {}",
                                tuning.memory_soft_percent, tuning.memory_hard_percent));
}

/// The kernel's table of neighbours is kept between its thresholds; out of order, it is emptied
/// all the time.
void check_neighbours(Reader& reader, const Profile& profile, const std::string& family) {
  std::uint64_t last = 0;
  for (const char* number : {"1", "2", "3"}) {
    const std::string name = "net." + family + ".neigh.default.gc_thresh" + number;
    for (const SysctlRule& rule : profile.sysctls) {
      if (rule.name != name) continue;
      const std::uint64_t value = rule.value + rule.per_desktop * profile.desktops;
      if (value < last)
        reader.wrong_sysctl(
            name, fmt::format("{} comes to {}, less than the threshold before it, {}", name, value,
                              last));
      last = value;
    }
  }
}

/// What no single value shows.
void check_whole(Reader& reader, const Profile& profile) {
  if (!plain_word(profile.name, 64))
    reader.wrong_at("name",
                    "name must be 1 to 64 of a-z, 0-9 and -, beginning with a letter or digit");
  if (!plain_word(profile.zram.algorithm, 32))
    reader.wrong_at("zram.algorithm", "algorithm must be the kernel's name of one, such as lz4");
  if (!plain_path(profile.zram.writeback))
    reader.wrong_at("zram.writeback",
                    "writeback must be the whole path of a disk or file, of letters, digits and "
                    "._/+:@-");
  if (profile.zram.enabled && profile.zswap.enabled.value_or(false) &&
      profile.zswap.swap_percent == 0)
    reader.wrong_at("zswap.enabled",
                    "zswap compresses what goes to a disk; what zram holds is compressed already: "
                    "enable one of both, or say by swap_percent how large a swap file zswap is to "
                    "have (zram is for machines that cannot have one then)");
  if (profile.ksm.enlist != Enlist::kOff && profile.ksm.run != KsmRun::kRunning)
    reader.wrong_at("ksm.enlist", "enlist needs run = \"scan\": nothing is merged otherwise");
  check_class(reader, "active", profile.classes.active);
  check_class(reader, "idle", profile.classes.idle);
  check_class(reader, "disconnected", profile.classes.disconnected);
  check_class(reader, "frozen", profile.classes.frozen);
  check_neighbours(reader, profile, "ipv4");
  check_neighbours(reader, profile, "ipv6");
}

}  // namespace

Result<Profile> parse_profile(const std::string& text, const std::string& file,
                              const FindProfile& find_base) {
  if (text.size() > kMostProfile) return fail(EPROTO, file + ":1: a profile is at most 256 KiB");
  // The packaged library is built with exceptions; they end here.
  toml::table table;
  try {
    table = toml::parse(std::string_view(text));
  } catch (const toml::parse_error& problem) {
    return fail(EPROTO, fmt::format("{}:{}: {}", file, problem.source().begin.line,
                                    printable(problem.description(), 300)));
  }
  Profile profile;
  Reader reader(table, file);
  reader.base(find_base, profile);
  visit_keys(reader, profile);
  reader.check_unknown();
  if (reader.error.empty()) check_whole(reader, profile);
  if (!reader.error.empty()) return fail(EPROTO, reader.error);
  return profile;
}

}  // namespace panal::profile

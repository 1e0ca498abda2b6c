#include "storage/recipe/recipe.h"

#include <openssl/evp.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>

namespace panal::storage {
namespace {

constexpr std::size_t kMostText = 256 * 1024;

/// One key of a recipe while it is read; knows where it stands.
class Reader {
 public:
  Reader(std::string file, Recipe& recipe) : file_(std::move(file)), recipe_(recipe) {}

  Result<void> read(const toml::table& table) {
    for (const auto& [key, node] : table) {
      const auto found = keys().find(std::string(key.str()));
      if (found == keys().end())
        return error(key.source(),
                     "unknown key \"" + std::string(key.str()) + "\"; known keys: " + known_keys());
      PANAL_TRY(found->second(*this, node, found->first));
    }
    return {};
  }

  [[nodiscard]] Failure error(const toml::source_region& where, const std::string& what) const {
    return fail(EPROTO, file_ + ":" + std::to_string(where.begin.line) + ": " + what);
  }

 private:
  using Take = std::function<Result<void>(Reader&, const toml::node&, const std::string&)>;

  static std::string known_keys() {
    std::string all;
    for (const auto& [name, take] : keys()) all += (all.empty() ? "" : ", ") + name;
    return all;
  }

  static const std::map<std::string, Take>& keys() {
    static const std::map<std::string, Take> table = {
        {"name", text_key(&Recipe::name)},
        {"description", text_key(&Recipe::description)},
        {"suite", text_key(&Recipe::suite)},
        {"packages", list_key(&Recipe::packages)},
        {"session", list_key(&Recipe::session)},
        {"locales", list_key(&Recipe::locales)},
        {"remove", list_key(&Recipe::remove)},
        {"browser_sandbox",
         [](Reader& reader, const toml::node& node, const std::string& key) -> Result<void> {
           if (!node.is_boolean())
             return reader.error(node.source(), key + " must be true or false");
           reader.recipe_.browser_sandbox = node.as_boolean()->get();
           return {};
         }},
        {"files",
         [](Reader& reader, const toml::node& node, const std::string&) -> Result<void> {
           if (!node.is_table())
             return reader.error(node.source(), "files must be a table: \"/etc/x\" = \"text\"");
           return reader.read_files(*node.as_table());
         }},
    };
    return table;
  }

  static Take text_key(std::string Recipe::* member) {
    return [member](Reader& reader, const toml::node& node, const std::string& key) {
      return reader.text(node, key, reader.recipe_.*member);
    };
  }

  static Take list_key(std::vector<std::string> Recipe::* member) {
    return
        [member](Reader& reader, const toml::node& node, const std::string& key) -> Result<void> {
          if (!node.is_array())
            return reader.error(node.source(), key + " must be a list of strings");
          for (const auto& item : *node.as_array()) {
            std::string value;
            PANAL_TRY(reader.text(item, key, value));
            if (value.empty()) return reader.error(item.source(), key + ": an empty string");
            (reader.recipe_.*member).push_back(std::move(value));
          }
          return {};
        };
  }

  Result<void> text(const toml::node& node, const std::string& key, std::string& value) const {
    if (!node.is_string()) return error(node.source(), key + " must be a string");
    value = node.as_string()->get();
    if (value.find('\0') != std::string::npos)
      return error(node.source(), key + " holds a NUL byte");
    return {};
  }

  Result<void> read_files(const toml::table& table) {
    for (const auto& [path, node] : table) {
      const std::string name(path.str());
      if (!is_clean_path(name, /*globs=*/false))
        return error(path.source(),
                     "files: \"" + name + "\" must be an absolute path without . and .. parts");
      std::string value;
      PANAL_TRY(text(node, name, value));
      recipe_.files.emplace_back(name, std::move(value));
    }
    return {};
  }

 public:
  static bool is_clean_path(const std::string& path, bool globs) {
    if (path.size() < 2 || path.front() != '/' || path.back() == '/') return false;
    if (path.find("//") != std::string::npos) return false;
    if ((path + "/").find("/../") != std::string::npos) return false;
    if ((path + "/").find("/./") != std::string::npos) return false;
    // These texts reach a shell inside the image: only what cannot mean anything else there.
    return std::all_of(path.begin(), path.end(), [globs](unsigned char c) {
      return std::isalnum(c) != 0 ||
             std::string_view("/._+-@").find(static_cast<char>(c)) != std::string_view::npos ||
             (globs &&
              std::string_view("*?[]").find(static_cast<char>(c)) != std::string_view::npos);
    });
  }

 private:
  std::string file_;
  Recipe& recipe_;
};

bool matches(const std::string& text, std::string_view more, bool lower_only) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (!lower_only && c >= 'A' && c <= 'Z') ||
           more.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

/// What no single key can tell.
Result<void> check(const Recipe& recipe,
                   const std::function<Failure(const char*, std::string)>& at) {
  if (!matches(recipe.name, "-", true) || recipe.name.size() > 64 || recipe.name.front() == '-')
    return at("name", "name must be 1 to 64 of a-z, 0-9 and -, beginning with a letter or digit");
  if (!matches(recipe.suite, "-.", true) || recipe.suite.front() == '-')
    return at("suite", "suite \"" + recipe.suite + "\" is no Debian suite name");
  if (recipe.session.empty())
    return at("session", "session is missing: the command that starts the desktop, as a list");
  if (recipe.packages.empty()) return at("packages", "packages is missing or empty");
  for (const auto& package : recipe.packages)
    if (!matches(package, "+-.:=~", true) || package.front() == '-' || package.front() == '~')
      return at("packages", "packages: \"" + package + "\" is no package name");
  for (const auto& locale : recipe.locales)
    if (!matches(locale, "_.@-", false) || !locale.ends_with("UTF-8"))
      return at("locales", "locales: \"" + locale + "\" must look like es_ES.UTF-8");
  for (const auto& glob : recipe.remove)
    if (!Reader::is_clean_path(glob, /*globs=*/true))
      return at("remove", "remove: \"" + glob + "\" must be an absolute path or glob");
  return {};
}

void sort_unique(std::vector<std::string>& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
}

}  // namespace

Result<Recipe> parse_recipe(const std::string& text, const std::string& file) {
  if (text.size() > kMostText) return fail(EPROTO, file + ":1: a recipe is at most 256 KiB");
  try {
    const toml::table table = toml::parse(text, file);
    Recipe recipe;
    Reader reader(file, recipe);
    PANAL_TRY(reader.read(table));
    PANAL_TRY(check(recipe, [&](const char* key, std::string what) {
      const toml::node* node = table.get(key);
      return reader.error(node != nullptr ? node->source() : table.source(), what);
    }));
    sort_unique(recipe.packages);
    std::sort(recipe.files.begin(), recipe.files.end());
    if (recipe.locales.empty()) recipe.locales.push_back(recipe.locale);
    recipe.locale = recipe.locales.front();
    return recipe;
  } catch (const toml::parse_error& problem) {
    return fail(EPROTO, file + ":" + std::to_string(problem.source().begin.line) + ": " +
                            std::string(problem.description()));
  }
}

std::string digest(const Recipe& recipe) {
  // Every value with its length in front, so that no two recipes have the same normal form.
  std::string normal = "panal recipe 1\n";
  const auto add = [&normal](std::string_view key, std::string_view value) {
    normal.append(key).append(" ").append(std::to_string(value.size())).append(" ");
    normal.append(value).append("\n");
  };
  const auto add_all = [&add](std::string_view key, const std::vector<std::string>& values) {
    for (const auto& value : values) add(key, value);
  };
  add("name", recipe.name);
  add("suite", recipe.suite);
  add_all("package", recipe.packages);
  add_all("session", recipe.session);
  add_all("locale", recipe.locales);
  for (const auto& [path, content] : recipe.files) {
    add("file", path);
    add("text", content);
  }
  add_all("remove", recipe.remove);
  add("browser_sandbox", recipe.browser_sandbox ? "1" : "0");

  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned length = 0;
  EVP_Digest(normal.data(), normal.size(), hash.data(), &length, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex.push_back(kDigits[hash[i] >> 4U]);
    hex.push_back(kDigits[hash[i] & 15U]);
  }
  return hex;
}

}  // namespace panal::storage

#include <arpa/inet.h>
#include <fmt/format.h>
#include <limits.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>

#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "netconfine/policy/amount.h"
#include "runtime/config/endpoint.h"
#include "runtime/config/schema.h"

namespace panal::config {
namespace {

/// Room in struct sockaddr_un for the longest socket name below run (postgres/.s.PGSQL.5432.lock,
/// desktops/d<19 digits>/host/nx/nx.sock): 108 - 48.
constexpr std::size_t kRunDirBytes = 60;

std::string check_subnet(int family, const std::string& text, int most_prefix) {
  const auto slash = text.find('/');
  if (slash == std::string::npos) return "has no prefix length; write e.g. 10.77.0.0/16";
  std::array<unsigned char, 16> address{};
  if (inet_pton(family, text.substr(0, slash).c_str(), address.data()) != 1) {
    return family == AF_INET ? "is no IPv4 address" : "is no IPv6 address";
  }
  int prefix = -1;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + slash + 1, end, prefix);
  if (error != std::errc{} || rest != end || prefix < 8 || prefix > most_prefix) {
    return fmt::format("needs a prefix length of 8 to {}", most_prefix);
  }
  for (int bit = prefix; bit < (family == AF_INET ? 32 : 128); ++bit) {
    if (address[static_cast<std::size_t>(bit) / 8] & (0x80U >> (static_cast<unsigned>(bit) % 8))) {
      return "has address bits behind its prefix length";
    }
  }
  return {};
}

/// As rates of network.toml, but none may be said by nothing.
std::string check_rate(const std::string& text) {
  constexpr std::uint64_t kMost = 1'000'000'000'000;  // as a policy may have
  if (text.empty()) return {};
  const auto rate = netconfine::parse_rate(text);
  if (!rate) return rate.error().context;
  if (*rate > 0 && *rate <= kMost) return {};
  return fmt::format("is out of range; more than nothing and at most {} are allowed",
                     netconfine::format_rate(kMost));
}

/// Words of which one must be meant.
std::string check_choice(Kind kind, const std::string& text) {
  const auto one_of = [&text](std::initializer_list<std::string_view> words) -> std::string {
    std::string known;
    for (const std::string_view word : words) {
      if (word == text) return {};
      known += (known.empty() ? "\"" : ", \"") + std::string(word) + "\"";
    }
    return "is none of " + known;
  };
  if (kind == Kind::kQuota) return one_of({"auto", "project", "qgroup", "loop", "none"});
  if (kind == Kind::kPlace) return one_of({"disk", "memory"});
  if (kind == Kind::kAnswer) return one_of({"auto", "yes", "no"});
  return {};
}

/// Takes values out of the parsed table; the first thing wrong stays in `error`.
class Reader {
 public:
  Reader(const toml::table& root, std::string file) : root_(root), file_(std::move(file)) {}

  void section(std::string_view name) {
    section_ = name;
    table_ = nullptr;
    sections_.insert(std::string(name));
    const toml::node* node = root_.get(name);
    if (node == nullptr) return;
    table_ = node->as_table();
    if (table_ == nullptr) wrong(*node, fmt::format("{} must be a section: [{}]", name, name));
  }

  void text(std::string_view key, std::string& out, Kind kind) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto value = node->value_exact<std::string>();
    if (!value) return wrong_type(*node, key, "text in quotes");
    if (value->find('\0') != std::string::npos || value->size() > 4000) {
      return wrong(*node, fmt::format("{} is too long or holds a zero byte", key));
    }
    std::string problem;
    if (kind == Kind::kPath && !value->empty() && value->front() != '/') {
      problem = "must be an absolute path";
    }
    problem = problem.empty() ? check_choice(kind, *value) : problem;
    if (kind == Kind::kSubnet4) problem = check_subnet(AF_INET, *value, 30);
    if (kind == Kind::kSubnet6) problem = check_subnet(AF_INET6, *value, 96);
    if (kind == Kind::kRate) problem = check_rate(*value);
    if (!problem.empty()) {
      return wrong(*node, fmt::format("{} = \"{}\" {}", key, printable(*value, 80), problem));
    }
    out = *value;
  }

  template <typename Number>
  void number(std::string_view key, Number& out, std::int64_t least, std::int64_t most) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto value = node->value_exact<std::int64_t>();
    if (!value) return wrong_type(*node, key, "a whole number");
    if (*value < least || *value > most) {
      return wrong(*node, fmt::format("{} = {} is out of range; {} to {} are allowed", key, *value,
                                      least, most));
    }
    out = static_cast<Number>(*value);
  }

  void bytes(std::string_view key, std::uint64_t& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (const auto plain = node->value_exact<std::int64_t>(); plain && *plain >= 0) {
      out = static_cast<std::uint64_t>(*plain);
      return;
    }
    const auto value = node->value_exact<std::string>();
    if (!value) return wrong_type(*node, key, "a size such as \"512 MiB\"");
    auto size = parse_size(*value);
    if (!size)
      return wrong(*node, fmt::format("{}: {}", key, printable(size.error().context, 200)));
    out = *size;
  }

  void flag(std::string_view key, bool& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto value = node->value_exact<bool>();
    if (!value) return wrong_type(*node, key, "true or false");
    out = *value;
  }

  void names(std::string_view key, std::map<std::string, std::string>& out) {
    const toml::table* table = table_of(key);
    if (table == nullptr) return;
    for (const auto& [name, node] : *table) {
      const auto value = node.value_exact<std::string>();
      if (!value) return wrong_type(node, key, "pairs of an image and text in quotes");
      out[std::string(name.str())] = *value;
    }
  }

  void lists(std::string_view key, std::map<std::string, std::vector<std::string>>& out) {
    const toml::table* table = table_of(key);
    if (table == nullptr) return;
    for (const auto& [name, node] : *table) {
      const toml::array* list = node.as_array();
      if (list == nullptr) return wrong_type(node, key, "pairs of an image and a list");
      auto& items = out[std::string(name.str())];
      for (const toml::node& item : *list) {
        const auto value = item.value_exact<std::string>();
        if (!value) return wrong_type(item, key, "lists of text in quotes");
        items.push_back(*value);
      }
    }
  }

  template <std::size_t kCount>
  void one_of(std::string_view key, std::string& out,
              const std::array<std::string_view, kCount>& words) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto value = node->value_exact<std::string>();
    if (!value || std::find(words.begin(), words.end(), *value) == words.end())
      return wrong(*node, fmt::format("{} must be one of \"{}\"", key, fmt::join(words, "\", \"")));
    out = *value;
  }

  void texts(std::string_view key, std::vector<std::string>& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const toml::array* list = node->as_array();
    if (list == nullptr) return wrong_type(*node, key, "a list of texts in quotes");
    out.clear();
    for (const toml::node& one : *list) {
      const auto value = one.value_exact<std::string>();
      if (!value || value->size() > 400 || value->find('\0') != std::string::npos)
        return wrong_type(one, key, "a list of texts in quotes");
      out.push_back(*value);
    }
  }

  /// What the file says and nobody asked for.
  void check_unknown() {
    for (const auto& [name, node] : root_) {
      const std::string section(name.str());
      const toml::table* table = node.as_table();
      if (!sections_.contains(section)) {
        wrong(node, table != nullptr ? fmt::format("unknown section [{}]", printable(section, 80))
                                     : fmt::format("unknown key {} outside any section",
                                                   printable(section, 80)));
        continue;
      }
      if (table == nullptr) continue;
      for (const auto& [key, value] : *table) {
        if (!keys_.contains(section + "." + std::string(key.str()))) {
          wrong(value, fmt::format("unknown key {} in [{}]", printable(key.str(), 80), section));
        }
      }
    }
  }

  /// Position of a key for checks that need more than one value; 0 when the file does not say it.
  void wrong_at(std::string_view section, std::string_view key, const std::string& what) {
    const auto node = root_[section][key];
    if (node)
      wrong(*node.node(), what);
    else if (error.empty())
      error = fmt::format("{}: {}", file_, what);
  }

  std::string error;

 private:
  const toml::node* find(std::string_view key) {
    keys_.insert(fmt::format("{}.{}", section_, key));
    return table_ == nullptr ? nullptr : table_->get(key);
  }
  const toml::table* table_of(std::string_view key) {
    const toml::node* node = find(key);
    if (node == nullptr) return nullptr;
    const toml::table* table = node->as_table();
    if (table == nullptr) wrong_type(*node, key, "a table: { image = ... }");
    return table;
  }
  void wrong_type(const toml::node& node, std::string_view key, std::string_view wanted) {
    wrong(node, fmt::format("{} in [{}] must be {}", key, section_, wanted));
  }
  /// Keeps the problem that stands first in the file.
  void wrong(const toml::node& node, const std::string& what) {
    const auto line = node.source().begin.line;
    if (!error.empty() && line >= error_line_) return;
    error_line_ = line;
    error = fmt::format("{}:{}: {}", file_, line, what);
  }

  const toml::table& root_;
  std::string file_;
  std::string section_;
  const toml::table* table_ = nullptr;
  std::set<std::string> sections_, keys_;
  toml::source_index error_line_ = 0;
};

/// Beside a configuration file, so that a second node for trials has its own.
std::string network_file(const std::string& beside) {
  std::error_code no_directory;
  const auto file = std::filesystem::absolute(beside, no_directory);
  return (no_directory ? "/etc/panal" : file.parent_path().string()) + "/network.toml";
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

bool plain_name(const std::string& text, std::string_view more) {
  return !text.empty() && text.size() <= 64 && text.front() != '-' && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  more.find(c) != std::string_view::npos;
         });
}

bool plain_path_below(const std::string& text) {
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const auto end = std::min(text.find('/', begin), text.size());
    if (!plain_name(text.substr(begin, end - begin), "_-.:")) return false;
    begin = end + 1;
  }
  return true;
}

void check_metrics(Reader& reader, const Config& c) {
  if (c.metrics_listen.empty()) return;
  const auto endpoint = parse_endpoint(c.metrics_listen);
  const std::string shown = fmt::format("listen = \"{}\"", printable(c.metrics_listen, 80));
  if (!endpoint) {
    reader.wrong_at("metrics", "listen", shown + " " + endpoint.error().context);
  } else if (!endpoint->loopback && !c.metrics_public) {
    reader.wrong_at("metrics", "listen",
                    shown +
                        " can be reached from other machines, and there is no login: listen at "
                        "127.0.0.1 or [::1], or say public = true in [metrics]");
  } else if (endpoint->port == c.port) {
    reader.wrong_at("metrics", "listen", shown + " has the port of [broker]; choose another");
  }
}

void check_space(Reader& reader, const Config& c) {
  constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;
  const auto limit = [&reader](const char* section, std::uint64_t bytes, std::uint64_t inodes) {
    if (bytes != 0 && bytes < 16 * kMib)
      reader.wrong_at(section, "limit", "limit must be 0 (none) or at least 16 MiB");
    if (inodes != 0 && inodes < 64)
      reader.wrong_at(section, "inodes", "inodes must be 0 (no limit) or at least 64");
  };
  limit("uppers", c.uppers_limit_bytes, c.uppers_limit_inodes);
  limit("homes", c.homes_limit_bytes, c.homes_limit_inodes);
  if (c.uppers_pool_bytes != 0 && c.uppers_pool_bytes < 256 * kMib)
    reader.wrong_at("uppers", "pool", "pool must be 0 (none) or at least 256 MiB");
  if (c.uppers_volatile == "memory" && c.uppers_limit_bytes == 0)
    reader.wrong_at("uppers", "volatile",
                    "volatile = \"memory\" needs a limit in [uppers]: a layer in memory takes the "
                    "desktop's memory");
  // It is renewed every half minute; a lease must outlive a slow database.
  if (c.homes_lease_seconds != 0 && c.homes_lease_seconds < 120)
    reader.wrong_at("homes", "lease_seconds", "lease_seconds must be 0 (never) or at least 120");
  if (c.disk_reserve_bytes != 0 && c.disk_reserve_bytes < kMib)
    reader.wrong_at("disk", "reserve", "reserve must be 0 (none) or at least 1 MiB");
}

/// An image's layer: a directory, or a version of an image.
bool is_layer(const std::string& text) {
  if (text.empty() || text.size() > 1000 || text.find('\0') != std::string::npos) return false;
  if (text.front() == '/') return true;
  const auto slash = text.find('/');
  return slash != std::string::npos && plain_name(text.substr(0, slash), "-") &&
         plain_name(text.substr(slash + 1), "_-.");
}

void check_compose(Reader& reader, const Config& c) {
  // Which backends there are is storage's to say, when panald starts.
  const auto is_word = [](const std::string& text) { return plain_name(text, "-"); };
  if (!is_word(c.compose_backend))
    reader.wrong_at("compose", "backend", "backend must be auto or a backend's name");
  for (const auto& [image, backend] : c.compose_images)
    if (!is_word(image) || !is_word(backend))
      reader.wrong_at("compose", "images",
                      fmt::format("images: {} = {} is no image and backend", printable(image, 80),
                                  printable(backend, 80)));
  for (const auto& [image, layers] : c.compose_layers) {
    if (!is_word(image))
      reader.wrong_at("compose", "layers",
                      fmt::format("layers: {} is no image's name", printable(image, 80)));
    if (layers.size() > 8)
      reader.wrong_at(
          "compose", "layers",
          fmt::format("layers: {} has {}; 8 are possible", printable(image, 80), layers.size()));
    for (const std::string& layer : layers)
      if (!is_layer(layer))
        reader.wrong_at("compose", "layers",
                        fmt::format("layers: \"{}\" must be an absolute path or IMAGE/VERSION",
                                    printable(layer, 80)));
  }
  if (c.tmpfs_bytes < (std::uint64_t{1} << 20U))
    reader.wrong_at("compose", "tmpfs_size", "tmpfs_size must be at least 1 MiB");
  constexpr std::uint64_t kLeastLoop = std::uint64_t{256} << 20U;
  if (c.btrfs_loop_bytes != 0 && c.btrfs_loop_bytes < kLeastLoop)
    reader.wrong_at("compose", "btrfs_loop_size",
                    "btrfs_loop_size must be 0 (no file) or at least 256 MiB");
  if (!c.lvm_pool.empty()) {
    const auto slash = c.lvm_pool.find('/');
    if (slash == std::string::npos || !plain_name(c.lvm_pool.substr(0, slash), "_-.+") ||
        !plain_name(c.lvm_pool.substr(slash + 1), "_-.+"))
      reader.wrong_at("compose", "lvm_pool", "lvm_pool must be \"group/pool\"");
  }
}

/// What no single value shows.
void check_whole(Reader& reader, const Config& c) {
  if (!plain_name(c.node_name, "_-.")) {
    reader.wrong_at("node", "name", "the node's name must be letters, digits, '-', '_' and '.'");
  }
  if (!plain_path_below(c.cgroup_parent)) {
    reader.wrong_at("cgroup", "parent",
                    "parent must be a path below the hierarchy's root, such as panal");
  }
  if (c.state_dir.empty()) reader.wrong_at("paths", "state", "state must not be empty");
  if (c.run_dir.empty()) reader.wrong_at("paths", "run", "run must not be empty");
  if (c.run_dir.size() > kRunDirBytes) {
    reader.wrong_at("paths", "run",
                    fmt::format("run is longer than {} bytes: socket names below it would not fit",
                                kRunDirBytes));
  }
  if (c.ids.count != 0 && c.ids.count < 65536) {
    reader.wrong_at("ids", "count", "count must be 0 (from /etc/subuid) or at least 65536");
  }
  if (c.ids.count != 0 && c.ids.first < 65536) {
    reader.wrong_at("ids", "first", "first must be at least 65536: lower ids belong to the host");
  }
  if (std::uint64_t{c.ids.first} + c.ids.count > 4'294'967'295) {
    reader.wrong_at("ids", "count", "first + count is past the last id, 4294967294");
  }
  if (c.tls_certificate.empty() != c.tls_key.empty()) {
    reader.wrong_at("broker", c.tls_key.empty() ? "certificate" : "key",
                    "certificate and key must be given together");
  }
  if (c.archive_dir.empty() != c.archive_token_file.empty()) {
    reader.wrong_at("broker", c.archive_token_file.empty() ? "archive" : "archive_token",
                    "archive and archive_token must be given together");
  }
  std::array<unsigned char, 16> address{};
  if (inet_pton(AF_INET, c.listen_address.c_str(), address.data()) != 1 &&
      inet_pton(AF_INET6, c.listen_address.c_str(), address.data()) != 1) {
    reader.wrong_at("broker", "address", "address must be a numeric IPv4 or IPv6 address");
  }
  check_metrics(reader, c);
  check_space(reader, c);
  check_compose(reader, c);
  if (c.tuning_profile.empty()) {
    reader.wrong_at("tuning", "profile",
                    "profile must name one (panal tune ls lists them) or be a file");
  }
  if (!plain_name(c.broker_user, "_-.")) {
    reader.wrong_at("broker", "user", "user must be the name of a system account");
  }
  if (!plain_name(c.database_user, "_-.")) {
    reader.wrong_at("database", "user", "user must be the name of a system account");
  }
  if (c.desktop_memory_bytes < (std::uint64_t{32} << 20U)) {
    reader.wrong_at("desktop", "memory", "memory must be at least 32 MiB");
  }
}

}  // namespace

Result<Config> parse(const std::string& text, const std::string& file) {
  // The packaged library is built with exceptions; they end here.
  toml::table table;
  try {
    table = toml::parse(std::string_view(text));
  } catch (const toml::parse_error& problem) {
    return fail(EPROTO, fmt::format("{}:{}: {}", file, problem.source().begin.line,
                                    printable(problem.description(), 300)));
  }
  Config config;
  config.cgroup_parent = default_cgroup_parent(kernel_paths::kSysFsCgroup);
  Reader reader(table, file);
  visit_keys(reader, config);
  reader.check_unknown();
  if (config.node_name.empty()) config.node_name = host_name();
  if (config.images_dir.empty()) config.images_dir = config.state_dir + "/images";
  if (config.homes_dir.empty()) config.homes_dir = config.state_dir + "/homes";
  if (config.desktops_dir.empty()) config.desktops_dir = config.state_dir + "/desktops";
  if (config.recipes_dir.empty()) config.recipes_dir = default_recipes_dir();
  if (config.profiles_dir.empty()) config.profiles_dir = default_profiles_dir();
  if (config.btrfs_dir.empty() && config.btrfs_loop_bytes > 0)
    config.btrfs_dir = config.state_dir + "/btrfs";
  if (config.policies_file.empty()) config.policies_file = network_file(file);
  if (reader.error.empty()) check_whole(reader, config);
  if (!reader.error.empty()) return fail(EPROTO, reader.error);
  return config;
}

}  // namespace panal::config

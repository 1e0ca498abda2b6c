#include "runtime/config/config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>

#include "engine/base/kernel_paths.h"
#include "engine/base/unique_fd.h"
#include "runtime/config/schema.h"

namespace panal::config {
namespace {

constexpr std::size_t kFileBytes = std::size_t{1} << 20U;

Result<std::string> read_file(const std::string& file) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return fail_errno("read configuration", file);
  std::string text;
  std::array<char, 16384> block{};
  while (true) {
    const ssize_t got = read(fd.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read configuration", file);
    if (got == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(got));
    if (text.size() > kFileBytes) return fail(EFBIG, "read configuration " + file);
  }
}

/// A TOML basic string.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

struct Printer {
  std::string out;

  void section(std::string_view name) {
    out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", name);
  }
  void text(std::string_view key, const std::string& value, Kind /*kind*/) {
    out += fmt::format("{} = {}\n", key, quoted(value));
  }
  template <typename Number>
  void number(std::string_view key, Number value, std::int64_t /*least*/, std::int64_t /*most*/) {
    out += fmt::format("{} = {}\n", key, value);
  }
  void bytes(std::string_view key, std::uint64_t value) {
    out += fmt::format("{} = \"{}\"\n", key, format_size(value));
  }
  void flag(std::string_view key, bool value) { out += fmt::format("{} = {}\n", key, value); }
  void names(std::string_view key, const std::map<std::string, std::string>& values) {
    std::string inside;
    for (const auto& [name, value] : values)
      inside += fmt::format("{}{} = {}", inside.empty() ? "" : ", ", quoted(name), quoted(value));
    out += fmt::format("{} = {{{}}}\n", key, inside);
  }
  void lists(std::string_view key, const std::map<std::string, std::vector<std::string>>& values) {
    std::string inside;
    for (const auto& [name, list] : values) {
      std::string items;
      for (const std::string& one : list) items += (items.empty() ? "" : ", ") + quoted(one);
      inside += fmt::format("{}{} = [{}]", inside.empty() ? "" : ", ", quoted(name), items);
    }
    out += fmt::format("{} = {{{}}}\n", key, inside);
  }
  template <typename Words>
  void one_of(std::string_view key, const std::string& value, const Words& /*words*/) {
    out += fmt::format("{} = {}\n", key, quoted(value));
  }
  void texts(std::string_view key, const std::vector<std::string>& values) {
    out += fmt::format("{} = [", key);
    for (std::size_t i = 0; i < values.size(); ++i) out += (i == 0 ? "" : ", ") + quoted(values[i]);
    out += "]\n";
  }
};

/// libpq's quoting of a value in key='value' text.
std::string libpq_quoted(const std::string& value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

/// build/<preset>/bin/panal in a source tree: its own files, so that nothing needs installing.
/// <prefix>/lib/panal/panal: those installed with it.
std::string shipped_dir(const std::string& in_tree, const std::string& installed) {
  const auto above = [](std::string directory, int levels) {
    for (; levels > 0 && directory.find('/') != std::string::npos; --levels)
      directory.resize(directory.rfind('/'));
    return directory;
  };
  for (const std::string& found : {above(program_dir(), 3) + "/" + in_tree,
                                   above(program_dir(), 2) + "/share/panal/" + installed}) {
    struct stat status{};
    if (stat(found.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return found;
  }
  return "/usr/share/panal/" + installed;
}

}  // namespace

std::string program_dir() {
  std::array<char, PATH_MAX> path{};
  const std::string link = std::string(kernel_paths::kProc) + "/self/exe";
  const ssize_t length = readlink(link.c_str(), path.data(), path.size() - 1);
  if (length <= 0) return ".";
  const std::string program(path.data(), static_cast<std::size_t>(length));
  return program.substr(0, program.rfind('/'));
}

std::string default_recipes_dir() { return shipped_dir("recipes", "recipes"); }

std::string default_profiles_dir() { return shipped_dir("engine/profile", "profiles"); }

std::string default_cgroup_parent(const std::string& cgroup_root) {
  // runtime/systemd/panal-desktops.service: Slice= and Delegate=.
  const std::string delegated = "panal.slice/panal-desktops.service";
  for (const char* hierarchy : {"/", "/unified/"}) {
    struct stat status{};
    if (stat((cgroup_root + hierarchy + delegated).c_str(), &status) == 0)
      return delegated + "/panal";
  }
  return "panal";
}

std::string Config::database_conninfo(const std::string& role) const {
  if (!database_url.empty()) return database_url;
  return fmt::format("host={} dbname=panal user={} connect_timeout=5",
                     libpq_quoted(database_socket_dir()), libpq_quoted(role));
}

Result<Config> load(const std::string& file) {
  std::string name = file;
  if (name.empty()) {
    const char* environment = std::getenv("PANAL_CONFIG");
    if (environment != nullptr) name = environment;
  }
  const bool chosen = !name.empty();
  if (!chosen) name = kDefaultConfigFile;
  auto text = read_file(name);
  if (!text) {
    if (!chosen && text.error().code == ENOENT) return parse("", name);
    return tl::make_unexpected(std::move(text.error()));
  }
  return parse(*text, name);
}

std::string print(const Config& config) {
  Printer printer;
  visit_keys(printer, config);
  return printer.out;
}

}  // namespace panal::config

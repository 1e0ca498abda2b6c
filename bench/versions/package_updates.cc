#include "bench/versions/package_updates.h"

#include <fcntl.h>

#include <algorithm>
#include <set>

#include "bench/versions/tree_file.h"
#include "engine/base/open_beneath.h"
#include "engine/base/tree.h"

namespace panal::bench {
namespace {

constexpr std::string_view kInfo = "var/lib/dpkg/info";
constexpr std::string_view kListEnd = ".list";
constexpr std::size_t kMostListBytes = std::size_t{8} << 20U;
constexpr std::size_t kStride = 4096;  ///< one change in each of so many bytes

/// What every update writes anew, whatever it installs.
constexpr const char* kAlwaysWritten[] = {"var/lib/dpkg/status", "var/lib/dpkg/status-old",
                                          "etc/ld.so.cache", "var/cache/ldconfig/aux-cache"};

std::uint64_t mixed(std::uint64_t value) {  // splitmix64
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

std::uint64_t hash_of(std::string_view text, std::uint64_t seed) {
  std::uint64_t out = seed;
  for (const char one : text) out = mixed(out ^ static_cast<unsigned char>(one));
  return out;
}

bool is_rebuilt(std::string_view path, std::string_view bytes) {
  return bytes.starts_with(
             "\x7f"
             "ELF") ||
         path.ends_with(".gz") || path.ends_with(".md5sums");
}

void change(std::string& bytes, std::uint64_t seed) {
  for (std::size_t begin = 0; begin < bytes.size(); begin += kStride) {
    // In the middle: a file's head says what it is.
    const std::size_t size = std::min(kStride, bytes.size() - begin);
    const std::size_t count = std::min<std::size_t>(8, size);
    const std::size_t at = begin + (size - count) / 2;
    std::uint64_t value = mixed(seed ^ begin);
    for (std::size_t i = 0; i < count; ++i, value >>= 8U)
      bytes[at + i] = static_cast<char>(value & 0xffU);
  }
}

/// In a merged /usr these are links.
std::string merged(std::string_view path) {
  const std::string_view top = path.substr(0, path.find('/'));
  for (const std::string_view one : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"})
    if (top == one && top != path) return "usr/" + std::string(path);
  return std::string(path);
}

bool leads_upwards(std::string_view path) {
  return path == ".." || path.starts_with("../") || path.ends_with("/..") ||
         path.find("/../") != std::string_view::npos;
}

}  // namespace

std::vector<std::string> parse_package_list(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with('/') || line.find('\0') != std::string_view::npos) continue;
    while (line.starts_with('/')) line.remove_prefix(1);
    if (line.empty() || line == "." || leads_upwards(line)) continue;
    out.push_back(merged(line));
  }
  return out;
}

Result<std::vector<Package>> packages_of(const std::string& root) {
  PANAL_ASSIGN(const Dir info, Dir::open(root + "/" + std::string(kInfo)));
  PANAL_ASSIGN(auto names, info.list());
  std::sort(names.begin(), names.end());
  std::vector<Package> out;
  for (const std::string& name : names) {
    if (!name.ends_with(kListEnd)) continue;
    PANAL_ASSIGN(const std::string text, info.read(name, kMostListBytes));
    out.push_back({name.substr(0, name.size() - kListEnd.size()), parse_package_list(text)});
  }
  if (out.empty()) return fail(ENOENT, root + " has no packages by dpkg's lists");
  return out;
}

std::vector<std::size_t> draw_packages(std::size_t all, std::size_t each, unsigned week) {
  std::set<std::size_t> chosen;
  for (std::uint64_t draw = 0; chosen.size() < std::min(each, all); ++draw)
    chosen.insert(mixed((std::uint64_t{week} << 32U) ^ draw) % all);
  return {chosen.begin(), chosen.end()};
}

Result<WeeklyUpdate> update_packages(const std::string& root, const std::vector<Package>& packages,
                                     const std::vector<std::size_t>& chosen, unsigned week) {
  PANAL_ASSIGN(const Dir tree, Dir::open(root));
  WeeklyUpdate out;
  const auto write = [&](const std::string& path, bool always) -> Result<void> {
    PANAL_ASSIGN(auto file, take_file(tree.fd(), path));
    if (!file) return {};
    const std::uint64_t hash = hash_of(path, week);
    out.written.push_back(path);
    out.written_bytes += file->bytes.size();
    // What stays equal need not be replaced in this tree: its commit is the same.
    if (!always && !is_rebuilt(path, file->bytes) && hash % 10 != 0) return {};
    change(file->bytes, hash);
    ++out.changed;
    out.changed_bytes += file->bytes.size();
    return put_file(tree.fd(), path, *file);
  };
  for (const std::size_t number : chosen) {
    const Package& package = packages.at(number);
    out.packages.push_back(package.name);
    for (const std::string& path : package.files) PANAL_TRY(write(path, false));
    for (const char* end : {".md5sums", ".list"})
      PANAL_TRY(write(std::string(kInfo) + "/" + package.name + end, false));
  }
  for (const char* path : kAlwaysWritten) PANAL_TRY(write(path, true));
  return out;
}

}  // namespace panal::bench

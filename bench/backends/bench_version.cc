#include "bench/backends/bench_version.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/base/file_tree.h"
#include "storage/image/image_store.h"

namespace panal::bench {
namespace {

constexpr std::uint64_t kMostRead = std::uint64_t{64} << 20U;
constexpr std::size_t kMostOpened = 2000;

Result<BenchVersion> cached_image(const std::string& image) {
  const char* set = std::getenv("PANAL_TEST_CACHE");
  const std::string images = std::string(set != nullptr ? set : "/var/cache/panal") + "/images";
  const storage::ImageStore store(images);
  PANAL_ASSIGN(const auto versions, store.list());
  const auto found = std::find_if(versions.begin(), versions.end(),
                                  [&image](const auto& one) { return one.image == image; });
  if (found == versions.end())
    return fail(ENOENT, images + " has no image " + image + ": run scripts/test-image " + image);
  BenchVersion out;
  out.root = store.root_of(image, found->version);
  out.name = image + " " + found->version;
  return out;
}

Result<BenchVersion> made_tree(const std::string& directory) {
  namespace fs = std::filesystem;
  BenchVersion out;
  out.root = directory + "/version/root";
  out.name = "made: 3,000 files";
  std::error_code error;
  for (const char* name : {"etc", "home", "root", "var/log", "var/lib/dpkg", "var/cache"})
    fs::create_directories(out.root + "/" + name, error);
  if (error) return fail(error.value(), "make " + out.root);
  const std::string text(std::size_t{1} << 20U, 'p');
  const auto write = [&](const std::string& path, std::size_t bytes) {
    std::ofstream file(out.root + "/" + path, std::ios::binary);
    for (std::size_t left = bytes; left > 0; left -= std::min(left, text.size()))
      file.write(text.data(), static_cast<std::streamsize>(std::min(left, text.size())));
    return static_cast<bool>(file.flush());
  };
  bool written = true;
  for (int i = 0; i < 2500; ++i) {
    const std::string below = fmt::format("usr/share/part{}", i / 50);
    if (i % 50 == 0) fs::create_directories(out.root + "/" + below, error);
    written = written && write(fmt::format("{}/file{}", below, i), 8000);
  }
  fs::create_directories(out.root + "/usr/lib", error);
  for (int i = 0; i < 100; ++i)
    written = written && write(fmt::format("usr/lib/lib{}.so", i), std::size_t{1} << 20U);
  for (int i = 0; i < 400; ++i)
    written = written && write(fmt::format("{}/{}", i % 2 == 0 ? "etc" : "var/lib/dpkg", i), 2000);
  if (!written) return fail(EIO, "write " + out.root);
  return out;
}

}  // namespace

Result<BenchVersion> bench_version(const std::string& image, const std::string& directory) {
  PANAL_ASSIGN(BenchVersion out, image.empty() ? made_tree(directory) : cached_image(image));
  struct File {
    std::string path;
    std::uint64_t bytes;
  };
  std::vector<File> files;
  const auto visit = [&](const TreeEntry& entry) -> Result<void> {
    ++out.files;
    if (!S_ISREG(entry.info.st_mode)) return {};
    const auto bytes = static_cast<std::uint64_t>(entry.info.st_size);
    out.bytes += bytes;
    files.push_back({entry.path, bytes});
    return {};
  };
  PANAL_TRY(walk_tree(out.root, visit));
  // Spread over the tree, as programs that start do.
  const std::size_t step = std::max<std::size_t>(1, files.size() / kMostOpened);
  for (std::size_t i = 0; i < files.size(); i += step) out.to_open.push_back(files[i].path);
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.path < b.path;
  });
  std::uint64_t sum = 0;
  for (const File& file : files) {
    if (!file.path.starts_with("usr/") || file.bytes < 65'536 || sum + file.bytes > kMostRead)
      continue;
    sum += file.bytes;
    out.to_read.push_back(file.path);
  }
  if (out.to_read.empty() || out.to_open.empty())
    return fail(EINVAL, out.root + " has no files to read");
  return out;
}

}  // namespace panal::bench

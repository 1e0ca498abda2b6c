#include "bench/versions/made_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "engine/base/unique_fd.h"

namespace panal::bench {
namespace {

constexpr unsigned kSizes = 10;
constexpr std::uint64_t kSmallest = 500;

std::string made_path(unsigned file) {
  return fmt::format("usr/d{}/e{}/f{}", file / 144, file / 12 % 12, file);
}

std::uint64_t made_size(const TreePlan& plan, unsigned file) {
  return plan.bytes_each != 0 ? plan.bytes_each : kSmallest << (file % kSizes);
}

}  // namespace

Result<void> write_made_file(const std::string& root, const TreePlan& plan, unsigned file,
                             std::uint64_t edition) {
  const std::string path = root + "/" + made_path(file);
  (void)::unlink(path.c_str());
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("create", path);
  std::uint64_t state = (std::uint64_t{file} << 20U) ^ (edition * 0x9e3779b97f4a7c15U) ^ 1U;
  std::string block(65536, '\0');
  for (std::uint64_t left = made_size(plan, file); left > 0;) {
    for (std::size_t at = 0; at < block.size(); at += sizeof state) {
      state ^= state << 13U;
      state ^= state >> 7U;
      state ^= state << 17U;
      block.replace(at, sizeof state, reinterpret_cast<const char*>(&state), sizeof state);
    }
    const std::size_t now = std::min<std::uint64_t>(left, block.size());
    if (::write(fd.get(), block.data(), now) != static_cast<ssize_t>(now))
      return fail_errno("write", path);
    left -= now;
  }
  return {};
}

Result<void> write_made_tree(const std::string& root, const TreePlan& plan, unsigned every,
                             std::uint64_t edition) {
  for (unsigned file = 0; file < plan.files; ++file) {
    if (file % 12 == 0) {
      std::error_code code;
      const std::string path = root + "/" + made_path(file);
      std::filesystem::create_directories(path.substr(0, path.rfind('/')), code);
      if (code) return fail(code.value(), "make directories of " + path);
    }
    PANAL_TRY(write_made_file(root, plan, file, every != 0 && file % every == 0 ? edition : 0));
  }
  return {};
}

}  // namespace panal::bench

#include "runtime/agent/guest_view.h"

#include <sys/stat.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <charconv>

#include "engine/base/kernel_paths.h"
#include "runtime/agent/prepare.h"
#include "runtime/agent/protocol.h"

namespace panal::agent {

std::string memory_variable(std::string_view meminfo, std::uint64_t kernel_bytes) {
  // The kernel's first line: "MemTotal:       24684092 kB".
  constexpr std::string_view kKey = "MemTotal:";
  if (!meminfo.starts_with(kKey)) return {};
  meminfo.remove_prefix(kKey.size());
  meminfo.remove_prefix(std::min(meminfo.find_first_not_of(' '), meminfo.size()));
  std::uint64_t kib = 0;
  const auto [end, error] = std::from_chars(meminfo.data(), meminfo.data() + meminfo.size(), kib);
  const std::string_view unit(end, static_cast<std::size_t>(meminfo.data() + meminfo.size() - end));
  if (error != std::errc{} || !unit.starts_with(" kB") || kib == 0) return {};
  return kib < kernel_bytes / 1024 ? "PANAL_MEMORY_KIB=" + std::to_string(kib) : std::string();
}

std::vector<std::string> guest_variables(const std::string& root) {
  std::vector<std::string> out;
  struct sysinfo memory{};
  const auto meminfo = read_file(root + kernel_paths::kProc + "/meminfo");
  if (meminfo && ::sysinfo(&memory) == 0) {
    std::string variable =
        memory_variable(*meminfo, std::uint64_t{memory.totalram} * memory.mem_unit);
    if (!variable.empty()) out.push_back(std::move(variable));
  }
  struct stat info{};
  if (::lstat((root + kCacheDir).c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    out.push_back(std::string("XDG_CACHE_HOME=") + kCacheDir);
  return out;
}

}  // namespace panal::agent

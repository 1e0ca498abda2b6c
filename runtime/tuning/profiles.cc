#include "runtime/tuning/profiles.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/log.h"
#include "engine/base/nearest.h"
#include "engine/kernel/block_device.h"
#include "engine/kernel/meminfo.h"

namespace panal::tuning {
namespace {

constexpr std::string_view kEnding = ".toml";
/// Whether the head of the disk below a directory must move. A virtual machine's disks say so
/// whatever is behind them (virtio, Xen), so they are not believed.
bool rotates(const Tree& tree, const std::string& directory) {
  const auto number = kernel::whole_disk_of(tree, directory);
  if (!number) return false;
  const std::string device = "dev/block/" + *number;
  const auto says = tree.sys.read(device + "/queue/rotational");
  const auto event = tree.sys.read(device + "/uevent");
  const auto is = [&event](const char* name) {
    return event && event->find(std::string("DEVNAME=") + name) != std::string::npos;
  };
  return says && says->starts_with("1") && !is("vd") && !is("xvd");
}

/// One profile based on another on another: more is a circle, or nobody can tell what holds.
constexpr int kDeepest = 4;

bool is_file(const std::string& word) {
  return word.find('/') != std::string::npos || word.ends_with(kEnding);
}

Failure no_profile(const config::Config& config, const std::string& word) {
  const auto names = profile_names(config);
  if (!names) return tl::make_unexpected(names.error());
  const std::string near = nearest(word, *names);
  return fail(
      ENOENT,
      fmt::format("there is no profile {} in {}; {}", printable(word, 80), config.profiles_dir,
                  near.empty() ? fmt::format("there are: {}", fmt::join(*names, ", "))
                               : "the nearest one is " + near));
}

Result<profile::Profile> load(const config::Config& config, const std::string& word, int depth) {
  const std::string file = profile_file(config, word);
  const std::size_t slash = file.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : file.substr(0, slash);
  const auto parent = Dir::open(directory.empty() ? "/" : directory);
  const auto text = parent
                        ? parent->read(slash == std::string::npos ? file : file.substr(slash + 1))
                        : tl::make_unexpected(parent.error());
  if (!text) {
    if (text.error().is_gone() && !is_file(word)) return no_profile(config, word);
    return prefixed("profile", text.error());
  }
  return profile::parse_profile(
      *text, file, [&](const std::string& name) -> Result<profile::Profile> {
        if (is_file(name)) return fail(EINVAL, "name a profile in " + config.profiles_dir);
        if (depth >= kDeepest)
          return fail(ELOOP,
                      fmt::format("more than {} profiles on one another, or a circle", depth));
        return load(config, name, depth + 1);
      });
}

}  // namespace

std::string profile_file(const config::Config& config, const std::string& word) {
  return is_file(word) ? word : fmt::format("{}/{}{}", config.profiles_dir, word, kEnding);
}

Result<profile::Profile> load_profile(const config::Config& config, const std::string& word) {
  return load(config, word, 1);
}

Result<std::vector<std::string>> profile_names(const config::Config& config) {
  PANAL_ASSIGN(const auto directory, Dir::open(config.profiles_dir));
  PANAL_ASSIGN(auto names, directory.list());
  std::erase_if(names, [](const std::string& name) {
    return !name.ends_with(kEnding) || name.size() == kEnding.size();
  });
  for (std::string& name : names) name.resize(name.size() - kEnding.size());
  std::sort(names.begin(), names.end());
  return names;
}

Result<profile::HostFacts> read_host_facts(const Tree& tree, const std::string& state_dir) {
  PANAL_ASSIGN(const auto memory, kernel::read_meminfo(tree));
  profile::HostFacts facts{memory.total, memory.available};
  // It, or where it will be made.
  std::string place = state_dir;
  while (place.size() > 1 && ::access(place.c_str(), F_OK) != 0)
    place.resize(std::max<std::size_t>(place.rfind('/'), 1));
  struct statvfs disk{};
  if (::statvfs(place.c_str(), &disk) != 0) return fail_errno("statvfs", place);
  facts.swap_disk_free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  facts.swap_disk_rotates = rotates(tree, place);
  return facts;
}

}  // namespace panal::tuning

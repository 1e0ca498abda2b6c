#include "engine/kernel/block_device.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "engine/kernel/text.h"

namespace panal::kernel {

Result<std::string> whole_disk(const Tree& tree, const std::string& device) {
  const std::string place = "dev/block/" + device;
  if (!tree.sys.exists(place)) return fail(ENODEV, "disk " + device);
  if (!tree.sys.exists(place + "/partition")) return device;
  // A partition's directory is in that of its disk.
  PANAL_ASSIGN(const std::string text, tree.sys.read(place + "/../dev"));
  const auto words = words_of(text);
  if (words.size() != 1) return fail(EPROTO, "the disk of partition " + device);
  return std::string(words.front());
}

Result<std::string> whole_disk_of(const Tree& tree, const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return fail_errno("stat", path);
  auto disk = whole_disk(
      tree, std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev)));
  if (!disk && disk.error().code == ENODEV) return fail(ENODEV, "no disk of its own: " + path);
  return disk;
}

}  // namespace panal::kernel

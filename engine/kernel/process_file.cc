#include "engine/kernel/process_file.h"

#include <unistd.h>

#include <array>

namespace panal::kernel {

Result<std::string> read_process_file(const Tree& tree, pid_t pid) {
  const std::string link = std::to_string(pid) + "/exe";
  std::array<char, 4096> path{};  // PATH_MAX; the kernel says ENAMETOOLONG for more
  const ssize_t length = ::readlinkat(tree.proc.fd(), link.c_str(), path.data(), path.size());
  if (length < 0) return fail_errno("read link", link);
  return std::string(path.data(), static_cast<std::size_t>(length));
}

}  // namespace panal::kernel

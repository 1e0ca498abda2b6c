/// Objects of a repository come from whatever web server a node pulls from: any bytes give a value
/// or an error, and what is accepted is safe to lay out on disk. The first byte says which it is
/// (tests/fuzz/seeds): directory, directory's mode, commit, or a compressed file.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/base/unique_fd.h"
#include "storage/repo/inner.h"

using namespace panal::storage;

namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 20;

void check_name(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos)
    std::abort();
}

void try_file(const std::string& bytes) {
  const panal::UniqueFd fd(::memfd_create("object", MFD_CLOEXEC));
  if (!fd ||
      ::pwrite(fd.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    std::abort();
  const auto size = check_archived_file(fd.get(), kMostBytes, "fuzz");
  if (size && *size > kMostBytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0]) {
    case 't':
      if (const auto tree = parse_dirtree(bytes, "fuzz")) {
        for (const auto& file : tree->files) check_name(file.name);
        for (const auto& directory : tree->directories) {
          check_name(directory.name);
          if (!is_checksum(directory.tree) || !is_checksum(directory.meta)) std::abort();
        }
      }
      break;
    case 'd':
      if (const auto meta = parse_dirmeta(bytes, "fuzz"))
        if (meta->uid >= kIds || meta->gid >= kIds || meta->mode > 07777U) std::abort();
      break;
    case 'c':
      if (const auto commit = parse_commit(bytes, "fuzz"))
        if (!is_plain_name(commit->manifest.image) || !is_plain_name(commit->manifest.version) ||
            !is_checksum(commit->tree))
          std::abort();
      break;
    case 'f': try_file(bytes); break;
    default: return -1;
  }
  return 0;
}

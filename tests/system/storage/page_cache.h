#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "engine/base/unique_fd.h"

namespace panal::storage {

/// Pages of `path` that are in the page cache, or -1.
inline long cached_pages(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (!fd || ::fstat(fd.get(), &info) != 0) return -1;
  const auto size = static_cast<std::size_t>(info.st_size);
  void* map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (map == MAP_FAILED) return -1;
  std::vector<unsigned char> present((size + 4095) / 4096);
  const int looked = ::mincore(map, size, present.data());
  ::munmap(map, size);
  if (looked != 0) return -1;
  long count = 0;
  for (const unsigned char page : present) count += page & 1U;
  return count;
}

}  // namespace panal::storage

#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <cstdlib>
#include <string>

namespace panal::test {

/// `bytes` through one of libarchive's archive_write_add_filter_*, as any packer would.
inline std::string compressed(const std::string& bytes, int (*filter)(archive*)) {
  std::string out(bytes.size() + 65536, '\0');
  std::size_t used = 0;
  archive* writer = ::archive_write_new();
  archive_entry* entry = ::archive_entry_new();
  ::archive_entry_set_filetype(entry, AE_IFREG);
  const bool good =
      filter(writer) == ARCHIVE_OK && ::archive_write_set_format_raw(writer) == ARCHIVE_OK &&
      ::archive_write_set_bytes_per_block(writer, 0) == ARCHIVE_OK &&
      ::archive_write_open_memory(writer, out.data(), out.size(), &used) == ARCHIVE_OK &&
      ::archive_write_header(writer, entry) == ARCHIVE_OK &&
      ::archive_write_data(writer, bytes.data(), bytes.size()) ==
          static_cast<la_ssize_t>(bytes.size()) &&
      ::archive_write_close(writer) == ARCHIVE_OK;
  ::archive_entry_free(entry);
  ::archive_write_free(writer);
  if (!good) std::abort();
  out.resize(used);
  return out;
}

}  // namespace panal::test

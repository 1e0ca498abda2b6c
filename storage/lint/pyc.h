#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace panal::storage {

/// The first 16 bytes of a compiled Python file (PEP 552): how Python decides whether it belongs to
/// its source.
struct PycHeader {
  bool by_hash = false;       ///< by the source's hash; else by its time and size
  bool checks_source = true;  ///< it is compared at all: false only together with by_hash
  std::uint32_t mtime_s = 0;  ///< of the source, where not by_hash
  std::uint32_t size = 0;     ///< of the source, where not by_hash

  [[nodiscard]] bool operator==(const PycHeader&) const = default;
};

inline constexpr std::size_t kPycHeaderBytes = 16;

/// Nothing: too short, or of a Python before 3.7, or of one to come.
[[nodiscard]] std::optional<PycHeader> parse_pyc_header(std::string_view bytes);

/// What stands behind the magic number of a file that is taken for its source's without a look, so
/// that the source's time, which a version does not keep, does not matter. 12 bytes.
[[nodiscard]] std::string unchecked_pyc_words();

/// "/usr/lib/python3/x.py" for ".../__pycache__/x.cpython-311.pyc"; empty where that is no such
/// path.
[[nodiscard]] std::string pyc_source_path(std::string_view pyc_path);

}  // namespace panal::storage

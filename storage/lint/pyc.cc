#include "storage/lint/pyc.h"

namespace panal::storage {
namespace {

constexpr std::uint32_t kByHash = 1;
constexpr std::uint32_t kChecksSource = 2;

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) {
    const std::uint32_t byte = static_cast<unsigned char>(bytes[at + i]);
    value = (value << 8U) | byte;
  }
  return value;
}

}  // namespace

std::optional<PycHeader> parse_pyc_header(std::string_view bytes) {
  // The magic number is two bytes of a version and CR LF; what it is says only which Python.
  if (bytes.size() < kPycHeaderBytes || bytes[2] != '\r' || bytes[3] != '\n') return std::nullopt;
  const std::uint32_t flags = little_endian(bytes, 4);
  PycHeader header;
  if (flags == 0) {
    header.mtime_s = little_endian(bytes, 8);
    header.size = little_endian(bytes, 12);
    return header;
  }
  if ((flags & kByHash) == 0 || flags > (kByHash | kChecksSource)) return std::nullopt;
  header.by_hash = true;
  header.checks_source = (flags & kChecksSource) != 0;
  return header;
}

std::string unchecked_pyc_words() {
  std::string words(12, '\0');
  words[0] = static_cast<char>(kByHash);
  return words;
}

std::string pyc_source_path(std::string_view pyc_path) {
  constexpr std::string_view kDirectory = "/__pycache__/";
  const auto slash = pyc_path.rfind(kDirectory);
  if (slash == std::string_view::npos) return {};
  const auto name = pyc_path.substr(slash + kDirectory.size());
  // "x.cpython-311.pyc", "x.cpython-311.opt-1.pyc"
  const auto tag = name.find(".cpython-");
  if (tag == 0 || tag == std::string_view::npos || !name.ends_with(".pyc") ||
      name.find('/') != std::string_view::npos)
    return {};
  return std::string(pyc_path.substr(0, slash)) + "/" + std::string(name.substr(0, tag)) + ".py";
}

}  // namespace panal::storage

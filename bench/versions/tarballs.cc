#include "bench/versions/tarballs.h"

#include <charconv>
#include <chrono>

#include "storage/compose/program/run_program.h"

namespace panal::bench {
namespace {

constexpr std::chrono::minutes kPackingPatience{20};

Result<std::uint64_t> packed_bytes(const std::string& root, const std::string& compressor) {
  const std::string script =
      "tar -C \"$1\" --numeric-owner --xattrs --hard-dereference -cf - . | " + compressor +
      " | wc -c";
  PANAL_ASSIGN(const std::string said,
               storage::run_program({"bash", "-o", "pipefail", "-c", script, "tarball", root},
                                    kPackingPatience));
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(said.data(), said.data() + said.size(), bytes);
  if (error != std::errc() || bytes == 0) return fail(EPROTO, "wc said \"" + said + "\"");
  return bytes;
}

}  // namespace

Result<TarballBytes> tarball_bytes(const std::string& root) {
  TarballBytes out;
  PANAL_ASSIGN(out.gz, packed_bytes(root, "gzip -6"));
  PANAL_ASSIGN(out.zst, packed_bytes(root, "zstd -q -3"));
  return out;
}

}  // namespace panal::bench

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "storage/image/image_store.h"

namespace panal::storage {

/// What an import reads. QVD images are tarballs, or directories; the inner `rootfs/` is found
/// by itself, and what lies beside it (hooks, LXC configuration) is thrown away.
enum class ImportKind {
  kAuto,       ///< looks: a directory or a tarball, an OCI layout where it has the layout's files
  kTar,        ///< a root file system in a tarball: plain, gzip, zstd or xz
  kDirectory,  ///< a root file system in a directory
  kOci,        ///< an OCI layout: its directory, or a tarball of it
};

/// "auto", "tar", "directory", "oci". Errors: EINVAL that names all of them.
[[nodiscard]] Result<ImportKind> parse_import_kind(const std::string& word);

/// What an import may use up before it is refused. A stranger's archive of a few kilobytes can
/// say it holds exabytes.
struct ImportLimits {
  std::uint64_t bytes = std::uint64_t{64} << 30;  ///< unpacked: files, and the archives read
  std::uint64_t entries = 4'000'000;              ///< of all layers together
};

struct ImportSpec {
  std::string image;   ///< its name, as is_plain_name() has it
  std::string source;  ///< file or directory
  ImportKind kind = ImportKind::kAuto;
  /// OCI: which of several (org.opencontainers.image.ref.name, or a manifest's digest).
  std::string reference;
  /// argv of the X session. Empty: the OCI configuration's entry point and command; all other
  /// sources need it.
  std::vector<std::string> session;
  bool browser_sandbox = false;
  std::string message;  ///< empty: "imported from FILE" and the SHA-256 of what was imported
  std::string author;   ///< may be empty
  std::string parent;   ///< commit it was made from; empty: the image's newest version, if any
  /// Devices, FIFOs, sockets and file capabilities are left out instead of refused.
  bool leave_out_special = false;
  ImportLimits limits;
  /// The program panal-unpack (config::program_dir() + "/panal-unpack"): an absolute path.
  std::string unpacker;
};

/// 0..1 (as much of the source as was read) and what is being done.
using ImportProgress = std::function<void(double fraction, const std::string& what)>;

/// Unpacks `spec.source` in a throw-away user namespace into a staging tree with canonical ids,
/// finalises it as a build does, and commits it as a new version. On any failure nothing is left.
/// `cancelled` (may be null) is set by a signal handler: ECANCELED within half a second.
/// The manifest has no recipe_digest, so no archive passes for what a recipe builds.
/// Errors, each one sentence that names the entry: EPROTO for what is no such archive or is
/// damaged (digests too), EPERM for an entry that is refused (docs/images.md, "Import"), EFBIG
/// past a limit, EINVAL for a spec that lacks something, ENOENT, ENOSPC, ECANCELED.
[[nodiscard]] Result<VersionManifest> import_image(const ImportSpec& spec, ImageStore& store,
                                                   const ImportProgress& progress,
                                                   const std::atomic<bool>* cancelled);

}  // namespace panal::storage

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "storage/unpack/digest.h"

/// The JSON of an OCI image layout, as the image specification 1.0 and 1.1 have it, and as far as
/// an import needs it. Pure functions of text; `file` is for the error's sentence.
/// Source: opencontainers/image-spec, image-layout.md, image-index.md, manifest.md, config.md.
namespace panal::storage::unpack::oci {

/// No document of an image is larger.
inline constexpr std::size_t kMostDocument = std::size_t{4} << 20;
/// Docker takes 127 layers.
inline constexpr std::size_t kMostLayers = 512;
/// An index may name an index.
inline constexpr int kDeepestIndex = 4;

enum class MediaKind { kIndex, kManifest, kConfig, kLayer, kOther };
[[nodiscard]] MediaKind media_kind(std::string_view media_type);

struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size_bytes = 0;
  std::string os;            ///< of the platform; empty where none is given
  std::string architecture;  ///< as above
  std::string reference;     ///< org.opencontainers.image.ref.name
};

/// Where a blob lies in the layout: "blobs/sha256/...".
[[nodiscard]] std::string blob_path(const Descriptor& descriptor);

/// The file `oci-layout`. Errors: EPROTO for a version that is not 1.x.
[[nodiscard]] Result<void> check_layout(const std::string& text, const std::string& file);

/// index.json, or an index in a blob. Errors: EPROTO.
[[nodiscard]] Result<std::vector<Descriptor>> parse_index(const std::string& text,
                                                          const std::string& file);

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;  ///< lowest first
};
/// Errors: EPROTO; also for layers that are no tarballs (encrypted ones, artifacts).
[[nodiscard]] Result<Manifest> parse_image_manifest(const std::string& text,
                                                    const std::string& file);

struct Config {
  std::string os;
  std::string architecture;
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<Digest> layer_contents;  ///< rootfs.diff_ids: of the layers decompressed
};
/// Errors: EPROTO.
[[nodiscard]] Result<Config> parse_config(const std::string& text, const std::string& file);

/// The one of an index that is wanted: for Linux on `architecture`, and, where `reference` is not
/// empty, of that name or digest. Errors: ENOENT, or EINVAL for several; both name what is there.
[[nodiscard]] Result<Descriptor> choose(const std::vector<Descriptor>& all,
                                        const std::string& reference,
                                        const std::string& architecture);

/// GOARCH of the machine this was compiled for.
[[nodiscard]] std::string host_architecture();

}  // namespace panal::storage::unpack::oci

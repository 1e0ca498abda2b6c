#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "storage/unpack/digest.h"
#include "storage/unpack/oci.h"
#include "tests/support/compressed.h"

namespace panal::test {

/// Writes OCI layouts whose digests are right; a test then breaks what it wants broken.
class OciMaker {
 public:
  explicit OciMaker(std::string directory) : directory_(std::move(directory)) {
    std::filesystem::create_directories(directory_ + "/blobs/sha256");
    write("oci-layout", R"({"imageLayoutVersion": "1.0.0"})");
  }

  static std::string hex(const std::string& bytes) {
    auto hasher = storage::unpack::Hasher::start("sha256");
    hasher->feed(bytes.data(), bytes.size());
    return hasher->finish()->hex;
  }

  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << bytes;
  }
  [[nodiscard]] std::string blob_file(const std::string& bytes) const {
    return directory_ + "/blobs/sha256/" + hex(bytes);
  }

  nlohmann::json blob(const std::string& media_type, const std::string& bytes) const {
    write("blobs/sha256/" + hex(bytes), bytes);
    return {{"mediaType", media_type}, {"digest", "sha256:" + hex(bytes)}, {"size", bytes.size()}};
  }

  /// How layers are packed: the end of their media type, and the filter.
  struct Packing {
    std::string suffix;
    int (*filter)(archive*) = ::archive_write_add_filter_none;
  };

  /// An image of these layers; its descriptor.
  nlohmann::json image(const std::vector<std::string>& layers,
                       const std::vector<std::string>& session) const {
    return image(layers, session, Packing(), storage::unpack::oci::host_architecture());
  }
  nlohmann::json image(const std::vector<std::string>& layers,
                       const std::vector<std::string>& session, const Packing& packing,
                       const std::string& architecture) const {
    nlohmann::json list = nlohmann::json::array();
    nlohmann::json contents = nlohmann::json::array();
    for (const auto& layer : layers) {
      list.push_back(blob("application/vnd.oci.image.layer.v1.tar" + packing.suffix,
                          compressed(layer, packing.filter)));
      contents.push_back("sha256:" + hex(layer));
    }
    const nlohmann::json config = {{"os", "linux"},
                                   {"architecture", architecture},
                                   {"config", {{"Entrypoint", session}, {"Cmd", nullptr}}},
                                   {"rootfs", {{"type", "layers"}, {"diff_ids", contents}}}};
    const nlohmann::json manifest = {
        {"schemaVersion", 2},
        {"config", blob("application/vnd.oci.image.config.v1+json", config.dump())},
        {"layers", list}};
    return blob("application/vnd.oci.image.manifest.v1+json", manifest.dump());
  }

  void index(const std::vector<nlohmann::json>& descriptors) const {
    write("index.json", nlohmann::json{{"schemaVersion", 2}, {"manifests", descriptors}}.dump());
  }

 private:
  std::string directory_;
};

}  // namespace panal::test

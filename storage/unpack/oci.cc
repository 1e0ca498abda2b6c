#include "storage/unpack/oci.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"

namespace panal::storage::unpack::oci {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kLinux = "linux";
constexpr std::size_t kLongestText = 4096;
constexpr std::size_t kMostManifests = 4096;
/// Of a command's words together: no session is longer, and a report line holds two escaped.
constexpr std::size_t kMostCommand = std::size_t{16} << 10;
/// Digests of kMostLayers, sha512 too.
constexpr std::size_t kMostContents = kMostLayers * 160;

Failure wrong(const std::string& file, const std::string& what) {
  return fail(EPROTO, printable(file, 200) + ": " + what);
}

Result<Json> parse_object(const std::string& text, const std::string& file) {
  if (text.size() > kMostDocument) return wrong(file, "is larger than any such document");
  Json document = Json::parse(text, nullptr, false);
  if (document.is_discarded()) return wrong(file, "is no JSON");
  if (!document.is_object()) return wrong(file, "is no JSON object");
  return document;
}

/// A member that must be there, of the right type.
Result<const Json*> member(const Json& object, const char* key, Json::value_t type,
                           const std::string& file) {
  const auto found = object.find(key);
  if (found == object.end()) return wrong(file, std::string("has no \"") + key + "\"");
  if (found->type() != type)
    return wrong(file, std::string("\"") + key + "\" is of the wrong type: " + found->type_name());
  return &*found;
}

/// A text member; empty where it is not there.
Result<std::string> text_of(const Json& object, const char* key, const std::string& file) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::string();
  if (!found->is_string()) return wrong(file, std::string("\"") + key + "\" is no text");
  auto text = found->get<std::string>();
  if (text.size() > kLongestText) return wrong(file, std::string("\"") + key + "\" is too long");
  return text;
}

Result<Descriptor> parse_descriptor(const Json& object, const std::string& file) {
  if (!object.is_object()) return wrong(file, "a descriptor is no object");
  Descriptor out;
  PANAL_ASSIGN(out.media_type, text_of(object, "mediaType", file));
  PANAL_ASSIGN(const Json* digest, member(object, "digest", Json::value_t::string, file));
  auto parsed = parse_digest(digest->get_ref<const std::string&>());
  if (!parsed) return prefixed(printable(file, 200), parsed.error());
  out.digest = std::move(*parsed);
  // As integers alone: a size with a point or an exponent would be cut to a whole one.
  const auto size = object.find("size");
  if (size == object.end() || !size->is_number_unsigned())
    return wrong(file, "the size of " + out.digest.text() + " is no whole number");
  out.size_bytes = size->get<std::uint64_t>();
  if (const auto platform = object.find("platform");
      platform != object.end() && platform->is_object()) {
    PANAL_ASSIGN(out.os, text_of(*platform, "os", file));
    PANAL_ASSIGN(out.architecture, text_of(*platform, "architecture", file));
  }
  if (const auto notes = object.find("annotations"); notes != object.end() && notes->is_object()) {
    PANAL_ASSIGN(out.reference, text_of(*notes, "org.opencontainers.image.ref.name", file));
  }
  return out;
}

Result<void> check_schema(const Json& document, const std::string& file) {
  const auto version = document.find("schemaVersion");
  if (version == document.end() || !version->is_number_integer() || *version != 2)
    return wrong(file, "is not of schema version 2");
  return {};
}

/// A list of words as Docker and OCI have it: null and absent are empty.
Result<std::vector<std::string>> words_in(const Json& object, const char* key,
                                          std::size_t most_bytes, const std::string& file) {
  std::vector<std::string> words;
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return words;
  if (!found->is_array()) return wrong(file, std::string("\"") + key + "\" is no list");
  std::size_t bytes = 0;
  for (const auto& word : *found) {
    if (!word.is_string()) return wrong(file, std::string("\"") + key + "\" has what is no text");
    words.push_back(word.get<std::string>());
    if (words.back().find('\0') != std::string::npos || words.back().size() > kLongestText)
      return wrong(file, std::string("\"") + key + "\" has a word that no program takes");
    bytes += words.back().size() + 1;
    if (bytes > most_bytes) return wrong(file, std::string("\"") + key + "\" is too long");
  }
  return words;
}

std::string list_of(const std::vector<Descriptor>& all) {
  std::string text;
  for (const auto& one : all) {
    if (text.size() > 600) return text + ", ...";
    text += (text.empty() ? "" : ", ") +
            (one.reference.empty() ? one.digest.text() : printable(one.reference, 80));
    if (!one.architecture.empty())
      text += " (" + printable(one.os, 20) + "/" + printable(one.architecture, 20) + ")";
  }
  return text.empty() ? "none" : text;
}

bool fits(const Descriptor& one, const std::string& architecture) {
  if (one.os.empty() && one.architecture.empty()) return true;
  return one.os == kLinux && one.architecture == architecture;
}

}  // namespace

MediaKind media_kind(std::string_view type) {
  if (type == "application/vnd.oci.image.index.v1+json" ||
      type == "application/vnd.docker.distribution.manifest.list.v2+json")
    return MediaKind::kIndex;
  if (type == "application/vnd.oci.image.manifest.v1+json" ||
      type == "application/vnd.docker.distribution.manifest.v2+json")
    return MediaKind::kManifest;
  if (type == "application/vnd.oci.image.config.v1+json" ||
      type == "application/vnd.docker.container.image.v1+json")
    return MediaKind::kConfig;
  for (const char* tar :
       {"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd"})
    if (type == tar) return MediaKind::kLayer;
  return MediaKind::kOther;
}

std::string blob_path(const Descriptor& descriptor) {
  return "blobs/" + descriptor.digest.algorithm + "/" + descriptor.digest.hex;
}

Result<void> check_layout(const std::string& text, const std::string& file) {
  PANAL_ASSIGN(const Json document, parse_object(text, file));
  PANAL_ASSIGN(const std::string version, text_of(document, "imageLayoutVersion", file));
  if (version.substr(0, 2) != "1.")
    return wrong(file, "is of layout version \"" + printable(version, 40) + "\", not 1.x");
  return {};
}

Result<std::vector<Descriptor>> parse_index(const std::string& text, const std::string& file) {
  PANAL_ASSIGN(const Json document, parse_object(text, file));
  PANAL_TRY(check_schema(document, file));
  PANAL_ASSIGN(const Json* manifests, member(document, "manifests", Json::value_t::array, file));
  if (manifests->size() > kMostManifests) return wrong(file, "names too many manifests");
  std::vector<Descriptor> all;
  for (const auto& one : *manifests) {
    PANAL_ASSIGN(Descriptor descriptor, parse_descriptor(one, file));
    all.push_back(std::move(descriptor));
  }
  return all;
}

Result<Manifest> parse_image_manifest(const std::string& text, const std::string& file) {
  PANAL_ASSIGN(const Json document, parse_object(text, file));
  PANAL_TRY(check_schema(document, file));
  Manifest out;
  PANAL_ASSIGN(const Json* config, member(document, "config", Json::value_t::object, file));
  PANAL_ASSIGN(out.config, parse_descriptor(*config, file));
  if (media_kind(out.config.media_type) != MediaKind::kConfig)
    return wrong(file, "is of something else than a container image (" +
                           printable(out.config.media_type, 120) + ")");
  PANAL_ASSIGN(const Json* layers, member(document, "layers", Json::value_t::array, file));
  if (layers->empty()) return wrong(file, "has no layers");
  if (layers->size() > kMostLayers)
    return wrong(file, "has more than " + std::to_string(kMostLayers) + " layers");
  for (const auto& one : *layers) {
    PANAL_ASSIGN(Descriptor layer, parse_descriptor(one, file));
    if (media_kind(layer.media_type) != MediaKind::kLayer)
      return wrong(file, "layer " + layer.digest.text() + " is no tarball (" +
                             printable(layer.media_type, 120) + ")");
    out.layers.push_back(std::move(layer));
  }
  return out;
}

Result<Config> parse_config(const std::string& text, const std::string& file) {
  PANAL_ASSIGN(const Json document, parse_object(text, file));
  Config out;
  PANAL_ASSIGN(out.os, text_of(document, "os", file));
  PANAL_ASSIGN(out.architecture, text_of(document, "architecture", file));
  if (const auto config = document.find("config"); config != document.end() && !config->is_null()) {
    if (!config->is_object()) return wrong(file, "\"config\" is no object");
    PANAL_ASSIGN(out.entrypoint, words_in(*config, "Entrypoint", kMostCommand, file));
    PANAL_ASSIGN(out.command, words_in(*config, "Cmd", kMostCommand, file));
  }
  PANAL_ASSIGN(const Json* rootfs, member(document, "rootfs", Json::value_t::object, file));
  PANAL_ASSIGN(const std::vector<std::string> contents,
               words_in(*rootfs, "diff_ids", kMostContents, file));
  for (const auto& content : contents) {
    auto digest = parse_digest(content);
    if (!digest) return prefixed(printable(file, 200), digest.error());
    out.layer_contents.push_back(std::move(*digest));
  }
  return out;
}

Result<Descriptor> choose(const std::vector<Descriptor>& all, const std::string& reference,
                          const std::string& architecture) {
  std::vector<Descriptor> left;
  for (const auto& one : all) {
    const auto kind = media_kind(one.media_type);
    if (kind != MediaKind::kIndex && kind != MediaKind::kManifest) continue;
    if (!reference.empty() && one.reference != reference && one.digest.text() != reference)
      continue;
    if (!fits(one, architecture)) continue;
    const auto same = [&one](const Descriptor& other) { return other.digest == one.digest; };
    if (std::none_of(left.begin(), left.end(), same)) left.push_back(one);
  }
  if (left.empty())
    return fail(ENOENT, "the layout has no image " +
                            (reference.empty() ? "" : printable(reference, 200) + " ") +
                            "for linux/" + architecture + "; there are: " + list_of(all));
  if (left.size() > 1)
    return fail(EINVAL, "the layout has several images, say which (--reference): " + list_of(left));
  return left.front();
}

std::string host_architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#elif defined(__riscv)
  return "riscv64";
#elif defined(__powerpc64__)
  return "ppc64le";
#elif defined(__s390x__)
  return "s390x";
#else
  return "unknown";
#endif
}

}  // namespace panal::storage::unpack::oci

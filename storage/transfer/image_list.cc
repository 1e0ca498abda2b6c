#include "storage/transfer/image_list.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "engine/base/log.h"
#include "storage/repo/manifest.h"

namespace panal::storage {
namespace {

bool comes_before(const ListedVersion& a, const ListedVersion& b) {
  return std::tie(a.image, a.version) < std::tie(b.image, b.version);
}

/// What is wrong with it; empty: nothing.
std::string fault_of(const ListedVersion& version) {
  const std::string name = printable(version.image + " " + version.version, 300);
  if (!is_plain_name(version.image)) return "\"" + name + "\": no name of an image";
  if (!is_plain_name(version.version)) return "\"" + name + "\": no name of a version";
  if (!is_checksum(version.commit)) return name + ": commit is not 64 hex digits";
  if (version.created_unix_s < 0) return name + ": created_unix_s is below zero";
  return {};
}

using nlohmann::json;

/// A whole number that fits: get<>() would cut one with a point or a sign.
std::int64_t whole_number(const json& object, const char* key) {
  const json& value = object.at(key);
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) ||
      value.get<std::int64_t>() < 0)
    throw json::other_error::create(500, std::string(key) + " is no whole number from 0", &object);
  return value.get<std::int64_t>();
}

ListedVersion version_from(const json& entry) {
  ListedVersion version;
  version.image = entry.at("image").get<std::string>();
  version.version = entry.at("version").get<std::string>();
  version.commit = entry.at("commit").get<std::string>();
  version.created_unix_s = whole_number(entry, "created_unix_s");
  version.size_bytes = static_cast<std::uint64_t>(whole_number(entry, "size_bytes"));
  return version;
}

Result<ImageList> list_from(const json& document, const std::string& where) {
  if (const auto format = whole_number(document, "format"); format != 1)
    return fail(EPROTO, where + ": made by a newer Panal (format " + std::to_string(format) + ")");
  ImageList list;
  list.serial = static_cast<std::uint64_t>(whole_number(document, "serial"));
  list.created_unix_s = whole_number(document, "created_unix_s");
  list.expires_unix_s = whole_number(document, "expires_unix_s");
  if (list.serial == 0) return fail(EPROTO, where + ": damaged list: serial 0");
  const json& versions = document.at("versions");
  if (!versions.is_array()) return fail(EPROTO, where + ": damaged list: versions is no array");
  if (versions.size() > kMostListedVersions)
    return fail(EPROTO, where + ": the list names " + std::to_string(versions.size()) +
                            " versions, more than " + std::to_string(kMostListedVersions));
  for (const json& entry : versions) {
    list.versions.push_back(version_from(entry));
    if (const auto fault = fault_of(list.versions.back()); !fault.empty())
      return fail(EPROTO, where + ": damaged list: " + fault);
  }
  const auto& all = list.versions;
  for (std::size_t at = 1; at < all.size(); ++at)
    if (!comes_before(all[at - 1], all[at]))
      return fail(EPROTO, where + ": damaged list: " + all[at].image + " " + all[at].version +
                              " is there twice or out of order");
  return list;
}

}  // namespace

std::string print_list(const ImageList& list) {
  nlohmann::ordered_json versions = nlohmann::ordered_json::array();
  for (const auto& version : list.versions)
    versions.push_back({{"image", version.image},
                        {"version", version.version},
                        {"commit", version.commit},
                        {"created_unix_s", version.created_unix_s},
                        {"size_bytes", version.size_bytes}});
  const nlohmann::ordered_json document = {
      {"format", 1},
      {"serial", list.serial},
      {"created_unix_s", list.created_unix_s},
      {"expires_unix_s", list.expires_unix_s},
      {"versions", std::move(versions)},
  };
  return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<ImageList> parse_list(std::string_view text, const std::string& where) {
  if (text.size() > kMostListBytes)
    return fail(EPROTO, where + ": the list is longer than " +
                            std::to_string(kMostListBytes >> 20U) + " MiB");
  try {
    return list_from(json::parse(text), where);
  } catch (const json::exception& problem) {
    return fail(EPROTO, where + ": damaged list: " + problem.what());
  }
}

Result<void> add_version(ImageList& list, ListedVersion version) {
  if (const auto fault = fault_of(version); !fault.empty()) return fail(EINVAL, fault);
  auto place = std::lower_bound(list.versions.begin(), list.versions.end(), version, comes_before);
  if (place == list.versions.end() || comes_before(version, *place)) {
    if (list.versions.size() >= kMostListedVersions)
      return fail(ENOSPC, "the archive lists " + std::to_string(kMostListedVersions) +
                              " versions already; withdraw some");
    list.versions.insert(place, std::move(version));
    return {};
  }
  if (place->commit != version.commit)
    return fail(EEXIST, "the archive has " + version.image + " " + version.version +
                            " already, as another commit (" + place->commit.substr(0, 12) +
                            "); versions never change, give it another name");
  *place = std::move(version);
  return {};
}

Result<ListedVersion> find_version(const ImageList& list, const std::string& image,
                                   const std::string& version) {
  std::string others;
  for (const auto& listed : list.versions) {
    if (listed.image != image) continue;
    if (listed.version == version) return listed;
    if (others.size() < 200) others += (others.empty() ? "" : ", ") + listed.version;
  }
  if (others.empty()) return fail(ENOENT, "the archive has no image " + image);
  return fail(ENOENT, "the archive has no version " + version + " of image " + image + "; it has " +
                          others);
}

}  // namespace panal::storage

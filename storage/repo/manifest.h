#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace panal::storage {

/// What is known of one immutable version. Kept in the version's commit (all but `commit`, which
/// cannot hold itself) and as manifest.json beside its tree.
struct VersionManifest {
  std::string image;          ///< "icewm"
  std::string version;        ///< "2026.11.23-1": date of the build and a counter
  std::string recipe_digest;  ///< SHA-256 hex of the normalised recipe; empty: not from a recipe
  std::int64_t created_unix_s = 0;
  std::uint64_t size_bytes = 0;      ///< sum of file sizes
  std::vector<std::string> session;  ///< argv of the X session
  bool browser_sandbox = false;      ///< nested user namespaces allowed inside
  std::vector<std::pair<std::string, std::string>> packages;  ///< name, version; sorted
  std::string commit;   ///< checksum (64 hex digits); empty: made before there was a repository
  std::string parent;   ///< checksum of the version it was made from, which may be gone; or empty
  std::string message;  ///< why it was made, in the words of its author; may be empty
  std::string author;   ///< "name", as the operator is known to the database; may be empty
};

/// The longest manifest that is read, in a commit or a file.
inline constexpr std::size_t kMostManifestBytes = std::size_t{4} << 20;

/// May be an image's or a version's name: 1 to 128 of [A-Za-z0-9._-], begins with a letter or
/// digit.
[[nodiscard]] bool is_plain_name(const std::string& name);
/// 64 lower-case hex digits.
[[nodiscard]] bool is_checksum(const std::string& text);

/// By image, and newest first within one: by date, then by number.
[[nodiscard]] bool is_listed_before(const VersionManifest& a, const VersionManifest& b);
/// "2026.11.23-10" comes after "2026.11.23-9": by what is before the last dash, then by number.
[[nodiscard]] std::pair<std::string, unsigned long> version_key(const std::string& version);

/// manifest.json's text, and back. Errors: EPROTO that names `file` and the key.
[[nodiscard]] std::string print_manifest(const VersionManifest& manifest);
[[nodiscard]] Result<VersionManifest> parse_manifest(const std::string& text,
                                                     const std::string& file);

}  // namespace panal::storage

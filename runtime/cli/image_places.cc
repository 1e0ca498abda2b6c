#include "runtime/cli/image_places.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "engine/base/log.h"
#include "runtime/config/schema.h"
#include "storage/transfer/hex.h"
#include "storage/transfer/remote_source.h"

namespace panal::cli {
namespace {

/// The first line of a small file. A header's value has no control characters.
Result<std::string> read_header_value(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) return fail_errno("read", file);
  std::string line;
  std::getline(stream, line);
  const bool plain = line.size() <= 4096 && line == printable(line, 4096);
  if (line.empty() || !plain)
    return fail(EINVAL, fmt::format("the first line of {} is neither a token nor the value of an "
                                    "Authorization header, such as \"Bearer TOKEN\"",
                                    printable(file, 1024)));
  return line;
}

}  // namespace

void add_place_options(CLI::App& command, PlaceWords& words, const std::string& name) {
  command.add_option(name, words.where, "archive: a directory, or its http(s):// URL");
  command.add_option("--ca", words.ca_file, "PEM certificates to believe, not the system's");
  command.add_option("--pin", words.pinned_key, "sha256//BASE64 of the server's key");
  auto* token = command.add_option("--token-file", words.token_file,
                                   "its first line is the token of a broker's archive");
  command
      .add_option("--authorization-file", words.authorization_file,
                  "its first line is sent as the Authorization header")
      ->excludes(token);
  command.add_option("--most", words.most_bytes, "give up past so many bytes (default: 16GiB)");
}

Result<ArchivePlace> archive_place(const config::Config& config, const PlaceWords& words) {
  ArchivePlace place;
  place.where = words.where;
  while (place.where.size() > 1 && place.where.ends_with('/')) place.where.pop_back();
  if (place.where.find("://") != std::string::npos && !place.where.starts_with("file:///"))
    PANAL_TRY(storage::check_url(place.where));
  place.trust_file =
      fmt::format("{}/trust/{}", config.state_dir, storage::sha256_hex(place.where).substr(0, 16));
  place.ca_file = words.ca_file;
  place.pinned_key = words.pinned_key;
  if (!words.token_file.empty()) {
    PANAL_ASSIGN(const std::string token, read_header_value(words.token_file));
    place.authorization = "Bearer " + token;
  }
  if (!words.authorization_file.empty()) {
    PANAL_ASSIGN(place.authorization, read_header_value(words.authorization_file));
  }
  if (!words.most_bytes.empty()) {
    PANAL_ASSIGN(place.budget.bytes, config::parse_size(words.most_bytes));
  }
  return place;
}

std::string usual_key_file(const config::Config& config) {
  return config.state_dir + "/keys/publisher";
}

}  // namespace panal::cli

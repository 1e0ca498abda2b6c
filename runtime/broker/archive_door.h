#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/broker/http/request.h"
#include "runtime/broker/node.h"
#include "runtime/config/config.h"

namespace panal::broker {

/// The archive of images that this broker publishes to nodes, as the parent has opened it with its
/// own rights.
struct PublishedArchive {
  UniqueFd directory;  ///< not valid: nothing is published
  std::string token;   ///< who sends it is a node
};

/// What `broker.archive` and `broker.archive_token` name; nothing where they name nothing.
/// Errors: those of open(2); EACCES for a token that everybody may read; EINVAL for one that can be
/// guessed or not be sent.
[[nodiscard]] Result<PublishedArchive> open_published_archive(const config::Config& config);

/// The part of a request's path below /images/ that is served: the signed list and objects, nothing
/// else of an archive, and nothing that was encoded.
[[nodiscard]] bool is_published_path(std::string_view path);

/// Answers requests below /images/.
class ArchiveDoor {
 public:
  static constexpr std::string_view kPrefix = "/images/";

  explicit ArchiveDoor(PublishedArchive archive) : archive_(std::move(archive)) {}

  struct File {
    UniqueFd file;
    std::uint64_t bytes = 0;
  };
  /// The file that a node asked for. Refusals: 401 without the token, whatever was asked for; 404
  /// for what is not there and where nothing is published; 503.
  [[nodiscard]] Answer<File> open(const http::Request& request) const;

 private:
  PublishedArchive archive_;
};

}  // namespace panal::broker

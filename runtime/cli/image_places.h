#pragma once

#include <string>

#include "engine/base/result.h"
#include "runtime/cli/image_transfer.h"
#include "runtime/config/config.h"

namespace CLI {
class App;
}

namespace panal::cli {

/// An archive as it is named on a command line.
struct PlaceWords {
  std::string where, ca_file, pinned_key, token_file, authorization_file, most_bytes;
};

/// Adds its options to a command. `name`: of the option that says where ("--from").
void add_place_options(CLI::App& command, PlaceWords& words, const std::string& name);

/// Reads the token or the Authorization header from its file (they are never in argv), and finds
/// the place's trust: <state>/trust/DIGEST, by the place's name. Errors: EINVAL, EACCES, ENOENT.
[[nodiscard]] Result<ArchivePlace> archive_place(const config::Config& config,
                                                 const PlaceWords& words);

/// The publisher's key where none is named: <state>/keys/publisher.
[[nodiscard]] std::string usual_key_file(const config::Config& config);

}  // namespace panal::cli

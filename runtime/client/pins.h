#pragma once

#include <string>

#include "engine/base/result.h"

namespace panal::client {

/// What a look at the pinned certificates says about a server.
enum class PinVerdict { kKnown, kNew, kChanged };

/// Certificates pinned on first use: a text file of lines "host:port sha256-hex".
class Pins {
 public:
  explicit Pins(std::string file) : file_(std::move(file)) {}
  /// $XDG_CONFIG_HOME/panal/known_servers or ~/.config/panal/known_servers.
  [[nodiscard]] static std::string default_file();

  /// Errors: EPROTO "file:line: ..." for a line that is not one of ours; those of open(2).
  [[nodiscard]] Result<PinVerdict> check(const std::string& server,
                                         const std::string& fingerprint) const;
  /// Adds a line; makes the file (0600) and its directory (0700). Errors: those of write(2).
  [[nodiscard]] Result<void> add(const std::string& server, const std::string& fingerprint) const;
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  std::string file_;
};

}  // namespace panal::client

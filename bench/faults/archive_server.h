#pragma once

#include <memory>
#include <string>
#include <utility>

#include "engine/base/child_process.h"
#include "engine/base/result.h"

namespace panal::bench {

/// A web server for an archive, with TLS, at a port of 127.0.0.1, as long as it is there:
/// tests/system/storage/helper/archive_server.py.
class ArchiveServer {
 public:
  /// Serves `archive`; its certificate and its log are made in `dir`. Errors: those of
  /// posix_spawn(3); EPROTO where it does not start.
  [[nodiscard]] static Result<std::unique_ptr<ArchiveServer>> start(const std::string& archive,
                                                                    const std::string& dir);
  /// Errors: ENOENT that names what is missing.
  [[nodiscard]] static Result<void> is_possible();
  ArchiveServer(const ArchiveServer&) = delete;
  ArchiveServer& operator=(const ArchiveServer&) = delete;

  [[nodiscard]] std::string url() const { return "https://127.0.0.1:" + port_ + "/good"; }
  /// File with the certificate to believe.
  [[nodiscard]] const std::string& certificate() const { return certificate_; }
  /// "sha256//BASE64" of its key.
  [[nodiscard]] const std::string& pin() const { return pin_; }

 private:
  explicit ArchiveServer(ChildProcess process) : process_(std::move(process)) {}

  ChildProcess process_;
  std::string port_;
  std::string pin_;
  std::string certificate_;
};

}  // namespace panal::bench

#pragma once

#include <memory>
#include <string>

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "runtime/config/config.h"
#include "runtime/node/host.h"

namespace panal::node {

/// panald. The process is root, holds the node's lock and is in Panal's mount namespace.
class Node {
 public:
  /// Puts everything together and takes over what runs. Waits up to `database_limit` for the
  /// database. `firewall`: see Host::open(). Errors: each part's, with a sentence.
  [[nodiscard]] static Result<std::unique_ptr<Node>> open(
      const config::Config& config, const Programs& programs, LoggerPtr log,
      std::chrono::seconds database_limit, const netconfine::OpenBackend& firewall = {});
  ~Node();

  /// Serves until SIGTERM, SIGINT or a shutdown request. Desktops go on unless the request says
  /// otherwise.
  void run();
  /// From any thread.
  void stop();

 private:
  struct Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace panal::node

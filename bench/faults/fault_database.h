#pragma once

#include <memory>
#include <string>
#include <utility>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "runtime/store/private_cluster.h"
#include "runtime/store/store.h"

namespace panal::bench {

/// A private PostgreSQL beside the disk that fails, as long as it is there; empty but for the
/// schema. It runs as Debian's own account `postgres`.
class FaultDatabase {
 public:
  /// In `dir`, which that account can reach. Takes some seconds. Errors: those of PrivateCluster.
  [[nodiscard]] static Result<std::unique_ptr<FaultDatabase>> start(const std::string& dir);
  /// Errors: ENOENT that names what is missing.
  [[nodiscard]] static Result<void> is_possible();
  FaultDatabase(const FaultDatabase&) = delete;
  FaultDatabase& operator=(const FaultDatabase&) = delete;
  ~FaultDatabase();

  /// A new connection, as the administrator. Errors: those of store::Store.
  [[nodiscard]] Result<std::unique_ptr<store::Store>> connect() const;

 private:
  explicit FaultDatabase(config::Config config) : config_(std::move(config)), cluster_(config_) {}

  config::Config config_;
  store::PrivateCluster cluster_;
  Pidfd server_;
};

}  // namespace panal::bench

#pragma once

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "netconfine/uplink/uplink.h"

namespace panal::netconfine {

/// Keeps a way out as it was made, or shut. Not thread-safe.
class UplinkKeeper {
 public:
  /// `uplink` must outlive it.
  UplinkKeeper(Uplink& uplink, LoggerPtr log) : uplink_(uplink), log_(std::move(log)) {}

  /// Makes the way out the first time, and mends it later where it is other than it was made. Where
  /// that fails, or nobody can say what it is like, it is cut off until a later call finds and
  /// mends it. Logs what it finds. Blocks: it may run programs. Errors: those of Uplink.
  [[nodiscard]] Result<void> keep();

 private:
  [[nodiscard]] Result<void> cut(Error why);

  Uplink& uplink_;
  LoggerPtr log_;
  bool made_ = false;
};

}  // namespace panal::netconfine

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/broker/services.h"
#include "runtime/broker/stream.h"

namespace panal::broker {

struct TunnelEnd {
  std::uint64_t bytes_up = 0;    ///< from the client
  std::uint64_t bytes_down = 0;  ///< to the client
  std::string reason;
};

/// Carries bytes both ways between a client and its desktop until both have ended or one broke.
/// Each direction keeps at most one scratch buffer's worth of bytes, and only while its reader is
/// slower than its writer; an idle tunnel owns no buffer and no timer.
/// `first` goes to the desktop before anything else. What goes to the client is counted in `flow`.
void start_tunnel(Services& services, std::unique_ptr<Stream> client,
                  std::unique_ptr<Stream> desktop, std::string first, FlowPtr flow,
                  std::function<void(TunnelEnd)> ended);

}  // namespace panal::broker

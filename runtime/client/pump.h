#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "runtime/client/tls.h"

namespace panal::client {

/// Why a pump ended. Lost: the server went without a good-bye (it was killed, or the link was cut).
/// Refused: it said good-bye without having sent a byte: no session was behind it.
enum class PumpEnd { kServerClosed, kServerLost, kServerRefused, kLocalClosed, kStopped };

/// Carries bytes both ways between the server and a local stream socket, with at most 64 KiB in
/// flight each way; an end of one direction is passed on and the other goes on (half-close).
/// `early`: bytes that came from the server with the response. `stop_fd` readable ends it.
/// Errors: those of either side.
[[nodiscard]] Result<PumpEnd> pump(TlsConnection& server, int local, std::string early,
                                   int stop_fd);

}  // namespace panal::client

#pragma once

#include <memory>

#include "runtime/broker/stream.h"
#include "runtime/loop/loop.h"

namespace panal::broker {

/// A stream over a plain socket: the desktop's NX socket, and clients in tests.
[[nodiscard]] std::unique_ptr<Stream> make_fd_stream(loop::Loop& loop, UniqueFd fd);

}  // namespace panal::broker

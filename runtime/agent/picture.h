#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "runtime/agent/nx_options.h"
#include "runtime/agent/x11_client.h"

namespace panal::agent {

/// What a screen shows: rows from the top, a pixel is a 32-bit number in the machine's order,
/// 0xRRGGBB; its upper byte means nothing.
struct Picture {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::string pixels;  ///< width * height * 4 bytes
};

/// The root window with all that is on it. Errors: those of Client; EPROTO where a pixel has not
/// four bytes.
[[nodiscard]] Result<Picture> take_picture(const x11::Client& x, std::chrono::milliseconds timeout);

// From one of our programs to another. A whole picture and nothing else is what the receiver ever
// makes of it, so whoever has taken the sender over can show any picture, and no more.
/// Blocks. Errors: those of send(2).
[[nodiscard]] Result<void> send_picture(int socket, const Picture& picture);
/// Errors: EPROTO for one of another size than `size`, ETIMEDOUT, ECONNRESET.
[[nodiscard]] Result<Picture> receive_picture(int socket, Size size,
                                              std::chrono::milliseconds timeout);

}  // namespace panal::agent

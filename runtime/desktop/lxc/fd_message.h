#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::desktop::lxc {

/// A datagram with at most one descriptor.
struct FdMessage {
  std::string text;  ///< empty: the other side has closed the socket
  UniqueFd fd;
};

/// Sends one datagram, with `fd` where it is not -1 (SCM_RIGHTS, unix(7)). Errors: EPIPE, EMSGSIZE.
[[nodiscard]] Result<void> send_message(const UniqueFd& socket, std::string_view text, int fd = -1);
/// Receives one, waiting `timeout_ms` (-1: for ever). Errors: ETIMEDOUT, EMSGSIZE.
[[nodiscard]] Result<FdMessage> receive_message(const UniqueFd& socket, int timeout_ms);

}  // namespace panal::desktop::lxc

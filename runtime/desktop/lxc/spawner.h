#pragma once

#include <string>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/model/ids.h"
#include "runtime/desktop/desktop.h"

namespace panal::desktop::lxc {

/// The talk between panald and a spawner: one SOCK_SEQPACKET datagram each way, agent::Frame text.
///   start name config lxc_path log ids_first ids_count merge fixed_addresses
///     -> started (with init's pidfd) | failed code reason
inline constexpr int kSpawnerFd = 3;

/// A container to start.
struct StartRequest {
  std::string name;      ///< "d7"
  std::string config;    ///< liblxc configuration file
  std::string lxc_path;  ///< liblxc's directory; world-searchable, holds nothing of ours
  std::string log;       ///< liblxc's log, named in messages
  IdRange ids;
  MemorySharing sharing;
};

/// A spawner's life: moves to the root of every cgroup hierarchy, serves requests on `socket` one
/// at a time, returns when the other side has closed it. Single-threaded.
[[nodiscard]] Result<void> serve(const UniqueFd& socket);

/// panald's side of one request. Errors: what the spawner says (ECHILD when
/// the container did not start); EPIPE when the spawner died, ETIMEDOUT.
[[nodiscard]] Result<Pidfd> request_start(const UniqueFd& socket, const StartRequest& request,
                                          int timeout_ms);

}  // namespace panal::desktop::lxc

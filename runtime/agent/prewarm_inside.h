#pragma once

#include <sys/types.h>

#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/agent/nx_options.h"

namespace panal::agent::prewarm {

/// What panal-prewarm was asked for.
struct Options {
  uid_t uid = 0;
  gid_t gid = 0;
  UniqueFd nx;
  UniqueFd asking;  ///< a byte asks for a picture (picture.h); not valid: nobody does
  std::string cookie;
  Size geometry{1280, 800};
  int timeout_s = 60;
};

/// Namespaces of its own (network, mounts, pids, IPC); only the children of this process are in
/// the new pid namespace. What is mounted from loop devices is not in it: homes in files stay free
/// for others. Errors: EPERM when not root.
[[nodiscard]] Result<void> enter_namespaces();
/// In the first child: a private /tmp and /proc, nothing of the host's run and home directories,
/// the given ids, no new privileges, small limits, a list of forbidden system calls.
[[nodiscard]] Result<void> confine(uid_t uid, gid_t gid);
/// Of confine(): the system calls that neither Xvfb nor nxproxy has any business with.
[[nodiscard]] Result<void> forbid_calls();

/// Runs Xvfb, nxproxy, a window manager's stand-in and the pump between nxproxy and options.nx,
/// until the link ends. Errors: who died, in one sentence.
[[nodiscard]] Result<void> run_inside(Options options);

}  // namespace panal::agent::prewarm

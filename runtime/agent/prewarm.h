#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "engine/base/child_process.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/agent/nx_options.h"
#include "runtime/agent/picture.h"

namespace panal::agent {

/// A throw-away user for a desktop's first attach, killed and reaped when this goes: panald runs
/// panal-prewarm with the opened NX socket, the desktop's programs start, panald suspends the
/// session and stops this.
///
/// The flow: send `listen ... warm=1`, wait for `listening`, open nx.sock, Prewarm::start(),
/// wait for `settled` (or `failed`, or the end of this process), send `suspend`, wait for
/// `session state=suspended`, stop().
class Prewarm {
 public:
  struct Spec {
    std::string program;  ///< path of panal-prewarm
    uid_t uid = 0;        ///< not root, nobody else's
    gid_t gid = 0;
    UniqueFd nx;         ///< connected to the desktop's nx.sock
    std::string cookie;  ///< the one given to the agent's `listen`
    Size geometry{1280, 800};
    std::chrono::seconds timeout{60};
    bool pictures = false;  ///< take_picture() will be called
  };

  /// Starts it; does not wait. Errors: those of posix_spawn(3), EINVAL for uid 0.
  [[nodiscard]] static Result<Prewarm> start(Spec spec);

  /// Readable (POLLIN) once it has ended.
  [[nodiscard]] int pidfd() const { return process_.process().fd(); }
  /// Has it ended? It is reaped then. With the one sentence it said on stderr as the error if it
  /// failed.
  [[nodiscard]] Result<bool> ended();
  /// What its screen shows now: what a user would see. Where Spec::pictures.
  /// Errors: ETIMEDOUT, ECONNRESET when it has ended, EPROTO.
  [[nodiscard]] Result<Picture> take_picture(std::chrono::milliseconds timeout) const;
  /// Tells it to end, kills it after `patience`, reaps. Safe to repeat. All of its processes are
  /// gone on return: they live in a pid namespace that ends with it.
  void stop(std::chrono::milliseconds patience = std::chrono::milliseconds{1000});

 private:
  Prewarm() = default;

  ChildProcess process_;
  UniqueFd input_;   ///< closed: told to end
  UniqueFd errors_;  ///< its stderr
  UniqueFd asking_;  ///< for pictures
  Size geometry_;
};

}  // namespace panal::agent

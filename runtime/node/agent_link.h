#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/agent/protocol.h"
#include "runtime/loop/loop.h"

namespace panal::node {

/// One agent's connection. The peer is hostile: a frame that is too long or does not parse, too
/// many frames in a second, a peer that does not read what it is sent, or one that owes a frame for
/// too long end the connection. On the loop's thread only.
class AgentLink {
 public:
  struct Handlers {
    std::function<void(const agent::Frame&)> frame;
    /// The last call: the connection has ended; the link may be destroyed in it.
    std::function<void(const std::string& reason)> end;
  };
  static constexpr int kFramesPerSecond = 200;

  AgentLink(loop::Loop& loop, UniqueFd connection, Handlers handlers);

  /// Errors: ENOTCONN, EAGAIN when the agent does not read (the link ends then, soon).
  [[nodiscard]] Result<void> send(const agent::Frame& frame);
  /// Ends the link with `reason` after `limit`, unless it is no longer awaited by then. A later
  /// call takes the place of an earlier one.
  void await(std::chrono::milliseconds limit, const std::string& reason);
  void no_longer_awaited() { awaited_.cancel(); }

 private:
  void wait();
  void receive();
  /// False: the budget of this second is used up.
  [[nodiscard]] bool within_budget();
  void finish(const std::string& reason);

  loop::Loop& loop_;
  loop::Descriptor descriptor_;
  Handlers handlers_;
  loop::Timer awaited_;
  std::chrono::steady_clock::time_point second_{};
  int frames_ = 0;
  bool ended_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< handlers may destroy us
};

}  // namespace panal::node

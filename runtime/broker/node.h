#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "engine/base/unique_fd.h"
#include "engine/model/ids.h"

namespace panal::broker {

/// A "no" for the client: HTTP status and a sentence.
struct Refusal {
  int status = 503;
  std::string sentence;
};

template <typename T>
using Answer = tl::expected<T, Refusal>;

/// What the client's screen is like; every value has been validated.
struct AttachRequest {
  DesktopId desktop = 0;
  std::string geometry;  ///< WxH, or empty: the node's choice
  std::string keyboard;  ///< [\w/+-]+, or empty: the user's
  std::string link;      ///< nxagent's word or a rate, or empty
  std::string client;    ///< linux, windows or macosx
  bool fullscreen = false;
};

struct Attached {
  std::uint64_t attach = 0;
  std::string cookie;  ///< 32 hex digits
};

/// What went to the client of one session lately.
struct Flow {
  DesktopId desktop = 0;
  std::uint64_t attach = 0;
  std::uint64_t bytes = 0;
};

/// One attach being made, or one question. Destroying it abandons what is under way; nothing is
/// called any more.
class NodeCall {
 public:
  virtual ~NodeCall() = default;
  /// Makes the desktop's nxagent listen. `progress` any number of times, then `done` once.
  virtual void attach(const AttachRequest& request, std::function<void(std::string)> progress,
                      std::function<void(Answer<Attached>)> done) = 0;
  /// The connected NX socket of the attach just made.
  virtual void open(std::function<void(Answer<UniqueFd>)> done) = 0;
  /// The node's metrics in Prometheus's text format. Without an attach.
  virtual void metrics(std::function<void(Answer<std::string>)> done) = 0;
  /// Tells what flowed in the time `over`. Without an attach; again and again, one after the other.
  virtual void flow(const std::vector<Flow>& flows, std::chrono::milliseconds over,
                    std::function<void(Answer<void>)> done) = 0;
};

/// The way to a node's panald. Callbacks come on the loop, never inside the call.
class NodePort {
 public:
  virtual ~NodePort() = default;
  [[nodiscard]] virtual std::unique_ptr<NodeCall> begin() = 0;
};

}  // namespace panal::broker

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/network/lane.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::bench {

/// Numbered datagrams that must all arrive, once each, or none of which may.
class Flow {
 public:
  /// From `source` to `destination`, connected. `allowed`: whether anything may arrive.
  [[nodiscard]] static Result<Flow> open(const std::string& name, const UniqueFd& from,
                                         const std::string& source, const UniqueFd& to,
                                         const std::string& destination, std::uint16_t port,
                                         bool allowed);
  /// The way back of this flow's connection, from where its packets come by now (translation of
  /// addresses included): a packet is sent first, and must have arrived.
  [[nodiscard]] Result<Flow> replies(const std::string& name);

  /// Sends the next number. Errors: those of send(2).
  [[nodiscard]] Result<void> send();
  /// Takes what has arrived. Not thread-safe with itself; may run beside send().
  [[nodiscard]] Result<void> take();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool allowed() const { return allowed_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  /// Different numbers that have come.
  [[nodiscard]] std::uint64_t arrived() const { return arrived_; }

 private:
  Flow() = default;
  /// Both ends are sockets that the other direction has, too.
  UniqueFd mouth_, ear_;
  std::string name_;
  bool allowed_ = true;
  std::uint64_t sent_ = 0;
  std::uint64_t arrived_ = 0;
  std::vector<bool> seen_;
};

}  // namespace panal::bench

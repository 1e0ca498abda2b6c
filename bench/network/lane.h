#pragma once

#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::bench {

/// UDP packets of one sender in one network namespace to one receiver in another.
struct LanePlan {
  std::string way;       ///< how it is called
  const UniqueFd& from;  ///< namespaces
  std::string source;    ///< the sender's address; it takes any port
  const UniqueFd& to;
  std::vector<std::string> destinations;  ///< in turn; more than one: each is a connection apart
  std::uint16_t port = 0;
  bool arrives = true;  ///< false: nothing may ever come through
};

/// What a packet of a batch has cost from the call until it was where it goes.
struct Batch {
  double wall_ns = 0;
  double cpu_ns = 0;  ///< of the sending thread
  /// All were there when the sending call returned: the kernel has done all of it in that call.
  /// Always true where nothing arrives.
  bool at_once = true;
};

/// A sender and its receiver. What is sent over veths is dealt with by the kernel hop by hop in the
/// sending call: each link queues the packet for the same core and that queue is worked off before
/// the call returns, rules included. So a thread that sends, and is kept on one core, can time the
/// whole way, and what it has used of the CPU is what the way has cost. (Linux without
/// IRQ_TIME_ACCOUNTING, RPS, or GRO on these links, which is how they are made.) Packets have 64
/// bytes of payload and are sent singly (sendmmsg without UDP_SEGMENT): nothing makes several one.
class Lane {
 public:
  /// Errors: those of socket(2) and bind(2); EINVAL for what is no address.
  [[nodiscard]] static Result<Lane> open(const LanePlan& plan);

  [[nodiscard]] const std::string& way() const { return way_; }
  /// More than one destination: every batch opens this many connections.
  [[nodiscard]] bool opens_connections() const { return destinations_.size() > 1; }
  /// One packet to each destination, or kBatch to the only one. Errors: EIO with a sentence when
  /// packets do not arrive that should, or the other way round.
  [[nodiscard]] Result<Batch> send();

  static constexpr unsigned kBatch = 64;

 private:
  Lane() = default;
  /// Reads all that has come: the number.
  [[nodiscard]] std::size_t drain() const;
  [[nodiscard]] Result<void> wait_for(std::size_t missing) const;

  std::string way_;
  UniqueFd mouth_, ear_;
  std::vector<sockaddr_storage> destinations_;
  socklen_t address_length_ = 0;
  bool arrives_ = true;
};

/// Of `text` and `port`, and how long it is. Errors: EINVAL.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
[[nodiscard]] Result<SocketAddress> socket_address(const std::string& text, std::uint16_t port);

/// A UDP socket of a namespace, bound; it does not wait. `receive_bytes`: of its queue (0: the
/// machine's default).
[[nodiscard]] Result<UniqueFd> udp_socket(const UniqueFd& network, const SocketAddress& local,
                                          int receive_bytes = 0);

/// Keeps the calling thread, and those it starts, on one core until it goes.
class OnOneCore {
 public:
  OnOneCore();
  ~OnOneCore();
  OnOneCore(const OnOneCore&) = delete;
  OnOneCore& operator=(const OnOneCore&) = delete;

 private:
  cpu_set_t before_{};
};

}  // namespace panal::bench

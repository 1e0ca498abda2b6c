#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/network.h"

namespace panal::netconfine::testing {

/// A fresh network namespace, empty, of the caller's user namespace. It lives as long as the
/// descriptor or something in it.
UniqueFd new_network_namespace();

/// A process in a user and a network namespace of its own, as a desktop's init is.
class FakeDesktop {
 public:
  FakeDesktop();
  ~FakeDesktop() { kill(); }
  FakeDesktop(FakeDesktop&& other) noexcept;
  FakeDesktop(const FakeDesktop&) = delete;
  FakeDesktop& operator=(const FakeDesktop&) = delete;

  /// A new descriptor of its network namespace.
  [[nodiscard]] UniqueFd network() const;
  /// Ends the process; the namespace goes when the last descriptor is closed.
  void kill();

 private:
  pid_t pid_ = -1;
};

/// Runs a shell command inside a namespace. The exit status.
int shell_inside(const UniqueFd& network_namespace, const std::string& command);
/// Its output.
std::string output_inside(const UniqueFd& network_namespace, const std::string& command);

/// Waits until a link that is up carries packets: the kernel starts its queues some time later, and
/// drops what is sent before.
void await_link(const UniqueFd& network_namespace, const std::string& link);
/// Both ends of a desktop's link.
void await_link(const UniqueFd& panal, const std::string& link, const UniqueFd& desktop);

/// Sends an ordinary UDP datagram from a namespace. False when the kernel refused.
bool say(const UniqueFd& network_namespace, const std::string& address, std::uint16_t port);

/// A packet socket on a link of a namespace.
class Tap {
 public:
  Tap(const UniqueFd& network_namespace, const std::string& link);
  void send(const std::vector<std::uint8_t>& frame);
  /// Frames that have come in (not those sent from here) since the last call, in hex.
  std::vector<std::string> received();

 private:
  UniqueFd fd_;
  int index_ = 0;
};

/// A UDP socket of either family that hears everything sent to a port, inside a namespace.
class UdpEar {
 public:
  UdpEar(const UniqueFd& network_namespace, int family, std::uint16_t port);
  /// Datagrams since the last call.
  int heard();

 private:
  UniqueFd fd_;
};

}  // namespace panal::netconfine::testing

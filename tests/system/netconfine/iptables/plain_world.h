#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "netconfine/address/address_pool.h"
#include "netconfine/policy/compiled.h"
#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine::testing {

/// Panal's network namespace with desktops on routed veths, forwarding on, and an uplink ("up0")
/// to a namespace that has all addresses of the world outside. Rules are the test's own affair.
class PlainWorld {
 public:
  static constexpr const char* kUplink = "up0";
  static constexpr const char* kOutside4[] = {"10.1.0.1", "10.1.0.77",  "10.1.5.5",
                                              "10.9.0.9", "10.200.0.1", "8.8.8.8"};
  static constexpr const char* kOutside6[] = {"fd01::1", "fd01::77", "fd01:0:0:5::5",
                                              "fd09::9", "fdee::1",  "2a00::8"};

  PlainWorld();
  void add_desktop(DesktopId id);

  [[nodiscard]] const UniqueFd& panal() const { return panal_; }
  [[nodiscard]] const UniqueFd& outside() const { return outside_; }
  [[nodiscard]] const UniqueFd& desktop(DesktopId id) const { return desktops_.at(id)->network; }
  static Addresses addresses(DesktopId id);

  /// Services, policies and who has which: see plain_world.cc.
  static PolicySet policies();
  static Ruleset rules(bool masquerade = false);

 private:
  struct Desktop {
    FakeDesktop process;
    UniqueFd network;
  };
  UniqueFd panal_ = new_network_namespace();
  UniqueFd outside_ = new_network_namespace();
  std::map<DesktopId, std::unique_ptr<Desktop>> desktops_;
};

/// Sends one UDP datagram, TCP's opening or ping from one namespace to another, by the given
/// source address, and says whether it arrived.
bool arrives(const UniqueFd& from, const std::string& source, const UniqueFd& to,
             const std::string& destination, Protocol protocol, std::uint16_t port);

/// A UDP conversation: a server that answers every datagram it gets.
class Conversation {
 public:
  /// `client` is connected to `server`'s address.
  Conversation(const UniqueFd& client, const std::string& source, const UniqueFd& server,
               const std::string& destination, std::uint16_t port);
  /// The client says something; whether the server has heard it.
  bool ask();
  /// The server says something to where it last heard from; whether the client has heard it.
  bool answer();

 private:
  UniqueFd client_;
  UniqueFd server_;
  std::vector<std::uint8_t> peer_;  ///< the sockaddr of who has asked
};

}  // namespace panal::netconfine::testing

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "netconfine/link/routed_veth.h"
#include "netconfine/qos/qos.h"
#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine::testing {

/// A namespace of Panal's that forwards between desktops, without any rules: what is shaped there
/// is shaped by nothing else.
class Street {
 public:
  Street();

  /// A desktop with a link, down; `desktop(id)` afterwards.
  void add(DesktopId id);
  void bring_up(DesktopId id);
  void add_and_bring_up(DesktopId id) { add(id), bring_up(id); }
  /// Its namespace.
  [[nodiscard]] const UniqueFd& inside(DesktopId id) const { return desktops_.at(id); }
  [[nodiscard]] const UniqueFd& panal() const { return panal_; }
  [[nodiscard]] Addresses addresses(DesktopId id) const { return *pool_.of(id); }
  [[nodiscard]] RoutedVeths& veths() { return *veths_; }

  /// Opens Qos inside.
  [[nodiscard]] std::unique_ptr<Qos> open_qos(const LineLimits& line = {}) const;
  /// What `tc` says.
  [[nodiscard]] std::string tc(const std::string& words) const;

 private:
  UniqueFd panal_;
  AddressPool pool_;
  std::unique_ptr<RoutedVeths> veths_;
  std::map<DesktopId, UniqueFd> desktops_;
};

/// Sends `count` datagrams of `bytes` of data each, as fast as the kernel takes them.
void blast(const UniqueFd& from, const std::string& address, std::uint16_t port, int count,
           std::size_t bytes);

/// What a class has passed on, or the queue has dropped; zeroes where there is no class.
[[nodiscard]] ShapeUse use_of(Qos& qos, const std::string& link, Direction direction);

/// Waits, not for ever, until so many datagrams have come. How many.
[[nodiscard]] int hear(UdpEar& ear, int count);

/// Waits, not for ever, until so many frames of a length have come out of a tap. How many.
[[nodiscard]] int frames_of(const UniqueFd& tap, std::size_t bytes, int count);

/// Waits until nothing waits in any class.
void drain(Qos& qos);

}  // namespace panal::netconfine::testing

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/network/lane.h"
#include "netconfine/conntrack/connections.h"
#include "netconfine/network.h"

namespace panal::bench {

/// Ways to have rules that are measured: "nftables", "iptables-nft", "iptables-legacy" (ours), and
/// "qvd": a bridge with the linear rules of QVD.
[[nodiscard]] const std::vector<std::string>& network_arms();
[[nodiscard]] bool is_ours(const std::string& arm);
/// Opens a backend of ours.
[[nodiscard]] netconfine::OpenBackend backend_of(const std::string& arm);

/// A node with desktops and an outside, in namespaces of its own. Desktop `desktops` is the one
/// that sends: in a layout that is one rule after the other its rules are the last; desktop 1 is in
/// its group. Both have namespaces of their own; the others' links are there, with addresses,
/// routes and rules, and nobody at their far ends (place.h).
class MeasuredNode {
 public:
  /// Errors: EPROTONOSUPPORT where the machine lacks what the arm needs, with a sentence.
  [[nodiscard]] static Result<std::unique_ptr<MeasuredNode>> make(const std::string& arm,
                                                                  std::size_t desktops);

  [[nodiscard]] const std::string& arm() const { return arm_; }
  [[nodiscard]] std::size_t desktops() const { return desktops_; }
  [[nodiscard]] const UniqueFd& panal() const { return panal_; }
  [[nodiscard]] const UniqueFd& outside() const { return outside_; }
  [[nodiscard]] const UniqueFd& sender() const { return sender_; }
  [[nodiscard]] const UniqueFd& mate() const { return mate_; }  ///< empty in a node of one
  [[nodiscard]] const netconfine::Addresses& sender_addresses() const { return addresses_.back(); }
  [[nodiscard]] const netconfine::Addresses& mate_addresses() const { return addresses_.front(); }
  /// Null for "qvd".
  [[nodiscard]] netconfine::Network* network() { return network_.get(); }

  /// "out" and "out6" (a connection's later packets to a service), "mate" and "mate6" (the same to
  /// a desktop of the group), "first" (each packet opens a connection), "denied" (to a port of no
  /// service). QVD's rules know neither IPv6 nor what is denied outside, so it has no more than
  /// "out", "mate" and "first".
  [[nodiscard]] Result<std::vector<Lane>> lanes() const;
  /// So that each batch of "first" begins with none.
  [[nodiscard]] Result<void> forget_connections();

 private:
  MeasuredNode() = default;
  Result<void> confine();
  Result<void> bridge();
  Result<void> add_bridged(const netconfine::Addresses& one, UniqueFd& network);

  std::string arm_;
  std::size_t desktops_ = 0;
  std::vector<netconfine::Addresses> addresses_;  ///< of all
  UniqueFd panal_, outside_, crowd_, sender_, mate_;
  std::unique_ptr<netconfine::Network> network_;
  std::optional<netconfine::ConnectionTable> connections_;
};

}  // namespace panal::bench

#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "bench/redteam/attacks/packet.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::bench {

/// A packet socket on one link of a namespace: it hears all frames, whatever any rule says.
class LinkEar {
 public:
  LinkEar() = default;
  [[nodiscard]] static Result<LinkEar> open(const UniqueFd& network, const std::string& link);
  [[nodiscard]] Result<void> send(const Octets& frame);
  struct Heard {
    bool mark = false;   ///< a frame with the mark
    bool reply = false;  ///< one to `self` alone that is no question about neighbours
  };
  /// Of what has come in (not gone out) since the last call.
  [[nodiscard]] Heard listen(const Octets& mark, const Mac& self);

 private:
  UniqueFd fd_;
  int index_ = 0;
};

/// Raw sockets of a namespace, one for each family and protocol of the attacks: they hear what is
/// delivered to the host, that is, what its services could hear.
class HostEar {
 public:
  HostEar() = default;
  [[nodiscard]] static Result<HostEar> open(const UniqueFd& network);
  [[nodiscard]] bool listen(const Octets& mark);

 private:
  std::vector<UniqueFd> sockets_;
};

/// What a namespace has learnt, and how many connections it tracks.
class Memory {
 public:
  Memory() = default;
  [[nodiscard]] static Result<Memory> open(const UniqueFd& network);
  /// Neighbours with their MACs, by link; none for multicast.
  [[nodiscard]] Result<std::set<std::string>> neighbours();
  /// MACs with the port of a bridge they are at.
  [[nodiscard]] Result<std::set<std::string>> bridge();
  /// 0 where the kernel tracks none.
  [[nodiscard]] std::uint64_t connections() const;

 private:
  [[nodiscard]] Result<std::set<std::string>> dump(int family);
  UniqueFd netlink_, count_;
};

/// Returns once all that this core was given before has been dealt with: packets of its own, over
/// a link nobody else knows, come after all others. For a thread that stays on one core.
class Settle {
 public:
  Settle() = default;
  [[nodiscard]] static Result<Settle> open();
  [[nodiscard]] Result<void> wait();

 private:
  UniqueFd here_, there_, mouth_, ear_;
};

}  // namespace panal::bench

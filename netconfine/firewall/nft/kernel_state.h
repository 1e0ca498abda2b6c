#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/firewall/nft/snapshot.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// Asks the kernel what nftables has in one network namespace: that of the thread that opened it.
/// Not thread-safe.
class NftKernel {
 public:
  /// Errors: those of NetlinkSocket::open.
  [[nodiscard]] static Result<NftKernel> open();

  /// Grows by one with each transaction of anybody.
  [[nodiscard]] Result<std::uint32_t> generation();
  /// Everything, of one generation, which it was of in `generation` (or null).
  /// Errors: EAGAIN, somebody changes the rules faster than they can be read.
  [[nodiscard]] Result<NftSnapshot> snapshot(std::uint32_t* generation = nullptr);
  /// A set of one of our tables. Errors: ENOENT.
  [[nodiscard]] Result<std::vector<NftElement>> elements(const NftSetId& set);
  [[nodiscard]] Result<std::vector<DropCounter>> counters(std::uint32_t family);

  /// All or nothing. Errors: ERESTART when `generation` is not 0 and no longer the present one;
  /// the first refusal with the kernel's words.
  [[nodiscard]] Result<void> commit(std::vector<Message> messages, std::uint32_t generation = 0);

  /// Readable when somebody has changed rules since the last forget_changes().
  [[nodiscard]] int changes() const { return events_.get(); }
  void forget_changes();

  [[nodiscard]] NetlinkSocket& socket() { return socket_; }

 private:
  NftKernel(NetlinkSocket socket, UniqueFd events)
      : socket_(std::move(socket)), events_(std::move(events)) {}
  [[nodiscard]] Result<void> list(const Message& question,
                                  const std::function<void(const nlmsghdr*)>& each);

  NetlinkSocket socket_;
  UniqueFd events_;
};

}  // namespace panal::netconfine

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

struct nlmsghdr;

namespace panal::netconfine {

/// One netlink request, complete but for its sequence number.
struct Message {
  std::vector<std::byte> bytes;
  std::string what;   ///< for error contexts: "add link pnl7"
  bool mark = false;  ///< begin or end of a netfilter batch: answered only when refused

  /// A copy of a finished message.
  Message(const nlmsghdr* header, std::string description);
};

/// A request the kernel refused.
struct Refusal {
  std::size_t index = 0;  ///< in the transaction
  Error error;
};

/// A netlink socket, bound for its life to the network namespace of the thread that opened it.
/// Not thread-safe.
class NetlinkSocket {
 public:
  /// `protocol`: NETLINK_ROUTE or NETLINK_NETFILTER. Errors: those of socket(2) and bind(2).
  [[nodiscard]] static Result<NetlinkSocket> open(int protocol);

  /// Sends all messages in one datagram and checks the kernel's answer to each. rtnetlink carries
  /// out what it can even when one is refused; an nftables batch is all or nothing.
  /// Errors: the first refusal, with the message's description and the kernel's words; EPROTO
  /// when an answer is missing.
  [[nodiscard]] Result<void> transact(std::vector<Message> messages);
  /// As transact(), but gives every refusal to the caller to judge.
  [[nodiscard]] Result<std::vector<Refusal>> try_transact(std::vector<Message> messages);
  /// Sends one question and calls `each` with every message of the answer. A dump is a question
  /// whose flags have NLM_F_DUMP.
  /// Errors: those of the kernel; EINTR when a dump was disturbed by a change (repeat it).
  [[nodiscard]] Result<void> query(Message question,
                                   const std::function<void(const nlmsghdr*)>& each);

 private:
  explicit NetlinkSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] Result<void> send(std::span<const std::byte> bytes);
  [[nodiscard]] Result<std::span<const std::byte>> receive(int flags);

  UniqueFd fd_;
  std::uint32_t sequence_ = 0;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(std::size_t{128} << 10);
};

}  // namespace panal::netconfine

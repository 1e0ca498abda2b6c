#include "netconfine/netlink/socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cstring>

#include "netconfine/netlink/ack.h"

namespace panal::netconfine {
namespace {

// A transaction for 1,000 desktops is about 300 KiB; its answers less.
constexpr int kSocketBufferBytes = 4 << 20;

Result<void> set_option(int fd, int level, int option, const char* name, int value) {
  if (setsockopt(fd, level, option, &value, sizeof(value)) != 0) {
    return fail_errno("set netlink socket option", name);
  }
  return {};
}

}  // namespace

Message::Message(const nlmsghdr* header, std::string description) : what(std::move(description)) {
  const auto* first = reinterpret_cast<const std::byte*>(header);
  bytes.assign(first, first + header->nlmsg_len);
  bytes.resize(NLMSG_ALIGN(bytes.size()));
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return fail_errno("open a netlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return fail_errno("bind a netlink socket");
  }
  PANAL_TRY(set_option(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, "NETLINK_EXT_ACK", 1));
  PANAL_TRY(set_option(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, "NETLINK_CAP_ACK", 1));
  PANAL_TRY(set_option(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, "SO_SNDBUFFORCE", kSocketBufferBytes));
  PANAL_TRY(set_option(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, "SO_RCVBUFFORCE", kSocketBufferBytes));
  return NetlinkSocket(std::move(fd));
}

Result<void> NetlinkSocket::send(std::span<const std::byte> bytes) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const auto sent = sendto(fd_.get(), bytes.data(), bytes.size(), 0,
                           reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel));
  if (sent < 0) return fail_errno("send to netlink");
  if (static_cast<std::size_t>(sent) != bytes.size()) return fail(EMSGSIZE, "send to netlink");
  return {};
}

// One datagram from the kernel (port 0); those of other processes are dropped. Empty: none waits.
Result<std::span<const std::byte>> NetlinkSocket::receive(int flags) {
  for (;;) {
    sockaddr_nl from{};
    iovec part{buffer_.data(), buffer_.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof(from);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const auto received = recvmsg(fd_.get(), &message, flags);
    if (received < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return std::span<const std::byte>{};
      return fail_errno("receive from netlink");
    }
    if (from.nl_pid != 0) continue;
    if ((message.msg_flags & MSG_TRUNC) != 0) {
      return fail(EMSGSIZE, "receive from netlink: an answer longer than the buffer");
    }
    return std::span<const std::byte>(buffer_.data(), static_cast<std::size_t>(received));
  }
}

Result<std::vector<Refusal>> NetlinkSocket::try_transact(std::vector<Message> messages) {
  const std::uint32_t first = sequence_ + 1;
  std::vector<std::byte> bytes;
  std::vector<bool> answered(messages.size(), false);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    nlmsghdr header{};
    std::memcpy(&header, messages[i].bytes.data(), sizeof(header));
    header.nlmsg_seq = ++sequence_;
    header.nlmsg_pid = 0;
    header.nlmsg_flags |= NLM_F_REQUEST;
    if (!messages[i].mark) header.nlmsg_flags |= NLM_F_ACK;
    answered[i] = messages[i].mark;
    std::memcpy(messages[i].bytes.data(), &header, sizeof(header));
    bytes.insert(bytes.end(), messages[i].bytes.begin(), messages[i].bytes.end());
  }
  PANAL_TRY(send(bytes));

  // The kernel handles a request inside sendto(2), so every answer is already waiting.
  std::vector<Refusal> refusals;
  for (;;) {
    PANAL_ASSIGN(const auto datagram, receive(MSG_DONTWAIT));
    if (datagram.empty()) break;
    PANAL_ASSIGN(auto acks, parse_acks(datagram));
    for (auto& ack : acks) {
      const std::size_t index = ack.sequence - first;
      if (index >= messages.size()) continue;
      answered[index] = true;
      if (ack.code == 0) continue;
      std::string context = messages[index].what;
      if (!ack.text.empty()) context += " (" + ack.text + ")";
      refusals.push_back({index, {ack.code, std::move(context)}});
    }
  }
  if (refusals.empty()) {
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (!answered[i]) return fail(EPROTO, messages[i].what + ": the kernel gave no answer");
    }
  }
  return refusals;
}

Result<void> NetlinkSocket::transact(std::vector<Message> messages) {
  PANAL_ASSIGN(auto refusals, try_transact(std::move(messages)));
  if (!refusals.empty()) return tl::make_unexpected(std::move(refusals.front().error));
  return {};
}

Result<void> NetlinkSocket::query(Message question,
                                  const std::function<void(const nlmsghdr*)>& each) {
  nlmsghdr header{};
  std::memcpy(&header, question.bytes.data(), sizeof(header));
  header.nlmsg_seq = ++sequence_;
  header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  std::memcpy(question.bytes.data(), &header, sizeof(header));
  PANAL_TRY(send(question.bytes));
  bool disturbed = false;
  for (;;) {
    PANAL_ASSIGN(const auto datagram, receive(0));
    const auto* message = reinterpret_cast<const nlmsghdr*>(datagram.data());
    auto left = static_cast<unsigned>(datagram.size());
    for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_seq != sequence_) continue;
      if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) disturbed = true;
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
        // Both begin with an int: minus errno, or 0 at a good end.
        const int code = *static_cast<const int*>(NLMSG_DATA(message));
        if (code < 0) return fail(-code, question.what);
        if (disturbed) return fail(EINTR, question.what);
        return {};
      }
      each(message);
    }
  }
}

}  // namespace panal::netconfine

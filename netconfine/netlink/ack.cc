#include "netconfine/netlink/ack.h"

#include <linux/netlink.h>

#include <cstring>

namespace panal::netconfine {
namespace {

// Reads a T at an offset that need not be aligned. The caller has checked the length.
template <typename T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

constexpr std::size_t aligned(std::size_t length) {
  return (length + NLMSG_ALIGNTO - 1) & ~std::size_t{NLMSG_ALIGNTO - 1};
}

// The kernel's explanation among the attributes after the error, or nothing.
std::string explanation(std::span<const std::byte> attributes) {
  while (attributes.size() >= sizeof(nlattr)) {
    const auto attribute = load<nlattr>(attributes, 0);
    if (attribute.nla_len < sizeof(nlattr) || attribute.nla_len > attributes.size()) return {};
    if ((attribute.nla_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG) {
      std::string text(attribute.nla_len - sizeof(nlattr), '\0');
      std::memcpy(text.data(), attributes.data() + sizeof(nlattr), text.size());
      while (!text.empty() && text.back() == '\0') text.pop_back();
      return text;
    }
    attributes = attributes.subspan(std::min(aligned(attribute.nla_len), attributes.size()));
  }
  return {};
}

Result<Ack> parse_ack(std::span<const std::byte> message, const nlmsghdr& header) {
  constexpr std::size_t kFixed = sizeof(nlmsghdr) + sizeof(nlmsgerr);
  if (message.size() < kFixed) return fail(EPROTO, "netlink: an answer without its error code");
  const auto error = load<nlmsgerr>(message, sizeof(nlmsghdr));
  constexpr int kMaxErrno = 4095;  // the kernel's own bound
  if (error.error > 0 || error.error < -kMaxErrno)
    return fail(EPROTO, "netlink: an answer with an impossible error code");
  Ack ack{.sequence = header.nlmsg_seq, .code = -error.error, .text = {}};
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
    std::size_t skip = kFixed;
    // Without NLM_F_CAPPED the kernel repeats the request's payload before the attributes.
    if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) {
      if (error.msg.nlmsg_len < sizeof(nlmsghdr)) {
        return fail(EPROTO, "netlink: an answer that repeats a request without a header");
      }
      skip += aligned(error.msg.nlmsg_len) - sizeof(nlmsghdr);
    }
    if (skip <= message.size()) ack.text = explanation(message.subspan(skip));
  }
  return ack;
}

}  // namespace

Result<std::vector<Ack>> parse_acks(std::span<const std::byte> datagram) {
  std::vector<Ack> acks;
  while (!datagram.empty()) {
    if (datagram.size() < sizeof(nlmsghdr)) return fail(EPROTO, "netlink: a cut message header");
    const auto header = load<nlmsghdr>(datagram, 0);
    if (header.nlmsg_len < sizeof(nlmsghdr) || header.nlmsg_len > datagram.size()) {
      return fail(EPROTO, "netlink: a message longer than its datagram");
    }
    if (header.nlmsg_type == NLMSG_ERROR) {
      PANAL_ASSIGN(auto ack, parse_ack(datagram.first(header.nlmsg_len), header));
      acks.push_back(std::move(ack));
    }
    datagram = datagram.subspan(std::min(aligned(header.nlmsg_len), datagram.size()));
  }
  return acks;
}

}  // namespace panal::netconfine

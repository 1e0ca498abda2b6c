#include "netconfine/netlink/dump.h"

#include <linux/netlink.h>

namespace panal::netconfine {

Result<void> dump(NetlinkSocket& socket, const Message& question,
                  const std::function<void()>& begin,
                  const std::function<void(const nlmsghdr*)>& each) {
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    begin();
    auto done = socket.query(question, each);
    if (done || done.error().code != EINTR || attempt == kAttempts) return done;
  }
}

std::span<const std::byte> payload_of(const nlmsghdr* message) {
  return {reinterpret_cast<const std::byte*>(message) + NLMSG_HDRLEN,
          message->nlmsg_len - NLMSG_HDRLEN};
}

}  // namespace panal::netconfine

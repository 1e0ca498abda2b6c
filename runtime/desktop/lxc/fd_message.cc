#include "runtime/desktop/lxc/fd_message.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstring>

namespace panal::desktop::lxc {
namespace {

constexpr std::size_t kDatagramBytes = 8192;

}  // namespace

Result<void> send_message(const UniqueFd& socket, std::string_view text, int fd) {
  // sendmsg does not write to the buffer.
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  while (::sendmsg(socket.get(), &header, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return fail_errno("send to the other end of a spawner's socket");
  }
  return {};
}

Result<FdMessage> receive_message(const UniqueFd& socket, int timeout_ms) {
  pollfd entry{socket.get(), POLLIN, 0};
  for (;;) {
    const int ready = ::poll(&entry, 1, timeout_ms);
    if (ready > 0) break;
    if (ready == 0) return fail(ETIMEDOUT, "wait for a spawner");
    if (errno != EINTR) return fail_errno("poll a spawner's socket");
  }
  std::array<char, kDatagramBytes> buffer;
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got = 0;
  while ((got = ::recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == ECONNRESET) return FdMessage{};
    if (errno != EINTR) return fail_errno("receive on a spawner's socket");
  }
  FdMessage message;
  message.text.assign(buffer.data(), static_cast<std::size_t>(got));
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(c), sizeof fd);
    message.fd = UniqueFd(fd);
  }
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return fail(EMSGSIZE, "a message on a spawner's socket was cut");
  return message;
}

}  // namespace panal::desktop::lxc

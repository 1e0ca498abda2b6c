#include "runtime/control/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <vector>

#include "runtime/control/message.h"

namespace panal::control {
namespace {

using nlohmann::json;

/// Room for one whole message: a datagram larger than the buffer is refused by the kernel. The
/// kernel doubles the value and caps it at net.core.wmem_max (212,992 by default), which is enough.
void widen(int socket) {
  const int bytes = static_cast<int>(kMessageBytes);
  (void)::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/// The descriptors of a message; more than one is a violation, and none may leak.
Result<UniqueFd> take_descriptor(msghdr& header) {
  std::vector<UniqueFd> found;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int raw = -1;
      std::memcpy(&raw, CMSG_DATA(part) + i * sizeof(int), sizeof raw);
      found.emplace_back(raw);
    }
  }
  if (found.size() > 1 || (header.msg_flags & MSG_CTRUNC) != 0)
    return fail(EPROTO, "control message: more than one descriptor");
  return found.empty() ? UniqueFd() : std::move(found.front());
}

}  // namespace

Result<void> send_message(int socket, const json& message, int descriptor) {
  // Bytes that are no UTF-8 are replaced: dump() would throw, and a message must always get out.
  const std::string text = message.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kMessageBytes)
    return fail(EMSGSIZE, "control message of " + std::to_string(text.size()) + " bytes");
  widen(socket);
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  if (descriptor >= 0) {
    header.msg_control = space;
    header.msg_controllen = sizeof space;
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  }
  while (::sendmsg(socket, &header, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return fail_errno("send a control message");
  return {};
}

Result<Connection::Message> receive_message(int socket) {
  // A datagram's length first: its buffer is then no larger than it.
  char byte = 0;
  ssize_t size = 0;
  while ((size = ::recv(socket, &byte, 1, MSG_PEEK | MSG_TRUNC)) < 0)
    if (errno != EINTR) return fail_errno("receive a control message");
  if (size == 0) return fail(ECONNRESET, "control connection: the peer has gone");
  const bool oversize = static_cast<std::size_t>(size) > kMessageBytes;
  std::string text(oversize ? 1 : static_cast<std::size_t>(size), '\0');
  iovec part{text.data(), text.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char space[CMSG_SPACE(4 * sizeof(int))] = {};
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  while (::recvmsg(socket, &header, MSG_CMSG_CLOEXEC) < 0)
    if (errno != EINTR) return fail_errno("receive a control message");
  PANAL_ASSIGN(auto descriptor, take_descriptor(header));
  if (oversize) return fail(EMSGSIZE, "control message of " + std::to_string(size) + " bytes");
  auto body = json::parse(text, nullptr, false);
  if (!body.is_object()) return fail(EPROTO, "control message: not a JSON object");
  return Connection::Message{std::move(body), std::move(descriptor)};
}

Result<Connection> Connection::connect(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path)
    return fail(ENAMETOOLONG, "connect to " + socket_path);
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("connect to panald at", socket_path);
  return Connection(std::move(fd));
}

Result<void> Connection::send(const json& message) const {
  return send_message(fd_.get(), message);
}

Result<Connection::Message> Connection::receive(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd entry{fd_.get(), POLLIN, 0};
    const int ready = ::poll(&entry, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (ready > 0) return receive_message(fd_.get());
    if (ready == 0) return fail(ETIMEDOUT, "wait for panald's answer");
    if (errno != EINTR) return fail_errno("poll the control connection");
  }
}

}  // namespace panal::control

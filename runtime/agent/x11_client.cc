#include "runtime/agent/x11_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace panal::agent::x11 {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

Result<void> wait_readable(int fd, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
    if (left < 0) return fail(ETIMEDOUT, "wait for the X server");
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(left) + 1);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail_errno("poll the X server");
  }
}

Result<std::string> read_exactly(int fd, std::size_t bytes, Clock::time_point deadline) {
  std::string out(bytes, '\0');
  std::size_t filled = 0;
  while (filled < bytes) {
    PANAL_TRY(wait_readable(fd, deadline));
    const ssize_t count = ::recv(fd, out.data() + filled, bytes - filled, MSG_DONTWAIT);
    if (count == 0) return fail(ECONNRESET, "X server closed the connection");
    if (count < 0 && errno != EAGAIN && errno != EINTR) return fail_errno("read from the X server");
    if (count > 0) filled += static_cast<std::size_t>(count);
  }
  return out;
}

}  // namespace

Result<Client> Client::connect(const std::string& socket_path, std::string_view cookie_bytes,
                               milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof(address.sun_path)) {
    return fail(ENAMETOOLONG, "connect to X server " + socket_path);
  }
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno("make X socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return fail_errno("connect to X server", socket_path);
  }
  Client client(std::move(socket), {});
  PANAL_TRY(client.send(setup_request(cookie_bytes)));
  PANAL_ASSIGN(const std::string head, read_exactly(client.fd(), 8, deadline));
  PANAL_ASSIGN(const std::size_t more, parse_setup_head(head));
  PANAL_ASSIGN(const std::string body, read_exactly(client.fd(), more, deadline));
  PANAL_ASSIGN(client.setup_, parse_setup(body));
  return client;
}

Result<void> Client::send(std::string_view bytes) const {
  // Requests are a few bytes: a server whose buffer has no room for them is not alive.
  const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count < 0) return fail_errno("write to the X server");
  if (static_cast<std::size_t>(count) != bytes.size()) {
    return fail(ETIMEDOUT, "write to the X server");
  }
  return {};
}

Result<std::string> Client::receive(milliseconds timeout) const {
  const auto deadline = Clock::now() + timeout;
  PANAL_ASSIGN(std::string message, read_exactly(socket_.get(), kReplyBytes, deadline));
  PANAL_ASSIGN(const std::size_t more, body_bytes(message));
  if (more != 0) {
    PANAL_ASSIGN(const std::string body, read_exactly(socket_.get(), more, deadline));
    message.append(body);
  }
  return message;
}

Result<std::string> Client::ask(std::string_view request, milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  PANAL_TRY(send(request));
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    PANAL_ASSIGN(std::string message, receive(left));
    if (message[0] == 0) {
      return fail(EPROTO, "X server answers error " + std::to_string(message[1] & 0xff));
    }
    if (message[0] == 1) return message;
    PANAL_TRY(take_alarm(message));
  }
}

Result<Extension> Client::extension(std::string_view name, milliseconds timeout) {
  PANAL_ASSIGN(const std::string reply, ask(query_extension(name), timeout));
  PANAL_ASSIGN(const Extension found, parse_query_extension(reply));
  if (found.opcode == 0) return fail(ENOTSUP, "X server lacks " + std::string(name));
  return found;
}

Result<std::uint32_t> Client::idle_ms(milliseconds timeout) {
  if (saver_ == 0) {
    PANAL_ASSIGN(const Extension found, extension("MIT-SCREEN-SAVER", timeout));
    saver_ = found.opcode;
  }
  PANAL_ASSIGN(const std::string reply, ask(screen_saver_query(saver_, setup_.root), timeout));
  return parse_idle(reply);
}

Result<void> Client::watch_for_input(milliseconds idle, milliseconds timeout) {
  if (armed_) return {};
  if (sync_.opcode == 0) {
    PANAL_ASSIGN(const Extension sync, extension("SYNC", timeout));
    PANAL_TRY(ask(sync_initialize(sync.opcode), timeout));
    PANAL_ASSIGN(const std::string counters, ask(sync_list_counters(sync.opcode), timeout));
    PANAL_ASSIGN(idle_counter_, parse_system_counter(counters, "IDLETIME"));
    if (idle_counter_ == 0) return fail(ENOTSUP, "X server has no counter of idle time");
    sync_ = sync;
  }
  armed_ = true;
  PANAL_TRY(send(sync_alarm_when_at_most(sync_.opcode, alarm(), idle_counter_,
                                         static_cast<std::uint32_t>(idle.count()))));
  // Only to see an error, if there is one: an alarm has no reply.
  PANAL_TRY(ask(get_geometry(setup_.root), timeout));
  if (!armed_) return fail(EAGAIN, "there was input meanwhile");
  return {};
}

Result<bool> Client::read_event(milliseconds timeout) {
  pollfd entry{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, 0) <= 0) return false;
  PANAL_ASSIGN(const std::string message, receive(timeout));
  return take_alarm(message);
}

Result<bool> Client::take_alarm(std::string_view message) {
  if (!armed_ || !is_alarm(message, sync_.first_event)) return false;
  armed_ = false;
  PANAL_TRY(send(sync_destroy_alarm(sync_.opcode, alarm())));
  return true;
}

Result<int> Client::visible_windows(milliseconds timeout) {
  // More would take a busy server too long, and one visible window is what is looked for.
  constexpr std::size_t kMost = 64;
  PANAL_ASSIGN(const std::string reply, ask(query_tree(setup_.root), timeout));
  PANAL_ASSIGN(auto children, parse_tree(reply));
  if (children.size() > kMost) children.resize(kMost);
  int visible = 0;
  for (const std::uint32_t child : children) {
    const auto attributes = ask(get_attributes(child), timeout);
    if (!attributes) {
      if (attributes.error().code != EPROTO) return tl::make_unexpected(attributes.error());
      continue;  // it has gone in the meantime
    }
    PANAL_ASSIGN(const bool viewable, parse_viewable(*attributes));
    if (viewable) ++visible;
  }
  return visible;
}

Result<Area> Client::root_size(milliseconds timeout) {
  PANAL_ASSIGN(const std::string reply, ask(get_geometry(setup_.root), timeout));
  return parse_geometry_reply(reply);
}

Result<void> Client::resize_root(Area area, milliseconds timeout) {
  PANAL_ASSIGN(const Extension found, extension("RANDR", timeout));
  const std::uint8_t randr = found.opcode;
  PANAL_TRY(ask(randr_version(randr), timeout));
  PANAL_ASSIGN(const std::string reply, ask(randr_resources(randr, setup_.root), timeout));
  PANAL_ASSIGN(const Resources resources, parse_resources(reply));
  // A screen cannot become smaller than what an output shows; nxagent makes its outputs anew
  // when its window has the new size.
  for (const std::uint32_t crtc : resources.crtcs) {
    PANAL_TRY(ask(randr_disable_crtc(randr, crtc, resources.config_timestamp), timeout));
  }
  PANAL_TRY(send(randr_set_size(randr, setup_.root, area)));
  // Only to see an error, if there is one: SetScreenSize has no reply.
  PANAL_TRY(ask(get_geometry(setup_.root), timeout));
  return {};
}

}  // namespace panal::agent::x11

#include "runtime/agent/picture.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace panal::agent {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Head = std::array<std::uint32_t, 2>;  // width, height

milliseconds left_until(Clock::time_point deadline) {
  return std::max(milliseconds{0},
                  std::chrono::duration_cast<milliseconds>(deadline - Clock::now()));
}

Result<void> send_all(int socket, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t count = ::send(socket, at, size, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail_errno("send a picture");
    at += count;
    size -= static_cast<std::size_t>(count);
  }
  return {};
}

Result<void> receive_all(int socket, void* data, std::size_t size, Clock::time_point deadline) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    pollfd entry{.fd = socket, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(left_until(deadline).count()));
    if (ready == 0) return fail(ETIMEDOUT, "wait for a picture");
    if (ready < 0 && errno != EINTR) return fail_errno("wait for a picture");
    if (ready < 0) continue;
    const ssize_t count = ::recv(socket, at, size, MSG_DONTWAIT);
    if (count == 0) return fail(ECONNRESET, "no picture came");
    if (count < 0 && errno != EAGAIN && errno != EINTR) return fail_errno("receive a picture");
    if (count < 0) continue;
    at += count;
    size -= static_cast<std::size_t>(count);
  }
  return {};
}

/// The reply to one request; events and what else comes are passed over.
Result<std::string> reply_of(const x11::Client& x, Clock::time_point deadline) {
  for (;;) {
    PANAL_ASSIGN(std::string message, x.receive(left_until(deadline)));
    if (message[0] == 0)
      return fail(EPROTO, "X server answers error " + std::to_string(message[1] & 0xff));
    if (message[0] == 1) return message;
  }
}

}  // namespace

Result<Picture> take_picture(const x11::Client& x, milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  const std::size_t width = x.setup().width;
  const std::size_t height = x.setup().height;
  // As many rows at a time as the longest reply that is read has room for.
  const std::size_t rows = width == 0 ? 0 : x11::kMostReplyBytes / (width * 4);
  if (rows == 0 || height == 0) return fail(EPROTO, "X server's screen has no size for a picture");
  Picture picture{.width = x.setup().width, .height = x.setup().height, .pixels = {}};
  picture.pixels.reserve(width * height * 4);
  for (std::size_t y = 0; y < height; y += rows) {
    const x11::Area area{.width = x.setup().width,
                         .height = static_cast<std::uint16_t>(std::min(rows, height - y))};
    PANAL_TRY(x.send(x11::get_image(x.root(), static_cast<unsigned>(y), area)));
    PANAL_ASSIGN(const std::string reply, reply_of(x, deadline));
    PANAL_ASSIGN(const std::string_view pixels, x11::parse_image(reply, area));
    picture.pixels.append(pixels);
  }
  return picture;
}

Result<void> send_picture(int socket, const Picture& picture) {
  const Head head{picture.width, picture.height};
  PANAL_TRY(send_all(socket, head.data(), sizeof(head)));
  return send_all(socket, picture.pixels.data(), picture.pixels.size());
}

Result<Picture> receive_picture(int socket, Size size, milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  Head head{};
  PANAL_TRY(receive_all(socket, head.data(), sizeof(head), deadline));
  if (size.width <= 0 || size.height <= 0 || head[0] != static_cast<std::uint32_t>(size.width) ||
      head[1] != static_cast<std::uint32_t>(size.height))
    return fail(EPROTO, "a picture of another size than was asked for");
  Picture picture{.width = head[0], .height = head[1], .pixels = {}};
  picture.pixels.resize(std::size_t{head[0]} * head[1] * 4);
  PANAL_TRY(receive_all(socket, picture.pixels.data(), picture.pixels.size(), deadline));
  return picture;
}

}  // namespace panal::agent

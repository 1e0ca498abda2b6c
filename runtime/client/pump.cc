#include "runtime/client/pump.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>

namespace panal::client {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 10U;
/// How long a server may keep its direction open in silence once ours has ended: nobody is left
/// who would read it.
constexpr int kFarewellMs = 5000;

/// One direction's bytes in flight.
struct Direction {
  std::string buffer;
  std::size_t sent = 0;
  bool source_ended = false;
  bool end_passed_on = false;

  [[nodiscard]] bool empty() const { return sent == buffer.size(); }
  [[nodiscard]] bool wants_more() const { return !source_ended && empty(); }
  void consume(std::size_t bytes) {
    sent += bytes;
    if (empty()) {
      buffer.clear();
      sent = 0;
    }
  }
};

class Pump {
 public:
  Pump(TlsConnection& server, int local, std::string early) : server_(server), local_(local) {
    down_.buffer = std::move(early);
    server_spoke_ = !down_.buffer.empty();
  }

  Result<PumpEnd> run(int stop_fd) {
    for (;;) {
      PANAL_TRY(move_down());
      PANAL_TRY(move_up());
      if (local_gone_ || (up_.end_passed_on && down_.end_passed_on))
        return server_ended_first_ ? server_end() : PumpEnd::kLocalClosed;
      if (server_ended_first_ && down_.end_passed_on && up_.empty()) return server_end();
      PANAL_ASSIGN(const bool stopped, wait(stop_fd));
      if (stopped) return PumpEnd::kStopped;
      if (farewell_over_) return PumpEnd::kLocalClosed;
    }
  }

 private:
  [[nodiscard]] PumpEnd server_end() const {
    if (server_lost_) return PumpEnd::kServerLost;
    return server_spoke_ ? PumpEnd::kServerClosed : PumpEnd::kServerRefused;
  }

  /// Server to local, as far as it goes now.
  Result<void> move_down() {
    for (;;) {
      if (!down_.empty()) {
        const ssize_t put = ::send(local_, down_.buffer.data() + down_.sent,
                                   down_.buffer.size() - down_.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0) {
          if (errno == EAGAIN || errno == EINTR) return {};
          local_gone_ = true;  // nxproxy ended: its exit status tells more than our error
          return {};
        }
        down_.consume(static_cast<std::size_t>(put));
        continue;
      }
      if (down_.source_ended) {
        if (!down_.end_passed_on) ::shutdown(local_, SHUT_WR);
        down_.end_passed_on = true;
        return {};
      }
      down_.buffer.resize(kBufferBytes);
      auto got = server_.read(down_.buffer);
      down_.buffer.resize(got && got->state == Io::kDone ? got->bytes : 0);
      if (!got) {
        // What it sent before it was lost is still passed on.
        if (got.error().code != ECONNRESET && got.error().code != EPROTO)
          return tl::make_unexpected(got.error());
        server_lost_ = true;
        got = Transfer{Io::kClosed, 0};
      }
      if (got->state == Io::kClosed) {
        down_.source_ended = true;
        if (!up_.source_ended) server_ended_first_ = true;
        continue;
      }
      read_wants_write_ = got->state == Io::kWantWrite;
      if (got->state != Io::kDone) return {};
      server_spoke_ = true;
    }
  }

  /// Local to server, as far as it goes now.
  Result<void> move_up() {
    for (;;) {
      if (!up_.empty()) {
        auto put = server_.write(std::span(up_.buffer).subspan(up_.sent));
        if (!put) {
          down_.source_ended = true;
          server_ended_first_ = server_lost_ = true;
          up_.consume(up_.buffer.size() - up_.sent);
          up_.source_ended = up_.end_passed_on = true;
          return {};
        }
        write_wants_read_ = put->state == Io::kWantRead;
        if (put->state != Io::kDone) return {};
        up_.consume(put->bytes);
        continue;
      }
      if (up_.source_ended) {
        if (!up_.end_passed_on) server_.shut_down();
        up_.end_passed_on = true;
        return {};
      }
      up_.buffer.resize(kBufferBytes);
      const ssize_t got = ::recv(local_, up_.buffer.data(), up_.buffer.size(), MSG_DONTWAIT);
      const int code = errno;
      up_.buffer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
      if (got > 0) continue;
      if (got < 0 && (code == EAGAIN || code == EINTR)) return {};
      up_.source_ended = true;
      if (got < 0) local_gone_ = true;
    }
  }

  Result<bool> wait(int stop_fd) {
    const auto flag = [](bool on, short bit) { return on ? bit : short{0}; };
    const bool writing = !up_.empty();
    const short server_events =
        static_cast<short>(flag(down_.wants_more() || (writing && write_wants_read_), POLLIN) |
                           flag((writing && !write_wants_read_) || read_wants_write_, POLLOUT));
    const short local_events =
        static_cast<short>(flag(up_.wants_more(), POLLIN) | flag(!down_.empty(), POLLOUT));
    // A side that is not asked for anything is left out: its hang-up would make poll spin.
    std::array<pollfd, 3> entries = {{{server_events != 0 ? server_.fd() : -1, server_events, 0},
                                      {local_events != 0 ? local_ : -1, local_events, 0},
                                      {stop_fd, POLLIN, 0}}};
    const int ready = ::poll(entries.data(), entries.size(), up_.end_passed_on ? kFarewellMs : -1);
    if (ready < 0 && errno != EINTR) return fail_errno("poll");
    farewell_over_ = ready == 0;
    return (entries[2].revents & POLLIN) != 0;
  }

  TlsConnection& server_;
  int local_;
  Direction down_, up_;
  bool read_wants_write_ = false;
  bool write_wants_read_ = false;
  bool local_gone_ = false;
  bool farewell_over_ = false;
  bool server_ended_first_ = false;
  bool server_lost_ = false;
  bool server_spoke_ = false;
};

}  // namespace

Result<PumpEnd> pump(TlsConnection& server, int local, std::string early, int stop_fd) {
  return Pump(server, local, std::move(early)).run(stop_fd);
}

}  // namespace panal::client

#include "runtime/broker/tunnel.h"

namespace panal::broker {
namespace {

/// So much may move before other connections get their turn.
constexpr std::size_t kTurnBytes = std::size_t{256} << 10U;

class Tunnel final : public Connection, public std::enable_shared_from_this<Tunnel> {
 public:
  Tunnel(Services& services, std::unique_ptr<Stream> client, std::unique_ptr<Stream> desktop,
         std::string first, FlowPtr flow, std::function<void(TunnelEnd)> ended)
      : services_(services),
        client_(std::move(client)),
        desktop_(std::move(desktop)),
        up_{client_.get(), desktop_.get(), std::move(first), "client"},
        down_{desktop_.get(), client_.get(), {}, "desktop"},
        flow_(std::move(flow)),
        ended_(std::move(ended)) {}

  void start() {
    services_.registry.add(shared_from_this());
    services_.loop.post([self = shared_from_this()] {
      self->pump(self->up_);
      self->pump(self->down_);
    });
  }

  void close() override { finish("the broker stops"); }

 private:
  struct Direction {
    Stream* from;
    Stream* to;
    std::string held{};  ///< read, not yet taken by `to`
    const char* who;     ///< whose bytes these are
    std::size_t offset = 0;
    std::uint64_t bytes = 0;
    bool ended = false;  ///< `from` sends no more
    bool done = false;   ///< and `to` has been told
  };

  void pump(Direction& way) {
    std::size_t turn = 0;
    while (!over_ && !way.done) {
      IoResult result;
      if (way.offset < way.held.size()) {
        result = way.to->write(way.held.data() + way.offset, way.held.size() - way.offset);
        if (result.state == IoState::kDone) {
          way.offset += result.bytes;
          carried(way, result.bytes);
          if (way.offset == way.held.size()) {
            std::string().swap(way.held);
            way.offset = 0;
          }
          continue;
        }
        if (result.state == IoState::kFailed || result.state == IoState::kEnd) {
          return finish(std::string(way.who) + "'s peer is gone");
        }
        return wait(way, *way.to, result.state);
      }
      if (way.ended) {
        result = way.to->shutdown_write();
        if (result.state == IoState::kWantRead || result.state == IoState::kWantWrite) {
          return wait(way, *way.to, result.state);
        }
        way.done = true;
        if (up_.done && down_.done) return finish(std::string(way.who) + " closed last");
        watch_half_closed();
        return;
      }
      if (turn >= kTurnBytes) {
        services_.loop.post([self = shared_from_this(), &way] { self->pump(way); });
        return;
      }
      result = way.from->read(services_.scratch.data(), services_.scratch.size());
      if (result.state == IoState::kEnd) {
        way.ended = true;
        if (first_end_.empty()) first_end_ = std::string(way.who) + " closed";
      } else if (result.state == IoState::kFailed) {
        return finish(std::string(way.who) + "'s connection broke");
      } else if (result.state == IoState::kDone) {
        turn += result.bytes;
        if (!forward(way, result.bytes)) return;
      } else {
        return wait(way, *way.from, result.state);
      }
    }
  }

  void carried(Direction& way, std::size_t bytes) {
    way.bytes += bytes;
    if (&way == &down_) services_.flows.add(flow_, bytes);
  }

  /// Writes straight from the scratch buffer; what is not taken at once is held.
  bool forward(Direction& way, std::size_t size) {
    const IoResult result = way.to->write(services_.scratch.data(), size);
    if (result.state == IoState::kFailed || result.state == IoState::kEnd) {
      finish(std::string(way.who) + "'s peer is gone");
      return false;
    }
    const std::size_t taken = result.state == IoState::kDone ? result.bytes : 0;
    carried(way, taken);
    if (taken < size) way.held.assign(services_.scratch.data() + taken, size - taken);
    if (result.state == IoState::kDone) return true;
    wait(way, *way.to, result.state);
    return false;
  }

  void wait(Direction& way, Stream& stream, IoState want) {
    stream.wait(want, [self = shared_from_this(), &way] { self->pump(way); });
  }

  /// One side has ended; the other may go on as long as it moves.
  void watch_half_closed() {
    if (!timer_) timer_ = std::make_unique<loop::Timer>(services_.loop);
    const std::uint64_t seen = up_.bytes + down_.bytes;
    timer_->start(services_.timing.half_closed, [this, seen] {
      if (seen == up_.bytes + down_.bytes) {
        finish(first_end_ + ", then silence");
      } else {
        watch_half_closed();
      }
    });
  }

  void finish(const std::string& reason) {
    if (over_) return;
    over_ = true;
    const auto self = shared_from_this();
    timer_.reset();
    client_->close();
    desktop_->close();
    services_.registry.remove(self);
    const auto ended = std::exchange(ended_, nullptr);
    ended({up_.bytes, down_.bytes, first_end_.empty() ? reason : first_end_});
  }

  Services& services_;
  std::unique_ptr<Stream> client_;
  std::unique_ptr<Stream> desktop_;
  Direction up_;
  Direction down_;
  FlowPtr flow_;
  std::function<void(TunnelEnd)> ended_;
  std::unique_ptr<loop::Timer> timer_;
  std::string first_end_;
  bool over_ = false;
};

}  // namespace

void start_tunnel(Services& services, std::unique_ptr<Stream> client,
                  std::unique_ptr<Stream> desktop, std::string first, FlowPtr flow,
                  std::function<void(TunnelEnd)> ended) {
  std::make_shared<Tunnel>(services, std::move(client), std::move(desktop), std::move(first),
                           std::move(flow), std::move(ended))
      ->start();
}

}  // namespace panal::broker

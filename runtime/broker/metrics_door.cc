#include "runtime/broker/metrics_door.h"

#include <sys/socket.h>

#include <cerrno>

#include "runtime/broker/fd_stream.h"
#include "runtime/broker/http/response.h"
#include "runtime/broker/http_channel.h"

namespace panal::broker {
namespace {

using http::Response;
using http::text;

/// At a time and worker: a scraper needs one. What comes beyond is closed at once.
constexpr int kMostConnections = 8;
constexpr std::chrono::milliseconds kDoorPause{100};
/// The text format that panald writes (runtime/metrics).
constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

class MetricsSession final : public Connection,
                             public std::enable_shared_from_this<MetricsSession> {
 public:
  MetricsSession(Services& services, std::shared_ptr<void> place)
      : services_(services), place_(std::move(place)) {}

  void start(std::unique_ptr<Stream> stream) {
    services_.registry.add(shared_from_this());
    HttpChannel::Hooks hooks;
    hooks.request = [this](const http::Request& request) { handle(request); };
    hooks.malformed = [this](int status, const std::string& sentence) {
      answer(text(status, sentence));
    };
    hooks.hung_up = [] {};  // whoever half-closes may still read
    hooks.closed = [this] { gone(); };
    channel_ = std::make_shared<HttpChannel>(services_, std::move(stream), std::move(hooks));
    channel_->start();
  }

  void close() override { channel_->close(); }

 private:
  void handle(const http::Request& request) {
    if (request.method != "GET") {
      Response response = text(405, "Only GET is served here.");
      response.headers.emplace_back("Allow", "GET");
      return answer(std::move(response));
    }
    if (request.path != "/metrics") return answer(text(404, "There is nothing here but /metrics."));
    node_ = services_.node.begin();
    node_->metrics([this](const Answer<std::string>& metrics) {
      if (!metrics) return answer(text(metrics.error().status, metrics.error().sentence));
      Response response;
      response.body = *metrics;
      response.content_type = kContentType;
      answer(std::move(response));
    });
  }

  /// A scraper comes back in a quarter of a minute: not worth a connection kept.
  void answer(Response response) {
    if (over_) return;
    response.close = true;
    channel_->finish(http::to_bytes(response), false, services_.timing.idle);
  }

  void gone() {
    over_ = true;
    node_.reset();
    place_.reset();
    // Later: this may be running inside one of its own functions.
    services_.loop.post([self = shared_from_this()] { self->services_.registry.remove(self); });
  }

  Services& services_;
  std::shared_ptr<void> place_;
  std::shared_ptr<HttpChannel> channel_;
  std::unique_ptr<NodeCall> node_;
  bool over_ = false;
};

}  // namespace

void serve_metrics(Services& services, std::unique_ptr<Stream> stream,
                   std::shared_ptr<void> place) {
  std::make_shared<MetricsSession>(services, std::move(place))->start(std::move(stream));
}

MetricsDoor::MetricsDoor(Services& services, UniqueFd listener)
    : services_(services), listener_(services.loop, std::move(listener)), pause_(services.loop) {
  wait();
}

void MetricsDoor::wait() {
  listener_.wait(loop::Ready::kReadable, [this] { accept(); });
}

void MetricsDoor::accept() {
  UniqueFd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd && *open_ < kMostConnections) {
    ++*open_;
    serve_metrics(services_, make_fd_stream(services_.loop, std::move(fd)),
                  std::shared_ptr<void>(nullptr, [open = open_](void*) { --*open; }));
  } else if (!fd && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
    // Out of descriptors or memory: who waits still does, so at once would be for ever.
    return pause_.start(kDoorPause, [this] { wait(); });
  }
  wait();
}

}  // namespace panal::broker

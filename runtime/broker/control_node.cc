#include "runtime/broker/control_node.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "runtime/broker/greeting.h"
#include "runtime/control/message.h"

namespace panal::broker {
namespace {

using nlohmann::json;

constexpr const char* kNoNode =
    "The node's daemon does not answer. The administrator can look with: panal status.";

/// A blocking connect would stop the worker while panald's backlog is full.
Result<UniqueFd> connect_now(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(ENAMETOOLONG, "connect " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("make a socket for", path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno("connect", path);
  }
  return fd;
}

Refusal refusal_of(const json& body) {
  Refusal out;
  const auto status = body.find("status");
  if (status != body.end() && status->is_number_integer()) {
    const auto value = status->get<std::int64_t>();
    if (value >= 400 && value <= 599) out.status = static_cast<int>(value);
  }
  const auto error = body.find("error");
  if (error != body.end() && error->is_string()) out.sentence = error->get<std::string>();
  if (out.sentence.empty()) out.sentence = kNoNode;
  return out;
}

class ControlCall final : public NodeCall {
 public:
  ControlCall(loop::Loop& loop, const std::string& path, std::chrono::milliseconds silence)
      : state_(std::make_shared<State>(loop, path, silence)) {}
  ~ControlCall() override { state_->end(); }

  void attach(const AttachRequest& request, std::function<void(std::string)> progress,
              std::function<void(Answer<Attached>)> done) override {
    state_->progress = std::move(progress);
    state_->done = [done = std::move(done),
                    state = state_.get()](Answer<control::Connection::Message> answer) {
      if (!answer) return done(tl::make_unexpected(answer.error()));
      const json& body = answer->body;
      Attached out;
      out.attach = body.value("attach", std::uint64_t{0});
      out.cookie = body.value("cookie", std::string{});
      const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
      if (out.cookie.size() != kCookieDigits ||
          !std::all_of(out.cookie.begin(), out.cookie.end(), digit)) {
        return done(tl::make_unexpected(Refusal{502, "The node's answer has no cookie."}));
      }
      state->attach = out.attach;
      done(out);
    };
    state_->desktop = request.desktop;
    state_->request(json{{"op", "attach"},
                         {"desktop", request.desktop},
                         {"geometry", request.geometry},
                         {"fullscreen", request.fullscreen},
                         {"keyboard", request.keyboard},
                         {"link", request.link},
                         {"client", request.client},
                         {"takeover", true}});
  }

  void open(std::function<void(Answer<UniqueFd>)> done) override {
    state_->progress = nullptr;
    state_->done = [done = std::move(done)](Answer<control::Connection::Message> answer) {
      if (!answer) return done(tl::make_unexpected(answer.error()));
      if (!answer->descriptor) {
        return done(tl::make_unexpected(Refusal{502, "The node's answer has no descriptor."}));
      }
      done(std::move(answer->descriptor));
    };
    state_->request(json{{"op", "open"}, {"desktop", state_->desktop}, {"attach", state_->attach}});
  }

  void metrics(std::function<void(Answer<std::string>)> done) override {
    state_->progress = nullptr;
    state_->done = [done = std::move(done)](Answer<control::Connection::Message> answer) {
      if (!answer) return done(tl::make_unexpected(answer.error()));
      const auto text = answer->body.find("text");
      if (text == answer->body.end() || !text->is_string())
        return done(tl::make_unexpected(Refusal{502, "The node's answer has no metrics."}));
      done(text->get<std::string>());
    };
    state_->request(json{{"op", "metrics"}});
  }

  void flow(const std::vector<Flow>& flows, std::chrono::milliseconds over,
            std::function<void(Answer<void>)> done) override {
    state_->progress = nullptr;
    state_->done = [done = std::move(done)](Answer<control::Connection::Message> answer) {
      if (!answer) return done(tl::make_unexpected(answer.error()));
      done({});
    };
    json sessions = json::array();
    for (const Flow& one : flows)
      sessions.push_back(json::array({one.desktop, one.attach, one.bytes}));
    state_->request(
        json{{"op", "flow"}, {"over_ms", over.count()}, {"sessions", std::move(sessions)}});
  }

 private:
  struct State : std::enable_shared_from_this<State> {
    State(loop::Loop& loop_in, const std::string& path_in, std::chrono::milliseconds silence_in)
        : loop(loop_in), path(path_in), silence(silence_in), timer(loop_in) {}

    loop::Loop& loop;
    std::string path;
    std::chrono::milliseconds silence;
    loop::Timer timer;
    std::unique_ptr<loop::Descriptor> descriptor;
    DesktopId desktop = 0;
    std::uint64_t attach = 0;
    std::function<void(std::string)> progress;
    std::function<void(Answer<control::Connection::Message>)> done;

    void end() {
      progress = nullptr;
      done = nullptr;
      timer.cancel();
      descriptor.reset();
    }

    void finish(Answer<control::Connection::Message> answer) {
      timer.cancel();
      progress = nullptr;
      if (!answer) descriptor.reset();
      const auto call = std::exchange(done, nullptr);
      if (call) call(std::move(answer));
    }

    void lost(const std::string& sentence) { finish(tl::make_unexpected(Refusal{503, sentence})); }

    void request(const json& message) {
      if (!descriptor) {
        auto fd = connect_now(path);
        if (!fd) {
          return loop.post([self = shared_from_this()] { self->lost(kNoNode); });
        }
        descriptor = std::make_unique<loop::Descriptor>(loop, std::move(*fd));
      }
      if (!control::send_message(descriptor->fd(), message)) {
        return loop.post([self = shared_from_this()] { self->lost(kNoNode); });
      }
      wait();
    }

    void wait() {
      timer.start(silence, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->lost("The node's daemon did not answer in time.");
      });
      descriptor->wait(loop::Ready::kReadable, [self = shared_from_this()] { self->receive(); });
    }

    void receive() {
      while (descriptor && done) {
        auto message = control::receive_message(descriptor->fd());
        if (!message) {
          if (message.error().code == EAGAIN) return wait();
          return lost(kNoNode);
        }
        const json& body = message->body;
        if (!body.is_object()) return lost("The node's answer is malformed.");
        const auto text = body.find("progress");
        if (text != body.end()) {
          const auto tell = progress;  // the call may end this one
          if (tell && text->is_string()) tell(text->get<std::string>());
          continue;
        }
        if (body.value("ok", false)) return finish(std::move(*message));
        return finish(tl::make_unexpected(refusal_of(body)));
      }
    }
  };

  std::shared_ptr<State> state_;
};

class ControlNode final : public NodePort {
 public:
  ControlNode(loop::Loop& loop, std::string path, std::chrono::milliseconds silence)
      : loop_(loop), path_(std::move(path)), silence_(silence) {}
  std::unique_ptr<NodeCall> begin() override {
    return std::make_unique<ControlCall>(loop_, path_, silence_);
  }

 private:
  loop::Loop& loop_;
  std::string path_;
  std::chrono::milliseconds silence_;
};

}  // namespace

std::unique_ptr<NodePort> make_control_node(loop::Loop& loop, std::string socket_path,
                                            std::chrono::milliseconds silence) {
  return std::make_unique<ControlNode>(loop, std::move(socket_path), silence);
}

}  // namespace panal::broker

#include "runtime/node/control_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "runtime/control/control.h"
#include "runtime/control/message.h"

namespace panal::node {

using nlohmann::json;

class ControlServer::Peer final : public Caller, public std::enable_shared_from_this<Peer> {
 public:
  Peer(ControlServer& server, UniqueFd connection, uid_t uid)
      : server_(&server), descriptor_(server.loop_, std::move(connection)), uid_(uid) {}

  void wait() {
    descriptor_.wait(loop::Ready::kReadable, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->receive();
    });
  }

  [[nodiscard]] uid_t uid() const override { return uid_; }
  void progress(const std::string& text) override { send({{"progress", text}}, -1); }

  void answer(const json& body, UniqueFd descriptor) override {
    asking_ = false;
    json whole = body;
    whole["ok"] = true;
    send(whole, descriptor.get());
  }
  void refuse(int status, const std::string& sentence) override {
    asking_ = false;
    send({{"error", sentence}, {"status", status}}, -1);
  }

  /// The server has gone.
  void detach() {
    server_ = nullptr;
    descriptor_.close();
  }

 private:
  void send(const json& message, int descriptor) {
    if (server_ == nullptr) return;
    if (!control::send_message(descriptor_.fd(), message, descriptor)) close();
  }

  void receive() {
    if (server_ == nullptr) return;
    auto message = control::receive_message(descriptor_.fd());
    if (!message) {
      if (message.error().code == EAGAIN) return wait();
      if (message.error().code != ECONNRESET) refuse(400, message.error().context);
      return close();
    }
    if (asking_) {
      refuse(400, "one request at a time");
      return close();
    }
    asking_ = true;
    server_->handler_(shared_from_this(), message->body);
    if (server_ != nullptr) wait();
  }

  void close() {
    if (server_ == nullptr) return;
    ControlServer* const server = server_;
    detach();
    // Not at once: the caller may be one of our own methods.
    server->loop_.post([server, self = shared_from_this(), alive = server->alive_] {
      if (*alive) server->peers_.erase(self);
    });
  }

  ControlServer* server_;
  loop::Descriptor descriptor_;
  uid_t uid_;
  bool asking_ = false;
};

Result<std::unique_ptr<ControlServer>> ControlServer::open(loop::Loop& loop, Options options,
                                                           Handler handler, LoggerPtr log) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (options.path.size() >= sizeof address.sun_path)
    return fail(ENAMETOOLONG, "panald's socket " + options.path +
                                  " has too long a path; choose a shorter paths.run");
  std::memcpy(address.sun_path, options.path.c_str(), options.path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno("socket");
  if (::unlink(options.path.c_str()) != 0 && errno != ENOENT)
    return fail_errno("remove the old", options.path);
  // Nobody else until owner and mode are right.
  const mode_t former = ::umask(0177);
  const int bound =
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(former);
  if (bound != 0) return fail(error, "bind " + options.path);
  if (::chown(options.path.c_str(), 0, options.group) != 0)
    return fail_errno("chown", options.path);
  if (::chmod(options.path.c_str(), 0660) != 0) return fail_errno("chmod", options.path);
  if (::listen(socket.get(), 128) != 0) return fail_errno("listen", options.path);
  std::unique_ptr<ControlServer> server(new ControlServer(
      loop, std::move(options), std::move(handler), std::move(log), std::move(socket)));
  server->accept_soon();
  return server;
}

ControlServer::ControlServer(loop::Loop& loop, Options options, Handler handler, LoggerPtr log,
                             UniqueFd socket)
    : loop_(loop),
      options_(std::move(options)),
      handler_(std::move(handler)),
      log_(std::move(log)),
      listener_(loop, std::move(socket)),
      pause_(loop) {}

ControlServer::~ControlServer() {
  *alive_ = false;
  for (const auto& peer : peers_) peer->detach();
  ::unlink(options_.path.c_str());
}

void ControlServer::accept_soon() {
  listener_.wait(loop::Ready::kReadable, [this] { accept(); });
}

void ControlServer::accept() {
  UniqueFd connection(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (connection) {
    ucred peer{};
    socklen_t size = sizeof peer;
    const bool known = ::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
                       (peer.uid == 0 || options_.peers.count(peer.uid) > 0);
    if (!known || peers_.size() >= options_.most) {
      log_->warning("control_refused", {{"uid", std::to_string(peer.uid)},
                                        {"why", known ? "too many connections" : "not known"}});
    } else {
      auto made = std::make_shared<Peer>(*this, std::move(connection), peer.uid);
      peers_.insert(made);
      made->wait();
    }
  } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
    // Out of descriptors or memory: the caller still waits, so at once would be for ever.
    log_->warning("accept", {{"why", fail_errno("accept").value().message()}});
    return pause_.start(std::chrono::milliseconds(200), [this] { accept_soon(); });
  }
  accept_soon();
}

}  // namespace panal::node

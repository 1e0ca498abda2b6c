#include "runtime/broker/http_session.h"

#include "runtime/broker/auth/password.h"
#include "runtime/broker/connect_options.h"
#include "runtime/broker/desktop_list.h"
#include "runtime/broker/desktop_wait.h"
#include "runtime/broker/entry.h"
#include "runtime/broker/http/response.h"
#include "runtime/broker/http_channel.h"

namespace panal::broker {
namespace {

using http::Request;
using http::Response;
using http::text;

constexpr const char* kLoginRefused = "Login or password is wrong.";
constexpr const char* kNoSuchDesktop = "The requested desktop does not exist.";
constexpr std::string_view kKeyLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::size_t kSlaveKeyLetters = 64;

constexpr const char* kFrontPage =
    "This is a Panal broker: it serves Linux desktops over NX.\r\n\r\n"
    "Connect with Panal's client:   panal-client --host THIS_HOST --user LOGIN\r\n"
    "QVD's clients work as well: give them this host and port.\r\n";

Result<std::string> make_slave_key() {
  std::string out;
  while (out.size() < kSlaveKeyLetters) {
    PANAL_ASSIGN(const std::string random, auth::random_bytes(kSlaveKeyLetters));
    for (const char c : random) {
      // 62 letters out of 256 byte values: those past 4 x 62 would favour some.
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 248 && out.size() < kSlaveKeyLetters) out += kKeyLetters[byte % 62];
    }
  }
  return out;
}

class HttpSession final : public Connection, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(Services& services, std::string address)
      : services_(services), address_(std::move(address)) {}

  void start(std::unique_ptr<Stream> stream) {
    const auto self = shared_from_this();
    services_.registry.add(self);
    HttpChannel::Hooks hooks;
    hooks.request = [this](const Request& request) { handle(request); };
    hooks.malformed = [this](int status, const std::string& sentence) {
      Response response = text(status, sentence);
      response.close = true;
      answer(std::move(response));
    };
    hooks.hung_up = [this] {
      // Somebody who waits for a desktop is gone; a plain answer is still worth sending.
      if (connecting_) channel_->close();
    };
    hooks.closed = [this] { gone(); };
    channel_ = std::make_shared<HttpChannel>(services_, std::move(stream), std::move(hooks));
    channel_->start();
  }

  void close() override { channel_->close(); }

 private:
  void gone() {
    over_ = true;
    wait_.reset();
    node_.reset();
    // Later: this may be running inside one of its own functions.
    services_.loop.post([self = shared_from_this()] { self->services_.registry.remove(self); });
  }

  void answer(Response response) {
    if (over_) return;
    connecting_ = false;
    wait_.reset();
    node_.reset();
    if (!keep_) response.close = true;
    const bool keep = !response.close;
    const auto idle = authorization_.empty() ? services_.timing.idle : services_.timing.logged_in;
    channel_->finish(http::to_bytes(response, head_only_), keep, idle);
  }

  void refuse(const Refusal& refusal) { answer(text(refusal.status, refusal.sentence)); }

  void progress(const std::string& info) {
    if (!over_) channel_->send(http::progress_bytes(info));
  }

  void handle(const Request& request) {
    keep_ = request.keep_alive();
    head_only_ = request.method == "HEAD";
    if (request.method != "GET" && !head_only_) {
      Response response = text(405, "Only GET and HEAD are served here.");
      response.headers.emplace_back("Allow", "GET, HEAD");
      response.close = true;  // it may have a body, which would be read as the next request
      return answer(std::move(response));
    }
    const std::string& path = request.path;
    if (path == "/") return answer(text(200, kFrontPage));
    if (path == "/qvd/ping") return answer(text(200, "I am alive!"));
    if (path.starts_with(ArchiveDoor::kPrefix)) return send_image_file(request);
    using Handler = void (HttpSession::*)(const Request&);
    Handler handler = nullptr;
    if (path == "/qvd/list_of_vm") handler = &HttpSession::list;
    if (path == "/qvd/list_of_applications") handler = &HttpSession::list_applications;
    if (path == "/qvd/authenticate_user") handler = &HttpSession::authenticated;
    if (path == "/qvd/connect_to_vm") handler = &HttpSession::connect;
    if (path == "/qvd/stop_vm") handler = &HttpSession::stop;
    if (handler == nullptr) {
      return answer(text(404, "There is nothing at this path. GET / says what this is."));
    }
    if (head_only_) return answer(text(405, "This path is served to GET only."));
    log_in(request, [this, handler, request] { (this->*handler)(request); });
  }

  /// For a node that pulls an image.
  void send_image_file(const Request& request) {
    if (services_.archive == nullptr) return refuse({404, "No images are published here."});
    auto found = services_.archive->open(request);
    if (!found && found.error().status == 401) {
      Response response = text(401, found.error().sentence);
      response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"images\"");
      return answer(std::move(response));
    }
    if (!found) return refuse(found.error());
    const std::uint64_t bytes = head_only_ ? 0 : found->bytes;
    channel_->finish_with_file(http::file_head(found->bytes, !keep_), std::move(found->file), bytes,
                               keep_, services_.timing.idle);
  }

  // Authentication

  void log_in(const Request& request, std::function<void()> then) {
    const auto header = request.header("Authorization");
    if (!header) return unauthorized("Log in with login and password.");
    if (!authorization_.empty() && auth::equal_constant_time(authorization_, *header)) {
      return then();
    }
    authorization_.clear();
    const auto credentials = parse_authorization(*header);
    if (!credentials) {
      if (credentials.error().code == EPROTO) {
        return answer(text(400, "Bad request: " + credentials.error().context + "."));
      }
      return unauthorized("Login refused: " + credentials.error().context + ".");
    }
    services_.authenticator.check(
        *credentials, address_,
        [self = shared_from_this(), value = std::string(*header), then = std::move(then)](
            Authenticator::Outcome outcome, store::User user) {
          if (self->over_) return;
          switch (outcome) {
            case Authenticator::Outcome::kWelcome:
              self->authorization_ = value;
              self->user_ = std::move(user);
              return then();
            case Authenticator::Outcome::kRefused: return self->unauthorized(kLoginRefused);
            case Authenticator::Outcome::kBusy:
              return self->refuse({503, "Too many logins wait. Try again in a few seconds."});
            case Authenticator::Outcome::kTooMany:
              return self->refuse(
                  {429, "Too many attempts to log in. Wait a minute before the next."});
            case Authenticator::Outcome::kUnavailable:
              return self->refuse(store_refusal(Error{ENOTCONN, {}}));
          }
        });
  }

  void unauthorized(const std::string& sentence) {
    Response response = text(401, sentence);
    response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"QVD\"");
    answer(std::move(response));
  }

  [[nodiscard]] std::string user_name() const { return user_.login + "@" + user_.tenant; }

  // Requests

  void json(std::string body) {
    Response response;
    response.content_type = "application/json";
    response.body = std::move(body);
    answer(std::move(response));
  }

  void authenticated(const Request&) { json("{}\r\n"); }
  void list_applications(const Request&) { json("[]\r\n"); }

  void list(const Request&) {
    services_.directory.call<std::vector<store::Desktop>>(
        [tenant = user_.tenant, login = user_.login](store::Store& store) {
          return store.desktops_of(tenant, login);
        },
        [self = shared_from_this()](const Result<std::vector<store::Desktop>>& desktops) {
          if (self->over_) return;
          if (!desktops) return self->refuse(store_refusal(desktops.error()));
          self->json(list_body(*desktops));
        });
  }

  /// Goes on with the desktop if it is the user's; somebody else's does not exist for them.
  void own_desktop(DesktopId id, std::function<void(store::Desktop)> then) {
    services_.directory.call<store::Desktop>(
        [id](store::Store& store) { return store.desktop(id); },
        [self = shared_from_this(), then = std::move(then)](Result<store::Desktop> desktop) {
          if (self->over_) return;
          if (!desktop && !desktop.error().is_gone()) {
            return self->refuse(store_refusal(desktop.error()));
          }
          if (!desktop || desktop->login != self->user_.login ||
              desktop->tenant != self->user_.tenant) {
            return self->refuse({404, kNoSuchDesktop});
          }
          then(std::move(*desktop));
        });
  }

  void wait_for(store::Desktop desktop, store::Desired goal, std::function<void()> then) {
    DesktopWait::Hooks hooks;
    hooks.progress = [this](const std::string& info) { progress(info); };
    hooks.done = [this, then = std::move(then)](const Answer<void>& answer) {
      if (!answer) return refuse(answer.error());
      then();
    };
    wait_ = std::make_unique<DesktopWait>(services_, std::move(desktop), goal, user_name(),
                                          std::move(hooks));
    wait_->start();
  }

  void stop(const Request& request) {
    const auto query = http::parse_query(request.query);
    if (!query) return answer(text(400, "Bad request: " + query.error().context + "."));
    const auto id = read_id(*query);
    if (!id) return refuse(id.error());
    own_desktop(*id, [this](store::Desktop desktop) {
      wait_for(std::move(desktop), store::Desired::kStopped,
               [this] { answer(text(200, "Machine stopped")); });
    });
  }

  void connect(const Request& request) {
    const auto upgrade = request.header("Upgrade");
    if (!request.header_has("Connection", "Upgrade") || !upgrade || *upgrade != "QVD/1.0") {
      return refuse({426,
                     "This request needs the headers Connection: Upgrade and Upgrade: "
                     "QVD/1.0."});
    }
    const auto query = http::parse_query(request.query);
    if (!query) return answer(text(400, "Bad request: " + query.error().context + "."));
    const auto options = read_connect_query(*query);
    if (!options) return refuse(options.error());
    const std::string agent(request.header("User-Agent").value_or(""));
    own_desktop(options->desktop, [this, options = *options, agent](store::Desktop desktop) {
      connecting_ = true;
      Admission admission{desktop, user_name(), address_, printable(agent, 128), {}};
      wait_for(std::move(desktop), store::Desired::kRunning,
               [this, options, admission] { attach(options, admission); });
    });
  }

  void attach(const AttachRequest& options, const Admission& entered) {
    progress("Opening the session of desktop " + entered.desktop.name);
    if (over_) return;
    node_ = services_.node.begin();
    node_->attach(
        options, [this](const std::string& info) { progress(info); },
        [this, entered](const Answer<Attached>& attached) {
          if (!attached) {
            services_.log->warning("attach_failed",
                                   {{"desktop", std::to_string(entered.desktop.id)},
                                    {"reason", attached.error().sentence}});
            return refuse(attached.error());
          }
          Admission admission = entered;
          admission.attached = *attached;
          switch_protocols(admission);
        });
  }

  void switch_protocols(const Admission& admission) {
    const auto key = make_slave_key();
    if (!key) return refuse({500, "The broker has no random numbers."});
    services_.directory.audit(admission.user, "desktop.connect", admission.desktop.name,
                              "from " + address_);
    progress("Connection established");
    channel_->hand_over(
        http::switching_bytes(
            {{"X-QVD-Slave-Key", *key}, {"X-Panal-Cookie", admission.attached.cookie}}),
        [self = shared_from_this(), admission](std::unique_ptr<Stream> stream, std::string bytes) {
          enter(self->services_, std::move(stream), std::move(self->node_), admission,
                std::move(bytes));
          self->gone();
        });
  }

  Services& services_;
  const std::string address_;
  std::shared_ptr<HttpChannel> channel_;
  std::string authorization_;  ///< the header that was found right
  store::User user_;
  std::unique_ptr<DesktopWait> wait_;
  std::unique_ptr<NodeCall> node_;
  bool keep_ = true;
  bool head_only_ = false;
  bool connecting_ = false;
  bool over_ = false;
};

}  // namespace

void serve_http(Services& services, std::unique_ptr<Stream> stream, std::string address) {
  std::make_shared<HttpSession>(services, std::move(address))->start(std::move(stream));
}

}  // namespace panal::broker

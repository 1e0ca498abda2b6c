#include "runtime/client/session.h"

#include <poll.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "engine/base/run_child.h"
#include "runtime/client/nxproxy.h"
#include "runtime/client/pins.h"
#include "runtime/client/pump.h"

namespace panal::client {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::seconds kNxproxyStart{20};
/// For its last words, on a busy machine too.
constexpr std::chrono::seconds kNxproxyEnd{10};

/// What setxkbmap says of the running X server; empty where it is not there.
std::string query_keyboard() {
  auto said = run_child({.program = "setxkbmap", .argv = {"setxkbmap", "-query"}},
                        {.errors = ChildErrors::kNowhere});
  return said ? std::move(said->output) : std::string();
}

std::string end_of_session(PumpEnd end, const std::optional<ChildEnd>& ended,
                           const NxProxy& proxy) {
  if (ended && ended->by_signal)
    return "nxproxy died by signal " + std::to_string(ended->status) +
           " (it does so when the desktop refuses it): " + proxy.last_words();
  if (ended && ended->status != 0 && end == PumpEnd::kLocalClosed)
    return "nxproxy failed: " + proxy.last_words();
  return {};
}

}  // namespace

Result<std::pair<std::string, std::uint16_t>> parse_server(const std::string& text) {
  const auto bad = [&] {
    return fail(EINVAL, "\"" + text + "\" is not a server; say HOST or HOST:PORT");
  };
  std::string host = text;
  std::string port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string::npos) return bad();
    host = text.substr(1, close - 1);
    if (close + 1 < text.size()) {
      if (text[close + 1] != ':') return bad();
      port = text.substr(close + 2);
      if (port.empty()) return bad();
    }
  } else if (const std::size_t colon = text.find(':');
             colon != std::string::npos && text.find(':', colon + 1) == std::string::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.empty()) return bad();
  }
  std::uint16_t number = 8443;
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || end != port.data() + port.size() || number == 0) return bad();
  }
  if (host.empty() || host.find_first_of(" \t\r\n/@") != std::string::npos) return bad();
  return std::pair(host, number);
}

std::string keyboard_of_query(const std::string& output) {
  std::string model = "pc105";
  std::string layout = "us";
  const auto value_of = [&](const std::string& key) -> std::string {
    const std::size_t at = output.find(key + ":");
    if (at == std::string::npos || (at > 0 && output[at - 1] != '\n')) return {};
    const std::size_t begin = output.find_first_not_of(" \t", at + key.size() + 1);
    const std::size_t end = output.find_first_of("\n,", begin);
    if (begin == std::string::npos) return {};
    std::string value = output.substr(begin, end - begin);
    // Goes into a query the broker checks: letters, digits and -_+ only.
    const bool plain = value.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "0123456789-_+") == std::string::npos;
    return plain ? value : std::string();
  };
  if (const std::string found = value_of("model"); !found.empty()) model = found;
  if (const std::string found = value_of("layout"); !found.empty()) layout = found;
  return model + "/" + layout;
}

Outcome<Broker> open_broker(const Target& target, const Tell& tell, int stop_fd) {
  auto connection = TlsConnection::connect(target.host, target.port,
                                           {.ca_file = target.ca_file, .stop_fd = stop_fd});
  if (!connection) {
    const int code = connection.error().code;
    if (code == ECANCELED)
      return tl::make_unexpected(ClientError{Exit::kStopped, "stopped before the session began"});
    const bool certificate = code == EACCES || code == EINVAL;
    return tl::make_unexpected(ClientError{certificate ? Exit::kCertificate : Exit::kUnreachable,
                                           connection.error().message(), !certificate});
  }
  const std::string server = target.host + ":" + std::to_string(target.port);
  if (target.ca_file.empty()) {
    const Pins pins(target.pin_file);
    const std::string fingerprint = (*connection)->fingerprint();
    const auto refused = [](std::string sentence) {
      return tl::make_unexpected(ClientError{Exit::kCertificate, std::move(sentence)});
    };
    if (fingerprint.empty()) return refused("the server showed no certificate");
    const auto verdict = pins.check(server, fingerprint);
    if (!verdict) return refused(verdict.error().message());
    if (*verdict == PinVerdict::kChanged)
      return refused("the certificate of " + server +
                     " is not the one seen before: somebody may be in between, or it was renewed. "
                     "Ask the operator for its fingerprint (now sha256 " +
                     fingerprint + "); if it is right, delete the line of " + server + " in " +
                     pins.file());
    if (*verdict == PinVerdict::kNew) {
      tell("first contact with " + server + ", certificate sha256 " + fingerprint +
           "; remembered in " + pins.file());
      if (const auto added = pins.add(server, fingerprint); !added)
        return refused(added.error().message());
    }
  }
  Broker broker(std::move(*connection), server, target.login, target.password);
  broker.set_stop(stop_fd);
  return broker;
}

Outcome<void> run_session(Broker& broker, const ConnectOptions& options, int stop_fd,
                          const Tell& tell) {
  const auto failed = [](Exit exit, std::string sentence) {
    return tl::make_unexpected(ClientError{exit, std::move(sentence)});
  };
  std::optional<SteadyClock::time_point> linked;
  const auto broken = [&linked](std::string sentence) {
    const auto lasted = linked ? SteadyClock::now() - *linked : SteadyClock::duration::zero();
    return tl::make_unexpected(
        ClientError{Exit::kSession, std::move(sentence), true,
                    std::chrono::duration_cast<std::chrono::milliseconds>(lasted)});
  };
  auto desktops = broker.list();
  if (!desktops) return tl::make_unexpected(desktops.error());
  auto desktop = choose(*desktops, options.desktop);
  if (!desktop) return tl::make_unexpected(desktop.error());

  std::vector<std::pair<std::string, std::string>> parameters = {
      {"qvd.client.os", "linux"},
      {"qvd.client.link", options.link},
      {"qvd.client.fullscreen", options.fullscreen ? "1" : "0"},
      {"qvd.client.keyboard",
       options.keyboard.empty() ? keyboard_of_query(query_keyboard()) : options.keyboard}};
  if (!options.geometry.empty()) parameters.emplace_back("qvd.client.geometry", options.geometry);
  auto tunnel = broker.connect(desktop->id, parameters, tell);
  if (!tunnel) return tl::make_unexpected(tunnel.error());

  auto proxy = NxProxy::start({.program = options.nxproxy,
                               .cookie = options.send_cookie ? tunnel->cookie : std::string(),
                               .link = options.link},
                              kNxproxyStart);
  if (!proxy) return failed(Exit::kSession, proxy.error().message());
  tell("connected to " + desktop->name);
  linked = SteadyClock::now();
  const auto end = pump(broker.connection(), proxy->stream(), tunnel->early, stop_fd);
  proxy->close_stream();
  if (!end) return broken("the session broke off: " + end.error().message());
  if (*end == PumpEnd::kStopped) return {};
  // nxproxy's own end only follows from it.
  if (*end == PumpEnd::kServerRefused)
    return broken("the desktop's session did not take the connection");
  const auto ended = proxy->wait(kNxproxyEnd);
  if (std::string words = end_of_session(*end, ended, *proxy); !words.empty())
    return broken(std::move(words));
  if (*end == PumpEnd::kServerLost) return broken("the connection to the server was lost");
  if (proxy->peer_broke()) return broken("the desktop's session broke off");
  tell(*end == PumpEnd::kServerClosed
           ? "the server ended the session (stopped, suspended, or taken over)"
           : "session ended");
  return {};
}

Outcome<void> run_with_retries(const Target& target, const ConnectOptions& options, int retries,
                               int stop_fd, const Tell& tell) {
  if (const char* display = std::getenv("DISPLAY"); display == nullptr || *display == '\0') {
    return tl::make_unexpected(
        ClientError{Exit::kUsage, "DISPLAY is not set: start this inside a graphical session"});
  }
  constexpr int kFirstPauseMs = 1000, kLongestPauseMs = 30'000;
  int left = retries;
  for (int pause_ms = kFirstPauseMs;; pause_ms = std::min(2 * pause_ms, kLongestPauseMs)) {
    Outcome<void> ended;
    if (auto broker = open_broker(target, tell, stop_fd); broker) {
      ended = run_session(*broker, options, stop_fd, tell);
    } else {
      ended = tl::make_unexpected(broker.error());
    }
    if (ended || !ended.error().passing) return ended;
    if (ended.error().lasted >= options.good && ended.error().exit == Exit::kSession) {
      left = retries;
      pause_ms = kFirstPauseMs;
    }
    if (left-- <= 0) return ended;
    tell(ended.error().sentence + "; trying again in " + std::to_string(pause_ms / 1000) + " s");
    pollfd stop{stop_fd, POLLIN, 0};
    if (::poll(&stop, 1, pause_ms) > 0) return ended;
  }
}

}  // namespace panal::client

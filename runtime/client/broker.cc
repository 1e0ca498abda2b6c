#include "runtime/client/broker.h"

#include <poll.h>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"

namespace panal::client {
namespace {

/// The broker sends a 102 every few seconds while a desktop starts; longer silence is a dead link.
constexpr int kSilenceMs = 60'000;

ClientError unreachable(const Error& error) {
  if (error.code == ECANCELED) return {Exit::kStopped, "stopped before the session began"};
  return {Exit::kUnreachable, error.message(), true};
}

std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return printable(text, 600);
}

}  // namespace

Result<void> Broker::wait_ready(Io state) {
  const short events = state == Io::kWantWrite ? POLLOUT : POLLIN;
  pollfd entries[] = {{connection_->fd(), events, 0}, {stop_fd_, POLLIN, 0}};
  const int ready = ::poll(entries, 2, kSilenceMs);
  if (ready < 0 && errno != EINTR) return fail_errno("poll");
  if (ready == 0) return fail(ETIMEDOUT, "the server does not answer");
  if (ready > 0 && entries[1].revents != 0) return fail(ECANCELED, "wait for the server");
  return {};
}

Result<void> Broker::send(const std::string& text) {
  std::size_t sent = 0;
  while (sent < text.size()) {
    PANAL_ASSIGN(const Transfer put,
                 connection_->write(std::span(text.data() + sent, text.size() - sent)));
    if (put.state == Io::kClosed) return fail(ECONNRESET, "the server closed the connection");
    if (put.state == Io::kDone)
      sent += put.bytes;
    else
      PANAL_TRY(wait_ready(put.state));
  }
  return {};
}

Result<void> Broker::fill() {
  char bytes[16384];
  for (;;) {
    PANAL_ASSIGN(const Transfer got, connection_->read(bytes));
    if (got.state == Io::kClosed) return fail(ECONNRESET, "the server closed the connection");
    if (got.state == Io::kDone) {
      buffer_.append(bytes, got.bytes);
      return {};
    }
    PANAL_TRY(wait_ready(got.state));
  }
}

Result<ResponseHead> Broker::read_head() {
  for (;;) {
    PANAL_ASSIGN(auto head, take_head(buffer_));
    if (head) return std::move(*head);
    PANAL_TRY(fill());
  }
}

Result<std::string> Broker::read_body(const ResponseHead& head) {
  PANAL_ASSIGN(const std::size_t length, body_length(head));
  while (buffer_.size() < length) PANAL_TRY(fill());
  std::string body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return body;
}

ClientError Broker::refusal(const ResponseHead& head) {
  const auto body = read_body(head);
  const std::string words = body ? one_line(*body) : printable(head.reason);
  switch (head.status) {
    case 401: return {Exit::kLogin, "the server refused the login: wrong user or password"};
    case 403:
    case 404:
    case 409: return {Exit::kRefused, words};
    case 426: return {Exit::kRefused, "the server wants a newer client: " + words};
    case 503: return {Exit::kRefused, "not available now: " + words, true};
    default:
      return {Exit::kRefused, "the server answered " + std::to_string(head.status) + ": " + words};
  }
}

Outcome<ResponseHead> Broker::ask(const std::string& target,
                                  const std::vector<std::pair<std::string, std::string>>& extra,
                                  const Progress& progress) {
  if (auto sent = send(render_get(target, host_, login_, password_, extra)); !sent)
    return tl::make_unexpected(unreachable(sent.error()));
  for (;;) {
    auto head = read_head();
    if (!head) return tl::make_unexpected(unreachable(head.error()));
    if (head->status != 102) return std::move(*head);
    if (const auto text = head->header("X-QVD-VM-Info"); text && progress)
      progress(printable(*text, 200));
  }
}

Outcome<std::vector<Listed>> Broker::list() {
  auto head = ask("/qvd/list_of_vm", {{"Accept", "application/json"}}, {});
  if (!head) return tl::make_unexpected(head.error());
  if (head->status != 200) return tl::make_unexpected(refusal(*head));
  auto body = read_body(*head);
  if (!body) return tl::make_unexpected(unreachable(body.error()));
  auto desktops = parse_list(*body);
  if (!desktops) return tl::make_unexpected(unreachable(desktops.error()));
  return std::move(*desktops);
}

Outcome<Tunnel> Broker::connect(std::int64_t desktop,
                                const std::vector<std::pair<std::string, std::string>>& parameters,
                                const Progress& progress) {
  std::string target = "/qvd/connect_to_vm?id=" + std::to_string(desktop);
  for (const auto& [name, value] : parameters)
    target += "&" + url_encode(name) + "=" + url_encode(value);
  auto head = ask(target, {{"Connection", "Upgrade"}, {"Upgrade", "QVD/1.0"}}, progress);
  if (!head) return tl::make_unexpected(head.error());
  if (head->status != 101) return tl::make_unexpected(refusal(*head));
  Tunnel tunnel;
  tunnel.cookie = head->header("X-Panal-Cookie").value_or("");
  if (tunnel.cookie.find_first_not_of("0123456789abcdef") != std::string::npos)
    return tl::make_unexpected(ClientError{Exit::kUnreachable, "the server sent a bad cookie"});
  tunnel.early = std::exchange(buffer_, {});
  return tunnel;
}

Outcome<void> Broker::stop(std::int64_t desktop, const Progress& progress) {
  auto head = ask("/qvd/stop_vm?id=" + std::to_string(desktop), {}, progress);
  if (!head) return tl::make_unexpected(head.error());
  if (head->status != 200) return tl::make_unexpected(refusal(*head));
  (void)read_body(*head);  // only a courtesy text
  return {};
}

Outcome<Listed> choose(const std::vector<Listed>& desktops, const std::string& wanted) {
  if (wanted.empty() && desktops.size() == 1) return desktops.front();
  std::string names;
  for (const auto& desktop : desktops) {
    if (!wanted.empty() && (desktop.name == wanted || std::to_string(desktop.id) == wanted))
      return desktop;
    names += (names.empty() ? "" : ", ") + desktop.name;
  }
  if (desktops.empty())
    return tl::make_unexpected(ClientError{Exit::kRefused, "you have no desktop on this server"});
  const std::string said = wanted.empty()
                               ? "say which desktop"
                               : "you have no desktop \"" + printable(wanted, 100) + "\"";
  return tl::make_unexpected(ClientError{Exit::kRefused, said + "; yours are: " + names});
}

Result<std::vector<Listed>> parse_list(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_array()) return fail(EPROTO, "the server's list is not a list");
  std::vector<Listed> out;
  for (const auto& element : json) {
    if (!element.is_object() || !element.contains("id") || !element["id"].is_number_integer())
      return fail(EPROTO, "the server's list has an element without a number");
    const auto text = [&](const char* key) {
      const auto found = element.find(key);
      return found != element.end() && found->is_string()
                 ? printable(found->get<std::string>(), 200)
                 : std::string();
    };
    const auto blocked = element.find("blocked");
    out.push_back({element["id"].get<std::int64_t>(), text("name"), text("state"),
                   blocked != element.end() && blocked->is_number() && *blocked != 0});
  }
  return out;
}

}  // namespace panal::client

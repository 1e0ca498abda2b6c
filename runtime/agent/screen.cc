#include "runtime/agent/screen.h"

#include "runtime/agent/agent_log.h"

namespace panal::agent {
namespace {
constexpr std::chrono::milliseconds kPatience{800};
}  // namespace

void Screen::configure(std::string socket, std::string cookie_bytes) {
  socket_ = std::move(socket);
  cookie_ = std::move(cookie_bytes);
}

Result<void> Screen::ensure() {
  if (client_) return {};
  PANAL_ASSIGN(auto client, x11::Client::connect(socket_, cookie_, kPatience));
  client_.emplace(std::move(client));
  return {};
}

std::optional<std::uint32_t> Screen::idle_ms() {
  const auto ready = ensure();
  if (ready) {
    const auto idle = client_->idle_ms(kPatience);
    if (idle) return *idle;
    log_line("x_query_failed", {{"reason", idle.error().message()}});
  }
  // An answer that comes late would be taken for the next one's.
  forget();
  return std::nullopt;
}

bool Screen::watch_for_input(std::chrono::milliseconds idle) {
  if (!ensure()) return false;
  const auto watching = client_->watch_for_input(idle, kPatience);
  // Late answers again; a server that merely lacks it has answered.
  if (!watching && watching.error().code != ENOTSUP && watching.error().code != EAGAIN) forget();
  return watching.has_value();
}

bool Screen::read_event() {
  const auto input = client_ ? client_->read_event(kPatience) : false;
  if (!input) forget();
  return input && *input;
}

std::optional<int> Screen::visible_windows() {
  if (ensure()) {
    const auto windows = client_->visible_windows(kPatience);
    if (windows) return *windows;
  }
  forget();
  return std::nullopt;
}

Result<void> Screen::adjust(Size size) {
  PANAL_TRY(ensure());
  const auto area = client_->root_size(kPatience);
  if (!area) {
    forget();
    return tl::make_unexpected(area.error());
  }
  if (area->width == size.width && area->height == size.height) return {};
  auto done = client_->resize_root({.width = static_cast<std::uint16_t>(size.width),
                                    .height = static_cast<std::uint16_t>(size.height)},
                                   kPatience);
  if (!done) forget();
  return done;
}

}  // namespace panal::agent

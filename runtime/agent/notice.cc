#include "runtime/agent/notice.h"

#include <algorithm>
#include <chrono>

#include "runtime/agent/agent_log.h"

namespace panal::agent {
namespace {

constexpr std::chrono::milliseconds kNoticePatience{800};
// The font `fixed` of every X server: 6 by 13, 11 of them above the line.
constexpr const char* kFont = "fixed";
constexpr unsigned kColumn = 6, kLine = 16, kAscent = 11, kMargin = 12, kBorder = 2;
constexpr std::size_t kColumns = 60, kMostLines = 10;
// Of our own connection.
constexpr std::uint32_t kWindow = 1, kFontId = 2, kPen = 3;

}  // namespace

std::vector<std::string> wrap_text(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  const auto end_line = [&] {
    if (!line.empty()) lines.push_back(std::move(line));
    line.clear();
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    std::string word(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    for (char& c : word)
      if (c < 0x20 || c > 0x7e) c = '?';
    if (!line.empty() && line.size() + 1 + word.size() > columns) end_line();
    while (word.size() > columns) {
      lines.push_back(word.substr(0, columns));
      word.erase(0, columns);
    }
    if (word.empty()) continue;
    if (!line.empty()) line += ' ';
    line += word;
  }
  end_line();
  return lines;
}

Result<void> Notice::show(const std::string& socket, std::string_view cookie_bytes,
                          std::string_view text) {
  close();
  lines_ = wrap_text(text, kColumns);
  if (lines_.size() > kMostLines) lines_.resize(kMostLines);
  if (lines_.empty()) return {};
  PANAL_ASSIGN(x11::Client client, x11::Client::connect(socket, cookie_bytes, kNoticePatience));
  const x11::Setup& screen = client.setup();
  std::size_t longest = 0;
  for (const std::string& line : lines_) longest = std::max(longest, line.size());
  x11::NewWindow window;
  window.id = client.id(kWindow);
  window.parent = screen.root;
  window.width = static_cast<std::uint16_t>(longest * kColumn + 2 * kMargin);
  window.height = static_cast<std::uint16_t>(lines_.size() * kLine + 2 * kMargin);
  window.x = screen.width > window.width
                 ? static_cast<std::uint16_t>((screen.width - window.width) / 2)
                 : std::uint16_t{0};
  window.y = kMargin;
  window.border = kBorder;
  window.background = screen.white;
  window.border_colour = screen.black;
  window.events = x11::kExposure | x11::kButtonPress;
  PANAL_TRY(client.send(x11::create_window(window)));
  PANAL_TRY(client.send(x11::open_font(client.id(kFontId), kFont)));
  PANAL_TRY(client.send(x11::create_gc({.id = client.id(kPen),
                                        .drawable = window.id,
                                        .foreground = screen.black,
                                        .background = screen.white,
                                        .font = client.id(kFontId)})));
  PANAL_TRY(client.send(x11::map_window(window.id)));
  // Only to see an error, if there is one: none of these has a reply.
  PANAL_TRY(client.send(x11::get_geometry(screen.root)));
  for (;;) {
    PANAL_ASSIGN(const std::string message, client.receive(kNoticePatience));
    if (message[0] == 0)
      return fail(EPROTO, "X server answers error " + std::to_string(message[1] & 0xff));
    if (message[0] == 1) break;
  }
  client_.emplace(std::move(client));
  // The event that asks for it may have been among what was passed over.
  return draw();
}

Result<void> Notice::draw() const {
  for (std::size_t i = 0; i < lines_.size(); ++i)
    PANAL_TRY(client_->send(x11::image_text(client_->id(kWindow), client_->id(kPen), kMargin,
                                            static_cast<unsigned>(kMargin + i * kLine + kAscent),
                                            lines_[i])));
  return {};
}

void Notice::read_event() {
  if (!client_) return;
  const auto message = client_->receive(kNoticePatience);
  // An error too: what is not drawn right is better not there.
  if (!message || (*message)[0] == 0 || x11::is_button_press(*message)) return close();
  if (!x11::is_expose(*message)) return;
  if (const auto drawn = draw(); !drawn) {
    log_line("notice_failed", {{"reason", drawn.error().message()}});
    close();
  }
}

}  // namespace panal::agent

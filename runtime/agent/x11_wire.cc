#include "runtime/agent/x11_wire.h"

#include <bit>
#include <cstring>

namespace panal::agent::x11 {
namespace {

constexpr std::uint8_t kReply = 1;
constexpr std::uint8_t kMapRequest = 20;
constexpr std::uint8_t kConfigureRequest = 23;

class Out {
 public:
  Out& u8(unsigned value) {
    bytes_.push_back(static_cast<char>(value));
    return *this;
  }
  Out& u16(unsigned value) { return raw(static_cast<std::uint16_t>(value)); }
  Out& u32(std::uint32_t value) { return raw(value); }
  Out& text(std::string_view value) {
    bytes_.append(value);
    return *this;
  }
  Out& pad() {
    bytes_.resize((bytes_.size() + 3) / 4 * 4, '\0');
    return *this;
  }
  /// A request's length, in words, is its second 16-bit number.
  std::string request() {
    pad();
    const auto words = static_cast<std::uint16_t>(bytes_.size() / 4);
    std::memcpy(bytes_.data() + 2, &words, sizeof(words));
    return std::move(bytes_);
  }
  std::string plain() { return std::move(bytes_); }

 private:
  template <typename T>
  Out& raw(T value) {
    char buffer[sizeof(T)];
    std::memcpy(buffer, &value, sizeof(T));
    bytes_.append(buffer, sizeof(T));
    return *this;
  }
  std::string bytes_;
};

template <typename T>
T at(std::string_view bytes, std::size_t offset) {
  T value{};
  if (offset + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

Out request(unsigned opcode, unsigned data = 0) {
  Out out;
  out.u8(opcode).u8(data).u16(0);
  return out;
}

Result<void> check_reply(std::string_view reply, std::size_t least, std::string_view what) {
  if (reply.size() < least || at<std::uint8_t>(reply, 0) != kReply) {
    return fail(EPROTO, "X server's answer to " + std::string(what) + " is cut or no reply");
  }
  return {};
}

}  // namespace

std::string setup_request(std::string_view cookie_bytes) {
  constexpr std::string_view kName = "MIT-MAGIC-COOKIE-1";
  Out out;
  out.u8(std::endian::native == std::endian::little ? 'l' : 'B').u8(0).u16(11).u16(0);
  out.u16(kName.size()).u16(static_cast<unsigned>(cookie_bytes.size())).u16(0);
  out.text(kName).pad().text(cookie_bytes).pad();
  return out.plain();
}

Result<std::size_t> parse_setup_head(std::string_view head) {
  if (head.size() < 8) return fail(EPROTO, "X server's set-up reply is cut");
  if (head[0] != 1) return fail(EACCES, "X server refuses the connection");
  return std::size_t{at<std::uint16_t>(head, 6)} * 4;
}

Result<Setup> parse_setup(std::string_view body) {
  // Fixed part 32 bytes, the vendor's name, 8 bytes a pixmap format, then the first screen.
  const std::size_t vendor = (std::size_t{at<std::uint16_t>(body, 16)} + 3) / 4 * 4;
  const std::size_t formats = std::size_t{at<std::uint8_t>(body, 21)} * 8;
  const std::size_t screen = 32 + vendor + formats;
  if (body.size() < 32 || at<std::uint8_t>(body, 20) < 1 || body.size() < screen + 40) {
    return fail(EPROTO, "X server's set-up reply has no screen");
  }
  return Setup{.id_base = at<std::uint32_t>(body, 4),
               .root = at<std::uint32_t>(body, screen),
               .width = at<std::uint16_t>(body, screen + 20),
               .height = at<std::uint16_t>(body, screen + 22),
               .white = at<std::uint32_t>(body, screen + 8),
               .black = at<std::uint32_t>(body, screen + 12)};
}

std::string query_extension(std::string_view name) {
  return request(98).u16(static_cast<unsigned>(name.size())).u16(0).text(name).request();
}

Result<Extension> parse_query_extension(std::string_view reply) {
  PANAL_TRY(check_reply(reply, kReplyBytes, "QueryExtension"));
  if (at<std::uint8_t>(reply, 8) == 0) return Extension{};
  return Extension{.opcode = at<std::uint8_t>(reply, 9),
                   .first_event = at<std::uint8_t>(reply, 10)};
}

std::string screen_saver_query(std::uint8_t opcode, std::uint32_t root) {
  return request(opcode, 1).u32(root).request();
}

Result<std::uint32_t> parse_idle(std::string_view reply) {
  PANAL_TRY(check_reply(reply, kReplyBytes, "ScreenSaverQueryInfo"));
  return at<std::uint32_t>(reply, 16);
}

std::string sync_initialize(std::uint8_t opcode) {
  return request(opcode, 0).u8(3).u8(0).request();
}

std::string sync_list_counters(std::uint8_t opcode) { return request(opcode, 1).request(); }

Result<std::uint32_t> parse_system_counter(std::string_view reply, std::string_view name) {
  PANAL_TRY(check_reply(reply, kReplyBytes, "ListSystemCounters"));
  // Each: id, resolution of 64 bits, the name's length and the name, padded.
  constexpr std::size_t kHead = 14;
  std::size_t place = kReplyBytes;
  for (std::uint32_t left = at<std::uint32_t>(reply, 8); left > 0; --left) {
    if (reply.size() < place + kHead) return fail(EPROTO, "X server's ListSystemCounters is cut");
    const std::size_t length = at<std::uint16_t>(reply, place + 12);
    if (reply.size() < place + kHead + length)
      return fail(EPROTO, "X server's ListSystemCounters is cut");
    if (reply.substr(place + kHead, length) == name) return at<std::uint32_t>(reply, place);
    place += (kHead + length + 3) / 4 * 4;
  }
  return std::uint32_t{0};
}

std::string sync_alarm_when_at_most(std::uint8_t opcode, std::uint32_t id, std::uint32_t counter,
                                    std::uint32_t value) {
  constexpr std::uint32_t kAllOfIt = 0x3f;  // counter, kind, value, test, delta, events
  constexpr std::uint32_t kAbsolute = 0, kNegativeComparison = 3;
  return request(opcode, 8)
      .u32(id)
      .u32(kAllOfIt)
      .u32(counter)
      .u32(kAbsolute)
      .u32(0)
      .u32(value)
      .u32(kNegativeComparison)
      .u32(0)
      .u32(0)
      .u32(1)
      .request();
}

std::string sync_destroy_alarm(std::uint8_t opcode, std::uint32_t id) {
  return request(opcode, 11).u32(id).request();
}

bool is_alarm(std::string_view event, std::uint8_t first_event) {
  constexpr unsigned kAlarmNotify = 1;
  return event.size() >= kReplyBytes &&
         (at<std::uint8_t>(event, 0) & 0x7fU) == first_event + kAlarmNotify;
}

std::string get_geometry(std::uint32_t drawable) { return request(14).u32(drawable).request(); }

Result<Area> parse_geometry_reply(std::string_view reply) {
  PANAL_TRY(check_reply(reply, 24, "GetGeometry"));
  return Area{.width = at<std::uint16_t>(reply, 16), .height = at<std::uint16_t>(reply, 18)};
}

std::string get_image(std::uint32_t window, unsigned y, Area area) {
  constexpr unsigned kZPixmap = 2;
  return request(73, kZPixmap)
      .u32(window)
      .u16(0)
      .u16(y)
      .u16(area.width)
      .u16(area.height)
      .u32(0xffffffffU)
      .request();
}

Result<std::string_view> parse_image(std::string_view reply, Area area) {
  PANAL_TRY(check_reply(reply, kReplyBytes, "GetImage"));
  const std::size_t bytes = std::size_t{area.width} * area.height * 4;
  const auto depth = at<std::uint8_t>(reply, 1);
  if ((depth != 24 && depth != 32) || reply.size() != kReplyBytes + bytes) {
    return fail(EPROTO, "X server's picture has not four bytes a pixel");
  }
  return reply.substr(kReplyBytes);
}

std::string warp_pointer(std::uint32_t window, unsigned x, unsigned y) {
  // From wherever it is: no source window.
  return request(41).u32(0).u32(window).u32(0).u32(0).u16(x).u16(y).request();
}

std::string query_tree(std::uint32_t window) { return request(15).u32(window).request(); }

Result<std::vector<std::uint32_t>> parse_tree(std::string_view reply) {
  PANAL_TRY(check_reply(reply, kReplyBytes, "QueryTree"));
  const std::size_t count = at<std::uint16_t>(reply, 16);
  if (reply.size() < kReplyBytes + count * 4) return fail(EPROTO, "X server's QueryTree is cut");
  std::vector<std::uint32_t> children(count);
  for (std::size_t i = 0; i < count; ++i) {
    children[i] = at<std::uint32_t>(reply, kReplyBytes + i * 4);
  }
  return children;
}

std::string get_attributes(std::uint32_t window) { return request(3).u32(window).request(); }

Result<bool> parse_viewable(std::string_view reply) {
  PANAL_TRY(check_reply(reply, 44, "GetWindowAttributes"));
  return at<std::uint8_t>(reply, 26) == 2;
}

std::string randr_version(std::uint8_t opcode) {
  return request(opcode, 0).u32(1).u32(2).request();
}

std::string randr_resources(std::uint8_t opcode, std::uint32_t root) {
  return request(opcode, 8).u32(root).request();
}

Result<Resources> parse_resources(std::string_view reply) {
  PANAL_TRY(check_reply(reply, kReplyBytes, "RRGetScreenResources"));
  const std::size_t count = at<std::uint16_t>(reply, 16);
  if (reply.size() < kReplyBytes + count * 4) {
    return fail(EPROTO, "X server's RRGetScreenResources is cut");
  }
  Resources resources{.config_timestamp = at<std::uint32_t>(reply, 12), .crtcs = {}};
  for (std::size_t i = 0; i < count; ++i) {
    resources.crtcs.push_back(at<std::uint32_t>(reply, kReplyBytes + i * 4));
  }
  return resources;
}

std::string randr_disable_crtc(std::uint8_t opcode, std::uint32_t crtc,
                               std::uint32_t config_timestamp) {
  // CurrentTime, place 0,0, mode None, rotation 0 degrees, no outputs.
  return request(opcode, 21)
      .u32(crtc)
      .u32(0)
      .u32(config_timestamp)
      .u16(0)
      .u16(0)
      .u32(0)
      .u16(1)
      .u16(0)
      .request();
}

std::string randr_set_size(std::uint8_t opcode, std::uint32_t root, Area area) {
  // Millimetres for 96 dots an inch, which is what toolkits assume.
  const auto millimetres = [](std::uint16_t dots) { return std::uint32_t{dots} * 254 / 960; };
  return request(opcode, 7)
      .u32(root)
      .u16(area.width)
      .u16(area.height)
      .u32(millimetres(area.width))
      .u32(millimetres(area.height))
      .request();
}

std::string select_input(std::uint32_t window, std::uint32_t event_mask) {
  return request(2).u32(window).u32(1U << 11U).u32(event_mask).request();
}

std::string map_window(std::uint32_t window) { return request(8).u32(window).request(); }

std::string create_window(const NewWindow& window) {
  constexpr std::uint32_t kBackground = 1U << 1U, kBorderColour = 1U << 3U,
                          kOverrideRedirect = 1U << 9U, kEvents = 1U << 11U;
  constexpr unsigned kInputOutput = 1;
  // Depth and visual as the parent's.
  return request(1)
      .u32(window.id)
      .u32(window.parent)
      .u16(window.x)
      .u16(window.y)
      .u16(window.width)
      .u16(window.height)
      .u16(window.border)
      .u16(kInputOutput)
      .u32(0)
      .u32(kBackground | kBorderColour | kOverrideRedirect | kEvents)
      .u32(window.background)
      .u32(window.border_colour)
      .u32(1)
      .u32(window.events)
      .request();
}

std::string open_font(std::uint32_t id, std::string_view name) {
  return request(45).u32(id).u16(static_cast<unsigned>(name.size())).u16(0).text(name).request();
}

std::string create_gc(const NewPen& pen) {
  constexpr std::uint32_t kForeground = 1U << 2U, kBackground = 1U << 3U, kFont = 1U << 14U;
  return request(55)
      .u32(pen.id)
      .u32(pen.drawable)
      .u32(kForeground | kBackground | kFont)
      .u32(pen.foreground)
      .u32(pen.background)
      .u32(pen.font)
      .request();
}

std::string image_text(std::uint32_t drawable, std::uint32_t gc, unsigned x, unsigned y,
                       std::string_view text) {
  text = text.substr(0, 255);
  return request(76, static_cast<unsigned>(text.size()))
      .u32(drawable)
      .u32(gc)
      .u16(x)
      .u16(y)
      .text(text)
      .request();
}

bool is_expose(std::string_view event) {
  return event.size() >= kReplyBytes && (at<std::uint8_t>(event, 0) & 0x7fU) == 12;
}

bool is_button_press(std::string_view event) {
  return event.size() >= kReplyBytes && (at<std::uint8_t>(event, 0) & 0x7fU) == 4;
}

std::string configure_window(const Configure& configure) {
  Out out = request(12);
  const unsigned mask = configure.mask & 0x1fU;
  out.u32(configure.window).u16(mask).u16(0);
  const std::uint32_t values[] = {static_cast<std::uint32_t>(std::int32_t{configure.x}),
                                  static_cast<std::uint32_t>(std::int32_t{configure.y}),
                                  configure.width, configure.height, configure.border};
  for (unsigned bit = 0; bit < 5; ++bit) {
    if ((mask >> bit) & 1U) out.u32(values[bit]);
  }
  return out.request();
}

Result<std::size_t> body_bytes(std::string_view head) {
  if (head.size() < kReplyBytes) return fail(EPROTO, "X server's message is cut");
  if (at<std::uint8_t>(head, 0) != kReply) return std::size_t{0};
  const std::size_t bytes = std::size_t{at<std::uint32_t>(head, 4)} * 4;
  if (bytes > kMostReplyBytes) return fail(EPROTO, "X server's reply is too long");
  return bytes;
}

std::optional<std::uint32_t> as_map_request(std::string_view event) {
  if (event.size() < kReplyBytes || (at<std::uint8_t>(event, 0) & 0x7fU) != kMapRequest) return {};
  return at<std::uint32_t>(event, 8);
}

std::optional<Configure> as_configure_request(std::string_view event) {
  if (event.size() < kReplyBytes || (at<std::uint8_t>(event, 0) & 0x7fU) != kConfigureRequest) {
    return {};
  }
  return Configure{.window = at<std::uint32_t>(event, 8),
                   .mask = at<std::uint16_t>(event, 26),
                   .x = at<std::int16_t>(event, 16),
                   .y = at<std::int16_t>(event, 18),
                   .width = at<std::uint16_t>(event, 20),
                   .height = at<std::uint16_t>(event, 22),
                   .border = at<std::uint16_t>(event, 24)};
}

}  // namespace panal::agent::x11

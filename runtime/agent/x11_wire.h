#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::agent::x11 {

/// The few X11 messages Panal needs, as bytes in the machine's byte order (X Window System
/// Protocol, X.Org; MIT-SCREEN-SAVER 1.0; RandR 1.2; SYNC 3.0). The server is the desktop's:
/// hostile. All parse_* fail with EPROTO.

inline constexpr std::size_t kReplyBytes = 32;  ///< errors, events and the fixed part of replies
/// Longest reply that is read; the tree of a root window with 16,000 children.
inline constexpr std::size_t kMostReplyBytes = 64 << 10;

[[nodiscard]] std::string setup_request(std::string_view cookie_bytes);

struct Setup {
  std::uint32_t id_base = 0;  ///< of the ids that the client may give
  std::uint32_t root = 0;
  std::uint16_t width = 0;
  std::uint16_t height = 0;
  std::uint32_t white = 0;  ///< pixel values
  std::uint32_t black = 0;
};
/// How many bytes follow the 8 of a set-up reply's head. EACCES when the server refuses.
[[nodiscard]] Result<std::size_t> parse_setup_head(std::string_view head);
/// `body`: what follows the head.
[[nodiscard]] Result<Setup> parse_setup(std::string_view body);

[[nodiscard]] std::string query_extension(std::string_view name);
struct Extension {
  std::uint8_t opcode = 0;  ///< 0: not there
  std::uint8_t first_event = 0;
};
[[nodiscard]] Result<Extension> parse_query_extension(std::string_view reply);

[[nodiscard]] std::string screen_saver_query(std::uint8_t opcode, std::uint32_t root);
/// Milliseconds since the last input.
[[nodiscard]] Result<std::uint32_t> parse_idle(std::string_view reply);

[[nodiscard]] std::string sync_initialize(std::uint8_t opcode);
[[nodiscard]] std::string sync_list_counters(std::uint8_t opcode);
/// The id of the system counter of this name; 0: not there.
[[nodiscard]] Result<std::uint32_t> parse_system_counter(std::string_view reply,
                                                         std::string_view name);
/// One event once the counter is `value` or less. (Each time it falls so far would be a
/// NegativeTransition, which X.Org forgot to look for before xserver 1.10, and nxagent still does.)
[[nodiscard]] std::string sync_alarm_when_at_most(std::uint8_t opcode, std::uint32_t id,
                                                  std::uint32_t counter, std::uint32_t value);
[[nodiscard]] std::string sync_destroy_alarm(std::uint8_t opcode, std::uint32_t id);
/// The AlarmNotify of SYNC, whose first event is `first_event`.
[[nodiscard]] bool is_alarm(std::string_view event, std::uint8_t first_event);

[[nodiscard]] std::string get_geometry(std::uint32_t drawable);
struct Area {
  std::uint16_t width = 0;
  std::uint16_t height = 0;
};
[[nodiscard]] Result<Area> parse_geometry_reply(std::string_view reply);

/// An area of a window as it is on the screen: ZPixmap, all planes.
[[nodiscard]] std::string get_image(std::uint32_t window, unsigned y, Area area);
/// The pixels of such an area, four bytes each. EPROTO for other depths than 24 and 32.
[[nodiscard]] Result<std::string_view> parse_image(std::string_view reply, Area area);
/// The pointer goes there, for all to see as if its user had moved it.
[[nodiscard]] std::string warp_pointer(std::uint32_t window, unsigned x, unsigned y);

[[nodiscard]] std::string query_tree(std::uint32_t window);
[[nodiscard]] Result<std::vector<std::uint32_t>> parse_tree(std::string_view reply);

[[nodiscard]] std::string get_attributes(std::uint32_t window);
/// True when the window and all above it are mapped.
[[nodiscard]] Result<bool> parse_viewable(std::string_view reply);

[[nodiscard]] std::string randr_version(std::uint8_t opcode);
[[nodiscard]] std::string randr_resources(std::uint8_t opcode, std::uint32_t root);
struct Resources {
  std::uint32_t config_timestamp = 0;
  std::vector<std::uint32_t> crtcs;
};
[[nodiscard]] Result<Resources> parse_resources(std::string_view reply);
[[nodiscard]] std::string randr_disable_crtc(std::uint8_t opcode, std::uint32_t crtc,
                                             std::uint32_t config_timestamp);
[[nodiscard]] std::string randr_set_size(std::uint8_t opcode, std::uint32_t root, Area area);

[[nodiscard]] std::string select_input(std::uint32_t window, std::uint32_t event_mask);
[[nodiscard]] std::string map_window(std::uint32_t window);

/// A window that no window manager touches (override-redirect).
struct NewWindow {
  std::uint32_t id = 0, parent = 0;
  std::uint16_t x = 0, y = 0, width = 0, height = 0, border = 0;
  std::uint32_t background = 0, border_colour = 0;
  std::uint32_t events = 0;  ///< mask
};
[[nodiscard]] std::string create_window(const NewWindow& window);
[[nodiscard]] std::string open_font(std::uint32_t id, std::string_view name);
struct NewPen {
  std::uint32_t id = 0, drawable = 0, foreground = 0, background = 0, font = 0;
};
[[nodiscard]] std::string create_gc(const NewPen& pen);
/// `text` in Latin-1, its first 255 bytes; `y` is the line that letters stand on.
[[nodiscard]] std::string image_text(std::uint32_t drawable, std::uint32_t gc, unsigned x,
                                     unsigned y, std::string_view text);
[[nodiscard]] bool is_expose(std::string_view event);
[[nodiscard]] bool is_button_press(std::string_view event);

struct Configure {
  std::uint32_t window = 0;
  std::uint16_t mask = 0;
  std::int16_t x = 0, y = 0;
  std::uint16_t width = 0, height = 0, border = 0;
};
/// The stacking bits of the mask are left out.
[[nodiscard]] std::string configure_window(const Configure& configure);

/// How many bytes follow the 32 of `head`: only replies have any. Errors: EPROTO past the limit.
[[nodiscard]] Result<std::size_t> body_bytes(std::string_view head);
/// MapRequest's window, or nothing.
[[nodiscard]] std::optional<std::uint32_t> as_map_request(std::string_view event);
[[nodiscard]] std::optional<Configure> as_configure_request(std::string_view event);

inline constexpr std::uint32_t kButtonPress = 1U << 2U;
inline constexpr std::uint32_t kExposure = 1U << 15U;
inline constexpr std::uint32_t kSubstructureRedirect = 1U << 20U;

}  // namespace panal::agent::x11

// Answers of the desktop's X server, whose user may have put anything in its place. The first byte
// says what was asked.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "runtime/agent/x11_wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace panal::agent::x11;
  if (size == 0) return -1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'h': {
      const auto more = parse_setup_head(bytes);
      if (more && *more > std::size_t{65535} * 4) std::abort();
      break;
    }
    case 's': (void)parse_setup(bytes); break;
    case 'x': (void)parse_query_extension(bytes); break;
    case 'i': (void)parse_idle(bytes); break;
    case 'c': (void)parse_system_counter(bytes, "IDLETIME"); break;
    case 'n': (void)is_alarm(bytes, 90); break;
    case 'g': (void)parse_geometry_reply(bytes); break;
    case 't': {
      const auto children = parse_tree(bytes);
      if (children && children->size() * 4 + kReplyBytes > bytes.size()) std::abort();
      break;
    }
    case 'v': (void)parse_viewable(bytes); break;
    case 'r': {
      const auto resources = parse_resources(bytes);
      if (resources && resources->crtcs.size() * 4 + kReplyBytes > bytes.size()) std::abort();
      break;
    }
    case 'p': {
      const Area area{.width = static_cast<std::uint16_t>(size & 7U), .height = 3};
      const auto pixels = parse_image(bytes, area);
      if (pixels && pixels->size() != std::size_t{area.width} * 12) std::abort();
      break;
    }
    case 'b': {
      const auto body = body_bytes(bytes);
      if (body && *body > kMostReplyBytes) std::abort();
      break;
    }
    case 'e': {
      (void)as_map_request(bytes);
      if (is_expose(bytes) && is_button_press(bytes)) std::abort();
      if (const auto wanted = as_configure_request(bytes)) {
        // Length in words, twelve bytes and what the mask names.
        const auto request = configure_window(*wanted);
        if (request.size() < 12 || request.size() > 32 || request.size() % 4 != 0) std::abort();
      }
      break;
    }
    default: return -1;
  }
  return 0;
}

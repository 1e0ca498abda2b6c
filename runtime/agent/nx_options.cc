#include "runtime/agent/nx_options.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace panal::agent {
namespace {

// nxagent splits at ',' and '=' and ends the line at ':', then URL-decodes each value.
std::string url_encoded(std::string_view value) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : value) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._/+()").find(c) != std::string_view::npos;
    if (plain) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kHex[byte >> 4U]);
    out.push_back(kHex[byte & 0xfU]);
  }
  return out;
}

bool is_cookie(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_keyboard(std::string_view text) {
  constexpr std::string_view kModel =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  const std::size_t slash = text.find('/');
  if (text.size() > 64 || slash == 0 || slash == std::string_view::npos) return false;
  const std::string_view model = text.substr(0, slash);
  const std::string_view layout = text.substr(slash + 1);
  const std::string layout_chars = std::string(kModel) + "(),";
  return !layout.empty() && model.find_first_not_of(kModel) == std::string_view::npos &&
         layout.find_first_not_of(layout_chars) == std::string_view::npos;
}

template <std::size_t N>
std::string one_of(std::string_view text, const std::array<std::string_view, N>& known,
                   std::string_view otherwise) {
  return std::string(std::find(known.begin(), known.end(), text) == known.end() ? otherwise : text);
}

constexpr std::array<std::string_view, 6> kLinks = {"modem", "isdn", "adsl", "wan", "lan", "local"};
constexpr std::array<std::string_view, 4> kClients = {"linux", "windows", "macosx", "solaris"};

bool flag(const Frame& frame, std::string_view key) { return frame.get(key) == "1"; }

}  // namespace

Result<Size> parse_geometry(std::string_view given) {
  const std::string text(given);
  Size size;
  const char* const end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, size.width);
  if (parsed.ec != std::errc{} || parsed.ptr == end || *parsed.ptr != 'x') {
    return fail(EINVAL, "geometry must be WIDTHxHEIGHT or WIDTHxHEIGHT+X+Y");
  }
  parsed = std::from_chars(parsed.ptr + 1, end, size.height);
  bool good = parsed.ec == std::errc{};
  for (int i = 0; good && i < 2 && parsed.ptr != end; ++i) {
    int place = 0;
    good = *parsed.ptr == '+';
    if (good) parsed = std::from_chars(parsed.ptr + 1, end, place);
    good = good && parsed.ec == std::errc{} && place >= 0 && place < 32768;
  }
  if (!good || parsed.ptr != end) {
    return fail(EINVAL, "geometry must be WIDTHxHEIGHT or WIDTHxHEIGHT+X+Y");
  }
  if (size.width < 64 || size.height < 64 || size.width > 16384 || size.height > 16384) {
    return fail(EINVAL, "geometry must be from 64x64 to 16384x16384");
  }
  return size;
}

Result<AttachRequest> parse_attach(const Frame& frame) {
  AttachRequest request;
  PANAL_ASSIGN(request.number, frame.number("attach", UINT64_MAX));
  request.cookie = frame.get("cookie");
  if (request.number == 0 || !is_cookie(request.cookie)) {
    return fail(EPROTO, "agent frame listen: attach must be above 0 and cookie 32 hex digits");
  }
  request.geometry = frame.get("geometry");
  if (!request.geometry.empty()) PANAL_TRY(parse_geometry(request.geometry));
  request.keyboard = frame.get("keyboard");
  if (!request.keyboard.empty() && !is_keyboard(request.keyboard)) {
    return fail(EINVAL, "keyboard must be MODEL/LAYOUT, like pc105/es");
  }
  request.link = one_of(frame.get("link"), kLinks, "wan");
  request.client =
      frame.get("client") == "darwin" ? "macosx" : one_of(frame.get("client"), kClients, "linux");
  request.fullscreen = flag(frame, "fullscreen");
  request.media = flag(frame, "media");
  request.slave = flag(frame, "slave");
  request.warm = flag(frame, "warm");
  return request;
}

NxOptions render_nx_options(const AttachRequest& request, const NxPlaces& places,
                            const NxHistory& history) {
  NxOptions options;
  options.history = history;
  options.history.running = true;
  std::string& out = options.line;
  out = "nx/nx";
  const auto add = [&out](std::string_view key, std::string_view value) {
    out.append(",").append(key).append("=").append(url_encoded(value));
  };
  add("link", request.link);
  // PNG loses nothing; over thin lines JPEG is worth its blur.
  const bool fast = request.link == "lan" || request.link == "local";
  add("pack", fast ? "16m-png" : "16m-jpeg-7");
  add("limit", "0");
  add("root", places.root);
  add("cache", "8M");
  add("images", "32M");
  add("id", "panal");
  add("cookie", request.cookie);
  add("clipboard", "both");
  add("client", request.client);
  add("menu", "0");
  // Without it every X operation of a suspended session waits 50 ms.
  add("sleep", "0");
  // People roam between X servers with other visuals.
  add("tolerancechecks", "risky");
  add("xinerama", "1");
  // Never left out: a resume that fails ends where nxagent copies the keyboard's name (guard/), and
  // without a name it would listen once more for the client that is gone, a minute long.
  add("keyboard", request.keyboard.empty() ? kDefaultKeyboard : request.keyboard);
  if (!history.running) add("fullscreen", request.fullscreen && !request.warm ? "1" : "0");
  if (request.warm) {
    // No geometry: the one that counts is its user's. A pre-warmer's screen has a size of its
    // own, and without resize=1 full screen ends on a screen of another size.
    add("resize", "0");
    options.history.fullscreen = false;
  } else if (request.fullscreen) {
    add("geometry", "fullscreen");
    add("resize", "1");
    options.history.fullscreen = true;
  } else if (!history.running) {
    add("geometry", request.geometry.empty() ? kDefaultGeometry : request.geometry);
    add("resize", "1");
  } else {
    // A running nxagent takes no second geometry, and resize=1 would bring the first one back:
    // it gets its size while it is still suspended. Only full screen that sticks must be left
    // to nxagent, which goes back to a window when the user's X server has another size.
    add("resize", "0");
    options.adjust_size = !history.fullscreen;
    options.history.fullscreen = false;
  }
  if (request.media) add("media", "1");
  if (request.slave) add("slave", "1");
  // Channels' TCP ports on loopback only; without it they are on every interface.
  add("loopback", "1");
  // Not encoded: nxagent wants the colon of unix:PATH as it is.
  out.append(",listen=unix:").append(places.socket);
  out.append(":").append(std::to_string(places.display)).append("\n");
  return options;
}

}  // namespace panal::agent

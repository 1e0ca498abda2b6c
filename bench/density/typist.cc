#include "bench/density/typist.h"

#include <xcb/xcb.h>
#include <xcb/xtest.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <thread>

#include "bench/density/stopwatch.h"

namespace panal::bench {
namespace {

using std::chrono::milliseconds;

/// Key code of a letter of pc105.
constexpr std::uint8_t kLetter = 38;
constexpr milliseconds kRaised{300};
constexpr milliseconds kStill{150};
constexpr milliseconds kLongestUnrest{3000};
constexpr double kLongestMs = 3000;
/// Where the living session's terminal is (living.cc), less its frame.
constexpr int kTerminalX = 40, kTerminalY = 60, kTerminalWidth = 440, kTerminalHeight = 260;
constexpr int kLeastWindow = 300;
constexpr int kDeepest = 4;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Reply = std::unique_ptr<T, Free>;

}  // namespace

struct Typist::Impl {
  explicit Impl(const Display& screen) : display(screen) {}
  ~Impl() { xcb_disconnect(connection); }

  struct Place {
    xcb_window_t window = 0;
    int x = 0, y = 0;
  };

  bool named(xcb_window_t window, const std::string& name) const {
    const Reply<xcb_get_property_reply_t> reply(xcb_get_property_reply(
        connection,
        xcb_get_property(connection, 0, window, XCB_ATOM_WM_NAME, XCB_GET_PROPERTY_TYPE_ANY, 0, 64),
        nullptr));
    if (!reply) return false;
    const std::string title(static_cast<const char*>(xcb_get_property_value(reply.get())),
                            static_cast<std::size_t>(xcb_get_property_value_length(reply.get())));
    const std::size_t at = title.find(name);
    if (at == std::string::npos) return false;
    // "desk100" is not "desk1000".
    const char behind = at + name.size() < title.size() ? title[at + name.size()] : ' ';
    return behind < '0' || behind > '9';
  }

  bool is_large(xcb_window_t window) const {
    const Reply<xcb_get_geometry_reply_t> shape(
        xcb_get_geometry_reply(connection, xcb_get_geometry(connection, window), nullptr));
    return shape && shape->width >= kLeastWindow;
  }

  /// The window itself, not its frame: frames have no WM_NAME of their own.
  std::optional<xcb_window_t> find(xcb_window_t below, const std::string& name, int depth) const {
    if (depth > kDeepest) return std::nullopt;
    const Reply<xcb_query_tree_reply_t> tree(
        xcb_query_tree_reply(connection, xcb_query_tree(connection, below), nullptr));
    if (!tree) return std::nullopt;
    const xcb_window_t* children = xcb_query_tree_children(tree.get());
    for (int i = 0; i < xcb_query_tree_children_length(tree.get()); ++i) {
      if (named(children[i], name) && is_large(children[i])) return children[i];
      if (const auto found = find(children[i], name, depth + 1)) return found;
    }
    return std::nullopt;
  }

  std::optional<Place> place_of_window(xcb_window_t window) const {
    const Reply<xcb_translate_coordinates_reply_t> at(xcb_translate_coordinates_reply(
        connection, xcb_translate_coordinates(connection, window, root, 0, 0), nullptr));
    if (!at) return std::nullopt;
    return Place{window, at->dst_x, at->dst_y};
  }

  /// A desktop that was left and came back has a new window.
  Result<Place> place_of(const std::string& desktop) {
    if (const auto known = windows.find(desktop); known != windows.end()) {
      if (const auto place = place_of_window(known->second)) return *place;
      windows.erase(known);
    }
    const auto window = find(root, desktop, 0);
    const auto place = window ? place_of_window(*window) : std::nullopt;
    if (!place) return fail(ENOENT, "no window of " + desktop);
    windows.emplace(desktop, *window);
    return *place;
  }

  void raise(xcb_window_t window) const {
    xcb_client_message_event_t event{};
    event.response_type = XCB_CLIENT_MESSAGE;
    event.format = 32;
    event.window = window;
    event.type = active_window;
    event.data.data32[0] = 2;  // as a pager does: at once
    xcb_send_event(connection, 0, root,
                   XCB_EVENT_MASK_SUBSTRUCTURE_REDIRECT | XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY,
                   reinterpret_cast<const char*>(&event));
    xcb_flush(connection);
  }

  void fake(std::uint8_t type, std::uint8_t detail, int x = 0, int y = 0) const {
    xcb_test_fake_input(connection, type, detail, XCB_CURRENT_TIME, root,
                        static_cast<std::int16_t>(x), static_cast<std::int16_t>(y), 0);
  }

  std::uint64_t terminal(const Place& place) const {
    return display.checksum(place.x + kTerminalX, place.y + kTerminalY, kTerminalWidth,
                            kTerminalHeight);
  }

  /// The picture once nothing has changed for a while.
  /// Nothing: it never stood still, and no change would be the key's for sure.
  std::optional<std::uint64_t> wait_still(const Place& place) const {
    const auto begin = Clock::now();
    auto since = begin;
    std::uint64_t seen = terminal(place);
    while (Clock::now() - since < kStill) {
      if (Clock::now() - begin > kLongestUnrest) return std::nullopt;
      std::this_thread::sleep_for(milliseconds(10));
      const std::uint64_t now = terminal(place);
      if (now == seen) continue;
      seen = now;
      since = Clock::now();
    }
    return seen;
  }

  const Display& display;
  xcb_connection_t* connection = nullptr;
  xcb_window_t root = 0;
  xcb_atom_t active_window = 0;
  std::map<std::string, xcb_window_t> windows;
};

Typist::Typist(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Typist::~Typist() = default;

Result<std::unique_ptr<Typist>> Typist::open(const Display& display) {
  auto impl = std::make_unique<Impl>(display);
  const auto environment = display.environment();
  // libxcb finds the cookie by the environment alone.
  ::setenv("XAUTHORITY", environment.at("XAUTHORITY").c_str(), 1);
  impl->connection = xcb_connect(environment.at("DISPLAY").c_str(), nullptr);
  if (xcb_connection_has_error(impl->connection) != 0)
    return fail(ENOTCONN, "the screen " + environment.at("DISPLAY") + " lets nobody in");
  impl->root = xcb_setup_roots_iterator(xcb_get_setup(impl->connection)).data->root;
  const Reply<xcb_test_get_version_reply_t> version(xcb_test_get_version_reply(
      impl->connection, xcb_test_get_version(impl->connection, 2, 2), nullptr));
  if (!version) return fail(ENOTSUP, "the screen has no XTEST");
  constexpr std::string_view kName = "_NET_ACTIVE_WINDOW";
  const Reply<xcb_intern_atom_reply_t> atom(xcb_intern_atom_reply(
      impl->connection, xcb_intern_atom(impl->connection, 0, kName.size(), kName.data()), nullptr));
  if (!atom) return fail(ENOTCONN, "the screen does not answer");
  impl->active_window = atom->atom;
  return std::unique_ptr<Typist>(new Typist(std::move(impl)));
}

Result<Typed> Typist::type(const std::string& desktop) {
  PANAL_ASSIGN(Impl::Place place, impl_->place_of(desktop));
  impl_->raise(place.window);
  std::this_thread::sleep_for(kRaised);
  PANAL_ASSIGN(place, impl_->place_of(desktop));
  impl_->fake(XCB_MOTION_NOTIFY, 0, place.x + kTerminalX + 60, place.y + kTerminalY + 40);
  const auto clicked = Clock::now();
  impl_->fake(XCB_BUTTON_PRESS, 1);
  impl_->fake(XCB_BUTTON_RELEASE, 1);
  xcb_flush(impl_->connection);
  std::this_thread::sleep_for(kRaised);
  const auto before = impl_->wait_still(place);
  if (!before) return fail(EAGAIN, "the picture of " + desktop + " never stood still");
  const auto begin = Clock::now();
  impl_->fake(XCB_KEY_PRESS, kLetter);
  impl_->fake(XCB_KEY_RELEASE, kLetter);
  xcb_flush(impl_->connection);
  while (impl_->terminal(place) == *before) {
    if (seconds_since(begin) * 1000 > kLongestMs)
      return fail(ETIMEDOUT, "a key typed into " + desktop + " changed nothing in 3 s");
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  return Typed{seconds_since(begin) * 1000, seconds_since(clicked) * 1000};
}

}  // namespace panal::bench

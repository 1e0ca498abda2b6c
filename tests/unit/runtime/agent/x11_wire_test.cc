#include "runtime/agent/x11_wire.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

namespace panal::agent::x11 {
namespace {

template <typename T>
void put(std::string& bytes, std::size_t offset, T value) {
  if (bytes.size() < offset + sizeof(T)) bytes.resize(offset + sizeof(T), '\0');
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

std::string reply(std::size_t bytes = kReplyBytes) {
  std::string out(bytes, '\0');
  out[0] = 1;
  put(out, 4, static_cast<std::uint32_t>((bytes - kReplyBytes) / 4));
  return out;
}

TEST(X11Wire, SetupRequestCarriesTheCookie) {
  const std::string request = setup_request("0123456789abcdef");
  EXPECT_EQ(request.size(), 12U + 20U + 16U);
  EXPECT_EQ(request.substr(12, 18), "MIT-MAGIC-COOKIE-1");
  EXPECT_EQ(request.substr(32), "0123456789abcdef");
}

TEST(X11Wire, Setup) {
  std::string body(32, '\0');
  put<std::uint16_t>(body, 16, 5);  // vendor, padded to 8
  put<std::uint8_t>(body, 20, 1);
  put<std::uint8_t>(body, 21, 2);  // formats
  const std::size_t screen = 32 + 8 + 16;
  put<std::uint32_t>(body, screen, 0x123);
  put<std::uint32_t>(body, screen + 8, 0xffffff);
  put<std::uint32_t>(body, screen + 12, 0x10);
  put<std::uint16_t>(body, screen + 20, 1024);
  put<std::uint16_t>(body, screen + 22, 700);
  body.resize(screen + 40);
  const auto setup = parse_setup(body);
  ASSERT_TRUE(setup);
  EXPECT_EQ(setup->root, 0x123U);
  EXPECT_EQ(setup->width, 1024);
  EXPECT_EQ(setup->white, 0xffffffU);
  EXPECT_EQ(setup->black, 0x10U);
  for (std::size_t cut = 0; cut < body.size(); ++cut) {
    EXPECT_FALSE(parse_setup(body.substr(0, cut))) << cut;
  }
}

TEST(X11Wire, RefusedSetup) {
  EXPECT_EQ(parse_setup_head(std::string(8, '\0')).error().code, EACCES);
  EXPECT_EQ(parse_setup_head("\x01").error().code, EPROTO);
}

TEST(X11Wire, RequestsAreWholeWordsWithTheirLength) {
  for (const std::string& request :
       {query_extension("MIT-SCREEN-SAVER"),
        screen_saver_query(140, 7),
        get_geometry(7),
        query_tree(7),
        get_attributes(7),
        randr_version(1),
        randr_resources(1, 7),
        randr_disable_crtc(1, 2, 3),
        randr_set_size(1, 7, {.width = 800, .height = 600}),
        select_input(7, 1),
        map_window(7),
        sync_initialize(134),
        sync_list_counters(134),
        sync_alarm_when_at_most(134, 0x200001, 8, 10000),
        sync_destroy_alarm(134, 0x200001),
        create_window({}),
        open_font(7, "fixed"),
        open_font(7, "7x13bold"),
        create_gc({}),
        get_image(7, 12, {.width = 1280, .height = 12}),
        warp_pointer(7, 1, 2),
        image_text(7, 8, 1, 2, "odd"),
        image_text(7, 8, 1, 2, std::string(1000, 'x')),
        configure_window(
            {.window = 7, .mask = 0x7f, .x = -1, .y = 2, .width = 3, .height = 4, .border = 0})}) {
    std::uint16_t words = 0;
    std::memcpy(&words, request.data() + 2, sizeof(words));
    EXPECT_EQ(request.size(), words * 4U);
  }
}

TEST(X11Wire, Windows) {
  NewWindow window;
  window.id = 0x11;
  window.x = 3;
  window.width = 300;
  window.events = kExposure | kButtonPress;
  const std::string request = create_window(window);
  ASSERT_EQ(request.size(), 48U);
  EXPECT_EQ(request[0], 1);
  EXPECT_EQ(request[4], 0x11);
  EXPECT_EQ(request[12], 3);
  EXPECT_EQ(static_cast<unsigned char>(request[44]), 4U) << "button";
  EXPECT_EQ(static_cast<unsigned char>(request[45]), 0x80U) << "exposure";
  const std::string text = image_text(7, 8, 1, 2, std::string(1000, 'x'));
  EXPECT_EQ(static_cast<unsigned char>(text[1]), 255U);
  EXPECT_EQ(text.size(), 16U + 256U);
  std::string event(kReplyBytes, '\0');
  event[0] = 12;
  EXPECT_TRUE(is_expose(event));
  EXPECT_FALSE(is_button_press(event));
  event[0] = static_cast<char>(0x84);  // sent by a client
  EXPECT_TRUE(is_button_press(event));
  EXPECT_FALSE(is_expose("\x0c"));
}

TEST(X11Wire, Idle) {
  std::string bytes = reply();
  put<std::uint32_t>(bytes, 16, 61000);
  EXPECT_EQ(parse_idle(bytes).value(), 61000U);
}

TEST(X11Wire, PicturesHaveFourBytesAPixel) {
  const Area area{.width = 3, .height = 2};
  const std::string request = get_image(0x11, 7, area);
  EXPECT_EQ(request[0], 73);
  EXPECT_EQ(request[10], 7) << "from this row on";
  EXPECT_EQ(request[12], 3);
  std::string bytes = reply(kReplyBytes + 24);
  put<std::uint8_t>(bytes, 1, 24);
  put<std::uint32_t>(bytes, kReplyBytes + 20, 0x102030);
  EXPECT_EQ(parse_image(bytes, area).value(), bytes.substr(kReplyBytes));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    EXPECT_EQ(parse_image(bytes.substr(0, cut), area).error().code, EPROTO) << cut;
  EXPECT_FALSE(parse_image(bytes, {.width = 3, .height = 3})) << "another area's";
  EXPECT_FALSE(parse_image(bytes, {.width = 0xffff, .height = 0xffff}));
  put<std::uint8_t>(bytes, 1, 8);
  EXPECT_FALSE(parse_image(bytes, area)) << "a palette";
  put<std::uint8_t>(bytes, 0, 0);
  EXPECT_FALSE(parse_image(bytes, area)) << "an error";
}

TEST(X11Wire, Extension) {
  std::string bytes = reply();
  EXPECT_EQ(parse_query_extension(bytes).value().opcode, 0);
  put<std::uint8_t>(bytes, 8, 1);
  put<std::uint8_t>(bytes, 9, 140);
  put<std::uint8_t>(bytes, 10, 90);
  EXPECT_EQ(parse_query_extension(bytes).value().opcode, 140);
  EXPECT_EQ(parse_query_extension(bytes).value().first_event, 90);
}

TEST(X11Wire, SystemCounter) {
  // SERVERTIME and IDLETIME: 14 bytes before each name, then padding to words.
  std::string bytes = reply(kReplyBytes + 24 + 24);
  put<std::uint32_t>(bytes, 8, 2);
  put<std::uint32_t>(bytes, 32, 7);
  put<std::uint16_t>(bytes, 44, 10);
  bytes.replace(46, 10, "SERVERTIME");
  put<std::uint32_t>(bytes, 56, 8);
  put<std::uint16_t>(bytes, 68, 8);
  bytes.replace(70, 8, "IDLETIME");
  EXPECT_EQ(parse_system_counter(bytes, "IDLETIME").value(), 8U);
  EXPECT_EQ(parse_system_counter(bytes, "OTHER").value(), 0U);
  EXPECT_FALSE(parse_system_counter(bytes.substr(0, 75), "IDLETIME")) << "the name is cut";
  EXPECT_FALSE(parse_system_counter(bytes.substr(0, 60), "IDLETIME")) << "its head is cut";
  put<std::uint32_t>(bytes, 8, 0xffffffffU);
  EXPECT_FALSE(parse_system_counter(bytes, "OTHER")) << "more than there are";
  put<std::uint16_t>(bytes, 44, 0xffff);
  EXPECT_FALSE(parse_system_counter(bytes, "IDLETIME")) << "a name past the end";
}

TEST(X11Wire, Alarm) {
  std::string event(kReplyBytes, '\0');
  event[0] = 91;
  EXPECT_TRUE(is_alarm(event, 90));
  EXPECT_FALSE(is_alarm(event, 91));
  EXPECT_FALSE(is_alarm("\x5b", 90));
}

TEST(X11Wire, TreeAndResources) {
  std::string bytes = reply(kReplyBytes + 8);
  put<std::uint16_t>(bytes, 16, 2);
  put<std::uint32_t>(bytes, 12, 99);
  put<std::uint32_t>(bytes, 32, 0xa);
  put<std::uint32_t>(bytes, 36, 0xb);
  EXPECT_EQ(parse_tree(bytes).value(), (std::vector<std::uint32_t>{0xa, 0xb}));
  EXPECT_EQ(parse_resources(bytes).value().config_timestamp, 99U);
  EXPECT_EQ(parse_resources(bytes).value().crtcs.size(), 2U);
}

/// A hostile server: cut replies, wrong kinds, counts that lie.
TEST(X11Wire, MalformedReplies) {
  std::string lying = reply();
  put<std::uint16_t>(lying, 16, 60000);
  std::string error(kReplyBytes, '\0');
  std::string event(kReplyBytes, '\0');
  event[0] = 20;
  struct Case {
    const char* what;
    std::string bytes;
  };
  const Case cases[] = {{"empty", ""},    {"one byte", "\x01"}, {"cut", reply().substr(0, 23)},
                        {"error", error}, {"event", event},     {"count past the end", lying}};
  for (const auto& test : cases) {
    if (std::string_view(test.what) != "count past the end") {
      EXPECT_FALSE(parse_idle(test.bytes)) << test.what;
      EXPECT_FALSE(parse_query_extension(test.bytes)) << test.what;
      EXPECT_FALSE(parse_geometry_reply(test.bytes)) << test.what;
    }
    EXPECT_FALSE(parse_viewable(test.bytes)) << test.what;
    EXPECT_FALSE(parse_tree(test.bytes)) << test.what;
    EXPECT_FALSE(parse_resources(test.bytes)) << test.what;
  }
  std::string huge = reply();
  put<std::uint32_t>(huge, 4, 0xffffffffU);
  EXPECT_FALSE(body_bytes(huge));
  EXPECT_FALSE(body_bytes("\x01"));
  EXPECT_EQ(body_bytes(error).value(), 0U);
  EXPECT_FALSE(as_map_request("\x14"));
  EXPECT_FALSE(as_configure_request(event));
  EXPECT_TRUE(as_map_request(event));
}

}  // namespace
}  // namespace panal::agent::x11

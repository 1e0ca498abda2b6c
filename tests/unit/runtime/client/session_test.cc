#include "runtime/client/session.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "runtime/client/nxproxy.h"
#include "runtime/client/pins.h"

namespace panal::client {
namespace {

TEST(Server, HostAndPort) {
  using Pair = std::pair<std::string, std::uint16_t>;
  EXPECT_EQ(parse_server("desk.example"), Pair("desk.example", 8443));
  EXPECT_EQ(parse_server("desk.example:443"), Pair("desk.example", 443));
  EXPECT_EQ(parse_server("::1"), Pair("::1", 8443));
  EXPECT_EQ(parse_server("[::1]:9"), Pair("::1", 9));
  for (const char* bad : {"", ":1", "h:", "h:0", "h:65536", "h:x", "[::1", "[::1]9", "a b", "u@h"})
    EXPECT_FALSE(parse_server(bad)) << bad;
}

TEST(Keyboard, OfWhatSetxkbmapSays) {
  EXPECT_EQ(keyboard_of_query("rules:      evdev\nmodel:      pc104\nlayout:     es,us\n"),
            "pc104/es");
  EXPECT_EQ(keyboard_of_query(""), "pc105/us");
  EXPECT_EQ(keyboard_of_query("layout: e;s\n"), "pc105/us");
}

TEST(List, TakesIntegersAndRefusesOtherShapes) {
  const auto desktops =
      parse_list(R"([{"id":7,"name":"d\u001b[2J","state":"running","blocked":1}])");
  ASSERT_TRUE(desktops);
  EXPECT_EQ(desktops->at(0).name, "d\\x1b[2J");
  EXPECT_TRUE(desktops->at(0).blocked);
  for (const char* bad : {"", "{}", "[1]", "[{}]", R"([{"id":"7"}])", "[{\"id\":1}"})
    EXPECT_FALSE(parse_list(bad)) << bad;
}

TEST(Choose, ByNameByNumberOrTheOnlyOne) {
  const std::vector<Listed> two = {{1, "one", "", false}, {2, "two", "", false}};
  EXPECT_EQ(choose(two, "two")->id, 2);
  EXPECT_EQ(choose(two, "1")->name, "one");
  EXPECT_EQ(choose(two, "").error().sentence, "say which desktop; yours are: one, two");
  EXPECT_EQ(choose({two[0]}, "")->id, 1);
  EXPECT_EQ(choose({}, "x").error().exit, Exit::kRefused);
}

TEST(NxOptions, AreOneLineWithEncodedValues) {
  EXPECT_EQ(render_nx_options("/tmp/a,b", "/tmp/a,b/nx.sock", "00ff", "lan"),
            "nx/nx,retry=5,root=%2Ftmp%2Fa%2Cb,connect=unix%3A%2Ftmp%2Fa%2Cb%2Fnx.sock,link=lan,"
            "cookie=00ff,loopback=1:92\n");
  EXPECT_EQ(render_nx_options("d", "s", "", "wan").find("cookie"), std::string::npos);
}

TEST(Pins, NewKnownChangedAndDamaged) {
  const auto directory = std::filesystem::temp_directory_path() / "panal-pins-test";
  std::filesystem::remove_all(directory);
  const Pins pins((directory / "sub" / "known_servers").string());
  const std::string one(64, 'a');
  const std::string two(64, 'b');
  EXPECT_EQ(pins.check("h:1", one), PinVerdict::kNew);
  ASSERT_TRUE(pins.add("h:1", one));
  EXPECT_EQ(pins.check("h:1", one), PinVerdict::kKnown);
  EXPECT_EQ(pins.check("h:1", two), PinVerdict::kChanged);
  EXPECT_EQ(pins.check("h:2", two), PinVerdict::kNew);
  std::ofstream(pins.file(), std::ios::app) << "junk\n";
  EXPECT_EQ(pins.check("h:2", two).error().code, EPROTO);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace panal::client

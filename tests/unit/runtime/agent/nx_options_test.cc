#include "runtime/agent/nx_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::agent {
namespace {

using testing::HasSubstr;
using testing::Not;

Frame listen() {
  return Frame("listen").add("attach", "3").add("cookie", "0123456789abcdef0123456789abcdef");
}

NxOptions render(const Frame& frame, const NxHistory& history = {}) {
  const auto request = parse_attach(frame);
  EXPECT_TRUE(request) << request.error().message();
  return render_nx_options(
      *request, {.root = "/run/user/1000/nx", .socket = "/run/panal/nx/nx.sock", .display = 100},
      history);
}

TEST(NxOptions, OneLineThatEndsWithTheDisplay) {
  const auto options = render(listen());
  EXPECT_THAT(options.line, testing::StartsWith("nx/nx,link=wan,"));
  EXPECT_THAT(options.line, testing::EndsWith(",listen=unix:/run/panal/nx/nx.sock:100\n"));
  EXPECT_THAT(options.line, HasSubstr(",cookie=0123456789abcdef0123456789abcdef,"));
  EXPECT_THAT(options.line, HasSubstr(",loopback=1,"));
  EXPECT_THAT(options.line, Not(HasSubstr("media=")));
  EXPECT_EQ(std::count(options.line.begin(), options.line.end(), '\n'), 1);
}

TEST(NxOptions, ValuesAreUrlEncoded) {
  const auto options =
      render(listen().add("keyboard", "pc105/us,es").add("geometry", "800x600+1+2"));
  EXPECT_THAT(options.line, HasSubstr(",keyboard=pc105/us%2Ces,"));
  EXPECT_THAT(options.line, HasSubstr(",geometry=800x600+1+2,"));
}

TEST(NxOptions, ThereIsAlwaysAKeyboard) {
  // The resume guard needs its name.
  EXPECT_THAT(render(listen()).line, HasSubstr(",keyboard=pc105/us,"));
}

TEST(NxOptions, GeometryAndFullScreen) {
  struct Case {
    const char* what;
    Frame frame;
    NxHistory history;
    std::vector<const char*> has;
    std::vector<const char*> lacks;
    bool adjust;
    bool fullscreen_after;
  };
  const Case cases[] = {
      {"first, window",
       listen().add("geometry", "900x700"),
       {},
       {",fullscreen=0,", ",geometry=900x700,", ",resize=1,"},
       {},
       false,
       false},
      {"first, nothing said", listen(), {}, {",geometry=1024x768,"}, {}, false, false},
      {"first, full screen",
       listen().add("fullscreen", "1").add("geometry", "900x700"),
       {},
       {",fullscreen=1,", ",geometry=fullscreen,", ",resize=1,"},
       {"900x700"},
       false,
       true},
      {"warm",
       listen().add("warm", "1").add("geometry", "900x700"),
       {},
       {",fullscreen=0,", ",resize=0,"},
       {"geometry"},
       false,
       false},
      {"resumed window",
       listen().add("geometry", "900x700"),
       {.running = true},
       {",resize=0,"},
       {"geometry", "fullscreen"},
       true,
       false},
      {"resumed full screen",
       listen().add("fullscreen", "1"),
       {.running = true},
       {",geometry=fullscreen,", ",resize=1,"},
       {",fullscreen="},
       false,
       true},
      {"window after full screen",
       listen().add("geometry", "900x700"),
       {.running = true, .fullscreen = true},
       {",resize=0,"},
       {"geometry"},
       false,
       false},
      {"warm after full screen",
       listen().add("warm", "1"),
       {.running = true, .fullscreen = true},
       {",resize=0,"},
       {"geometry"},
       false,
       false},
  };
  for (const auto& test : cases) {
    const auto options = render(test.frame, test.history);
    for (const char* text : test.has) EXPECT_THAT(options.line, HasSubstr(text)) << test.what;
    for (const char* text : test.lacks)
      EXPECT_THAT(options.line, Not(HasSubstr(text))) << test.what;
    EXPECT_EQ(options.adjust_size, test.adjust) << test.what;
    EXPECT_EQ(options.history.fullscreen, test.fullscreen_after) << test.what;
    EXPECT_TRUE(options.history.running) << test.what;
  }
}

TEST(NxOptions, ForeignWordsFallBack) {
  const auto request = parse_attach(listen().add("link", "rate").add("client", "darwin"));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->link, "wan");
  EXPECT_EQ(request->client, "macosx");
  EXPECT_EQ(parse_attach(listen().add("client", "os/2")).value().client, "linux");
}

TEST(NxOptions, BadRequests) {
  struct Case {
    const char* what;
    Frame frame;
  };
  const std::string cookie = "0123456789abcdef0123456789abcdef";
  const Case cases[] = {
      {"no attach", Frame("listen").add("cookie", cookie)},
      {"attach 0", Frame("listen").add("attach", "0").add("cookie", cookie)},
      {"no cookie", Frame("listen").add("attach", "1")},
      {"short cookie", Frame("listen").add("attach", "1").add("cookie", "abc")},
      {"upper case cookie",
       Frame("listen").add("attach", "1").add("cookie", "0123456789ABCDEF0123456789ABCDEF")},
      {"shell in keyboard", listen().add("keyboard", "pc105/us;reboot")},
      {"quotes in keyboard", listen().add("keyboard", "pc105/us\"")},
      {"keyboard without layout", listen().add("keyboard", "pc105")},
      {"keyboard without model", listen().add("keyboard", "/us")},
      {"option in geometry", listen().add("geometry", "800x600,media=1")},
  };
  for (const auto& test : cases) EXPECT_FALSE(parse_attach(test.frame)) << test.what;
}

TEST(Geometry, Table) {
  EXPECT_EQ(parse_geometry("1024x768").value(), (Size{1024, 768}));
  EXPECT_EQ(parse_geometry("64x64+0+0").value(), (Size{64, 64}));
  for (const char* text : {"", "x", "1024", "1024x", "x768", "1024x768+", "1024x768+1",
                           "1024x768-1-1", "63x64", "99999x768", "1024x768 ", "1024x768+1+2+3",
                           "-1x768", "1024x768+99999+0", "99999999999999999999x1"}) {
    const bool place_missing = std::string_view(text) == "1024x768+1";
    // A lone +X is harmless and X servers take it.
    EXPECT_EQ(parse_geometry(text).has_value(), place_missing) << text;
  }
}

}  // namespace
}  // namespace panal::agent

#include "runtime/agent/xauthority.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace panal::agent {
namespace {

constexpr const char* kCookie = "000102030405060708090a0b0c0d0eff";

std::string bytes_of(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const auto part : parts) out.append(part);
  return out;
}

TEST(Xauthority, Bytes) {
  using namespace std::string_view_literals;
  const auto cookie = "\x00\x10\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff"sv;
  const auto name = "\x00\x12MIT-MAGIC-COOKIE-1"sv;
  EXPECT_EQ(xauthority_bytes("desk", 100, kCookie).value(),
            bytes_of({"\x01\x00"sv,
                      "\x00\x04"
                      "desk"sv,
                      "\x00\x03"
                      "100"sv,
                      name, cookie, "\xff\xff"sv, "\x00\x00"sv,
                      "\x00\x03"
                      "100"sv,
                      name, cookie}));
}

TEST(Xauthority, IsWhatXauthReads) {
  if (std::system("command -v xauth >/dev/null") != 0) GTEST_SKIP() << "no xauth here";
  const std::string path = testing::TempDir() + "panal-xauthority-test";
  std::ofstream(path, std::ios::binary) << xauthority_bytes("desk", 100, kCookie).value();
  FILE* const pipe = ::popen(("xauth -i -n -f " + path + " list").c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  char text[1024] = {};
  const std::size_t count = std::fread(text, 1, sizeof(text) - 1, pipe);
  ::pclose(pipe);
  std::remove(path.c_str());
  const std::string listed(text, count);
  EXPECT_NE(listed.find("desk/unix:100  MIT-MAGIC-COOKIE-1  " + std::string(kCookie)),
            std::string::npos)
      << listed;
}

TEST(Xauthority, RefusesWhatIsNoCookie) {
  for (const char* text :
       {"", "00", "zz0102030405060708090a0b0c0d0eff", "000102030405060708090a0b0c0d0eff00"}) {
    EXPECT_EQ(xauthority_bytes("h", 1, text).error().code, EINVAL) << text;
  }
}

}  // namespace
}  // namespace panal::agent

#include "runtime/broker/greeting.h"

#include <gtest/gtest.h>

#include <vector>

namespace panal::broker {
namespace {

const std::string kCookie = "0123456789abcdef0123456789abcdef";

TEST(Greeting, QvdsClientGetsTheCookieInserted) {
  const std::string bytes = "NXPROXY-3.5.0-3.5.99 stream=default,data=default MORE";
  Greeting greeting;
  ASSERT_EQ(parse_greeting(bytes, greeting), GreetingState::kDone);
  EXPECT_EQ(greeting.bytes, bytes.size() - 4);
  EXPECT_FALSE(greeting.cookie);
  EXPECT_EQ(admit_greeting(bytes, greeting, kCookie),
            "NXPROXY-3.5.0-3.5.99 cookie=" + kCookie + ",stream=default,data=default ");
}

TEST(Greeting, OwnCookieIsChecked) {
  const std::string bytes = "NXPROXY-3.5.0-3.5.99 cookie=" + kCookie + ",stream=default ";
  Greeting greeting;
  ASSERT_EQ(parse_greeting(bytes, greeting), GreetingState::kDone);
  EXPECT_EQ(admit_greeting(bytes, greeting, kCookie), bytes);
  EXPECT_FALSE(admit_greeting(bytes, greeting, "f123456789abcdef0123456789abcdef"));
  EXPECT_FALSE(admit_greeting(bytes, greeting, ""));
}

TEST(Greeting, NoOptionsAtAll) {
  Greeting greeting;
  ASSERT_EQ(parse_greeting("NXPROXY-3.5.0  ", greeting), GreetingState::kDone);
  EXPECT_EQ(admit_greeting("NXPROXY-3.5.0  ", greeting, kCookie),
            "NXPROXY-3.5.0 cookie=" + kCookie + " ");
}

TEST(Greeting, EveryPrefixWantsMore) {
  const std::string bytes = "NXPROXY-3.5.0-3.5.99 cookie=" + kCookie + ",a=b ";
  Greeting greeting;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(parse_greeting(bytes.substr(0, i), greeting), GreetingState::kMore) << i;
  }
}

TEST(Greeting, MalformedTable) {
  using namespace std::string_literals;
  const std::vector<std::string> table = {
      "GET / HTTP/1.1\r\n"s,
      "\0"s,
      "\x16\x03\x01"s,
      "nxproxy-3.5.0 a=b "s,
      "NXPROXZ"s,
      " NXPROXY-"s,
      "NXPROXY-  "s,
      "NXPROXY-3.5.0\n"s,
      "NXPROXY-3.5.0 a=b\n"s,
      "NXPROXY-3.5.0 a=\x01 "s,
      "NXPROXY-3.5.0 a=\xff "s,
      "NXPROXY-3.5.0\0 a=b "s,
      "NXPROXY-3.5.0x a=b "s,
      "NXPROXY-3.5.0 ab "s,
      "NXPROXY-3.5.0 =b "s,
      "NXPROXY-3.5.0 a=b, "s,
      "NXPROXY-3.5.0 ,a=b "s,
      "NXPROXY-3.5.0 a=b,,c=d "s,
      "NXPROXY-3.5.0 cookie= "s,
      "NXPROXY-3.5.0 cookie=abc "s,
      "NXPROXY-3.5.0 cookie="s + kCookie + "0 "s,
      "NXPROXY-3.5.0 cookie=g123456789abcdef0123456789abcdef "s,
      "NXPROXY-3.5.0 cookie="s + kCookie + ",cookie="s + kCookie + " "s,
      "NXPROXY-"s + std::string(2000, '1'),
      "NXPROXY-"s + std::string(41, '1') + " a=b "s,
      "NXPROXY-3.5.0 a="s + std::string(2000, 'x') + " "s,
      "NXPROXY-3.5.0 a="s + std::string(1008, 'x')};
  for (const auto& bytes : table) {
    Greeting greeting;
    EXPECT_EQ(parse_greeting(bytes, greeting), GreetingState::kBad) << bytes;
  }
}

}  // namespace
}  // namespace panal::broker

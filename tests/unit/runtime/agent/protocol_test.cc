#include "runtime/agent/protocol.h"

#include <gtest/gtest.h>

namespace panal::agent {
namespace {

TEST(AgentFrame, RoundTripsAwkwardValues) {
  Frame frame("welcome");
  frame.add("login", "añ o").add("arg", "a=b c%20").add("arg", "").add("home", "/home/x\n\x7f");
  const auto bytes = encode(frame);
  ASSERT_TRUE(bytes) << bytes.error().message();
  EXPECT_EQ(*bytes, "welcome login=a%c3%b1%20o arg=a%3db%20c%2520 arg= home=/home/x%0a%7f");
  const auto back = decode(*bytes);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->verb, "welcome");
  EXPECT_EQ(back->fields, frame.fields);
  EXPECT_EQ(back->all("arg"), (std::vector<std::string>{"a=b c%20", ""}));
  EXPECT_EQ(back->get("nothing"), "");
}

TEST(AgentFrame, AVerbAloneIsAFrame) {
  const auto frame = decode("suspend");
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->verb, "suspend");
  EXPECT_TRUE(frame->fields.empty());
}

TEST(AgentFrame, MalformedInput) {
  struct Case {
    const char* what;
    std::string bytes;
  };
  std::string fields = "x";
  for (int i = 0; i < 300; ++i) fields += " a=";
  const Case cases[] = {
      {"empty", ""},
      {"only a space", " "},
      {"upper case verb", "Hello"},
      {"digit in verb", "hello1"},
      {"long verb", std::string(33, 'a')},
      {"trailing space", "hello "},
      {"double space", "hello  a=b"},
      {"no equals", "hello ab"},
      {"empty key", "hello =b"},
      {"bad key", "hello a-b=c"},
      {"raw equals in value", "hello a=b=c"},
      {"newline in value", "hello a=b\n"},
      {"NUL in value", std::string("hello a=b\0", 10)},
      {"NUL in verb", std::string("hel\0lo", 6)},
      {"escaped NUL", "hello a=%00"},
      {"cut escape", "hello a=%2"},
      {"lone percent", "hello a=%"},
      {"bad escape", "hello a=%2g"},
      {"high byte", "hello a=\xff"},
      {"too long", "hello a=" + std::string(kFrameBytes, 'b')},
      {"too many fields", fields},
  };
  for (const auto& test : cases) {
    const auto frame = decode(test.bytes);
    ASSERT_FALSE(frame) << test.what;
    EXPECT_EQ(frame.error().code, EPROTO) << test.what;
  }
}

TEST(AgentFrame, EncodeRefusesWhatDecodeWould) {
  EXPECT_EQ(encode(Frame("Bad")).error().code, EINVAL);
  EXPECT_EQ(encode(Frame("x").add("k 1", "v")).error().code, EINVAL);
  EXPECT_EQ(encode(Frame("x").add("k", std::string("a\0b", 3))).error().code, EINVAL);
  EXPECT_EQ(encode(Frame("x").add("k", std::string(kFrameBytes, ' '))).error().code, EMSGSIZE);
}

TEST(AgentFrame, Numbers) {
  const Frame frame = Frame("status").add("idle_ms", "61000").add("bad", "1x").add("neg", "-1");
  EXPECT_EQ(frame.number("idle_ms", 100000).value(), 61000U);
  for (const char* key : {"bad", "neg", "absent"}) {
    EXPECT_EQ(frame.number(key, 10).error().code, EPROTO) << key;
  }
  EXPECT_EQ(frame.number("idle_ms", 60999).error().code, EPROTO);
}

TEST(SessionStateNames, RoundTrip) {
  for (const auto state :
       {SessionState::kNone, SessionState::kStarting, SessionState::kListening,
        SessionState::kConnected, SessionState::kSuspending, SessionState::kSuspended,
        SessionState::kResuming, SessionState::kEnded}) {
    EXPECT_EQ(parse_session_state(to_string(state)).value(), state);
  }
  for (const char* text : {"", "None", "connected ", "x"}) {
    EXPECT_EQ(parse_session_state(text).error().code, EPROTO) << text;
  }
}

}  // namespace
}  // namespace panal::agent

#include "runtime/netpolicy/uplink_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace panal::netpolicy {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

TEST(UplinkWords, AnswersAreReadBack) {
  const UplinkWords words{"veth", "eth0", {"# one", "two\nthree"}};
  EXPECT_EQ(parse_uplink_words(to_json(words)), words);
}

TEST(UplinkWords, WhatIsNoAnswerIsEmpty) {
  for (const char* text : {"[]", "7", "null", "{}", R"({"kind": 1, "device": [], "lines": "x"})",
                           R"({"lines": {"a": "b"}})", R"({"lines": [1, null, ["x"]]})"})
    EXPECT_EQ(parse_uplink_words(json::parse(text)), UplinkWords()) << text;
}

TEST(UplinkWords, SettingsThatAreNoneAreNamedBeforeAnythingIsLookedAt) {
  config::Config config;
  config.uplink = "veth";
  const auto words = describe_uplink(config);
  ASSERT_FALSE(words);
  EXPECT_EQ(words.error().code, EINVAL);
  EXPECT_THAT(words.error().context, HasSubstr("uplink_device"));
}

}  // namespace
}  // namespace panal::netpolicy

#include "runtime/warm/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::warm {
namespace {

using ::testing::HasSubstr;

Result<Order> parsed(const std::vector<std::string>& words) {
  const std::vector<std::string_view> views(words.begin(), words.end());
  return parse_order(views);
}

TEST(WarmOrder, IsReadAsItWasWritten) {
  Order order;
  for (const Verb verb : {Verb::kTouch, Verb::kRecord, Verb::kCool}) {
    order.verb = verb;
    order.root = "/images/icewm/1/root";
    order.record_dir = "/images/icewm/1";
    order.group = verb == Verb::kCool ? "" : "panal-warm";
    order.most_bytes = UINT64_MAX;
    order.bytes_per_second = 5;
    order.most_seconds = 3600;
    order.generation = 3;
    const auto again = parsed(arguments(order));
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(*again, order) << to_string(verb);
  }
}

struct WrongWords {
  std::vector<std::string> words;
  const char* said;
};

TEST(WarmOrder, RefusesWhatIsNone) {
  for (const WrongWords& wrong : std::vector<WrongWords>{
           {{}, "say touch"},
           {{"warm"}, "say touch"},
           {{"touch"}, "--root"},
           {{"touch", "--root"}, "--root needs a value"},
           {{"touch", "--root", "images"}, "--root must be"},
           {{"touch", "--root", "/r"}, "--record-dir must be"},
           {{"record", "--root", "/r", "--record-dir", "x"}, "--record-dir must be"},
           {{"cool", "--root", "/r", "--most-seconds", "0"}, "from 1 to 3600"},
           {{"cool", "--root", "/r", "--most-seconds", "3601"}, "from 1 to 3600"},
           {{"cool", "--root", "/r", "--most-bytes", "-1"}, "--most-bytes"},
           {{"cool", "--root", "/r", "--most-bytes", "1 "}, "--most-bytes"},
           {{"cool", "--root", "/r", "--generation", "many"}, "--generation"},
           {{"cool", "--root", "/r", "--fast", "1"}, "unknown option --fast"},
       }) {
    const auto order = parsed(wrong.words);
    ASSERT_FALSE(order) << wrong.said;
    EXPECT_EQ(order.error().code, EINVAL);
    EXPECT_THAT(order.error().context, HasSubstr(wrong.said));
  }
}

TEST(WarmAnswer, IsFoundBehindTheProgress) {
  Answer answer;
  answer.hot_bytes = 1;
  answer.resident_bytes = 2;
  answer.read_bytes = UINT64_MAX;
  answer.files = 4;
  answer.kept_files = 5;
  answer.missing_files = 6;
  answer.failed_files = 7;
  for (const bool complete : {false, true}) {
    answer.complete = complete;
    const auto read = parse_answer("progress 3\nprogress 100\n" + print_answer(answer));
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(*read, answer);
  }
}

TEST(WarmAnswer, RefusesWhatIsNone) {
  const std::string good = print_answer({});
  EXPECT_TRUE(parse_answer(good));
  for (const std::string& wrong :
       {std::string(), std::string("progress 100\n"), std::string("done\n"), std::string("done \n"),
        good.substr(0, good.size() - 1), std::string("done hot=1 complete=1\n"), "x" + good,
        std::string("done hot=x") + good.substr(10), good.substr(0, good.size() - 2) + "2\n",
        good.substr(0, good.size() - 1) + " more=1\n", "done resident=0" + good.substr(4)})
    EXPECT_EQ(parse_answer(wrong).error().code, EPROTO) << wrong;
}

}  // namespace
}  // namespace panal::warm

#include "netconfine/uplink/program.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace panal::netconfine {
namespace {

TEST(Program, GetsItsInputAndGivesItsOutput) {
  const std::string text(200'000, 'x');  // more than a pipe holds
  const auto output = run_program({"cat"}, text);
  ASSERT_TRUE(output) << output.error().message();
  EXPECT_EQ(output->status, 0);
  EXPECT_EQ(output->out, text);
  EXPECT_EQ(output->error, "");
}

TEST(Program, MayOpenItsInputByName) {
  const auto output = run_program({"cat", "/dev/stdin"}, "words");
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out, "words") << output->error;
}

TEST(Program, NeedNotReadItsInput) {
  const auto output = run_program({"true"}, std::string(200'000, 'x'));
  ASSERT_TRUE(output);
  EXPECT_EQ(output->status, 0);
}

TEST(Program, SaysHowItEnded) {
  EXPECT_EQ(run_program({"sh", "-c", "exit 3"})->status, 3);
  EXPECT_EQ(run_program({"sh", "-c", "kill -9 $$"})->status, 137);
  const auto output = run_program({"sh", "-c", "echo one; echo two >&2"});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out, "one\n");
  EXPECT_EQ(output->error, "two\n");
}

TEST(Program, AStatusIsAnErrorWhereItMustNotBe) {
  const auto output = must_run({"sh", "-c", "echo bad rule >&2; echo more >&2; exit 1"});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, EPROTO);
  EXPECT_NE(output.error().message().find("ended with 1: bad rule"), std::string::npos)
      << output.error().message();
  EXPECT_EQ(*must_run({"echo", "good"}), "good\n");
}

TEST(Program, OneThatIsNotThereIsENOENT) {
  EXPECT_FALSE(has_program("panal-no-such-program"));
  EXPECT_TRUE(has_program("sh"));
  const auto output = run_program({"panal-no-such-program"});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ENOENT);
}

TEST(Program, OneThatTakesTooLongIsEnded) {
  const auto output = run_program({"sleep", "1000"}, {}, std::chrono::milliseconds(50));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ETIMEDOUT);
}

TEST(Program, OneThatSaysTooMuchIsEnded) {
  const auto output = run_program({"yes"});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, E2BIG);
}

TEST(Program, HasAnEnvironmentOfItsOwn) {
  setenv("PANAL_SECRET", "secret", 1);
  const auto output = run_program({"env"});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out.find("secret"), std::string::npos) << output->out;
  EXPECT_NE(output->out.find("LC_ALL=C"), std::string::npos);
}

TEST(Program, WordsAreShownAsTheyAreTyped) {
  EXPECT_EQ(shown({"ip", "link", "set", "eth0", "alias", "panal nic eth0"}),
            "ip link set eth0 alias \"panal nic eth0\"");
}

}  // namespace
}  // namespace panal::netconfine

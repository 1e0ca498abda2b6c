#include "engine/base/run_child.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <string>

#include "engine/base/system_program.h"

namespace panal {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Of a test that hangs: a wait of this length is an error in what is tested.
constexpr std::chrono::seconds kFarTooLong{60};

Result<ChildOutput> run_script(const std::string& script, RunOptions options = {}) {
  if (!options.limit) options.limit = kFarTooLong;
  return run_child({.program = "/bin/sh", .argv = {"sh", "-c", script}}, options);
}

std::ptrdiff_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return std::distance(begin(all), end(all));
}

TEST(RunChild, HearsOutputAndErrors) {
  const std::string script = "echo one; echo two >&2; exit 3";
  const auto apart = run_script(script);
  ASSERT_TRUE(apart) << apart.error().message();
  EXPECT_EQ(apart->output, "one\n");
  EXPECT_EQ(apart->errors, "two\n");
  EXPECT_EQ(apart->end.code(), 3);
  const auto together = run_script(script, {.errors = ChildErrors::kWithOutput});
  ASSERT_TRUE(together);
  EXPECT_EQ(together->output, "one\ntwo\n");
  EXPECT_EQ(together->errors, "");
  const auto dropped = run_script(script, {.errors = ChildErrors::kNowhere});
  ASSERT_TRUE(dropped);
  EXPECT_EQ(dropped->output, "one\n");
  EXPECT_EQ(dropped->errors, "");
}

TEST(RunChild, ASignalIsAnEndLikeOthers) {
  const auto done = run_script("echo last; kill -9 $$");
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->end.by_signal);
  EXPECT_EQ(done->end.code(), 137);
  EXPECT_EQ(done->output, "last\n");
}

TEST(RunChild, InputIsReadOrNot) {
  const std::string text(200'000, 'x');  // more than a pipe holds
  const auto read = run_script("cat", {.input = text});
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->output, text);
  const auto by_name = run_script("cat /dev/stdin", {.input = "words"});
  ASSERT_TRUE(by_name);
  EXPECT_EQ(by_name->output, "words") << by_name->errors;
  const auto unread = run_script("exit 0", {.input = text});
  ASSERT_TRUE(unread);
  EXPECT_TRUE(unread->end.well());
  const auto none = run_script("cat");
  ASSERT_TRUE(none);
  EXPECT_EQ(none->output, "") << "without input it is at the end of it at once";
}

TEST(RunChild, OneThatTakesTooLongIsKilled) {
  const auto before = open_descriptors();
  for (const char* script : {"exec sleep 1000", "exec >&- 2>&-; exec sleep 1000"}) {
    const auto late = run_script(script, {.limit = std::chrono::milliseconds(50)});
    ASSERT_FALSE(late) << script;
    EXPECT_EQ(late.error().code, ETIMEDOUT);
    EXPECT_THAT(late.error().context, StartsWith("/bin/sh: it took too long"));
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(RunChild, OneThatSaysTooMuchIsKilled) {
  for (const char* script : {"exec yes", "exec yes >&2"}) {
    const auto loud = run_script(script);
    ASSERT_FALSE(loud) << script;
    EXPECT_EQ(loud.error().code, E2BIG);
    EXPECT_THAT(loud.error().context, HasSubstr("more than 1048576 bytes"));
  }
  EXPECT_TRUE(run_script("printf 12345", {.most_bytes = 5}));
  EXPECT_EQ(run_script("printf 123456", {.most_bytes = 5}).error().code, E2BIG);
}

TEST(RunChild, TheEndOfWhatItSaysCanBeEnough) {
  const auto done = run_script("head -c 200000 /dev/zero | tr '\\0' x; echo end",
                               {.most_bytes = 10, .keep_end = true});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->output, "xxxxxxend\n");
}

TEST(RunChild, WhoIsLeftBehindWithThePipesIsNotWaitedFor) {
  const auto done = run_script("sleep 1000 & echo $!");
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->end.well());
  const pid_t left = std::stoi(done->output);
  EXPECT_EQ(::kill(left, 0), 0) << "it is not killed either";
  (void)::kill(left, SIGKILL);
}

TEST(RunChild, AllThatWasSaidBeforeTheEndIsHeard) {
  // As much as a pipe holds, in one go and at the very end.
  const auto done = run_script("exec head -c 65536 /dev/zero");
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->output.size(), 65536U);
}

TEST(RunChild, OneThatIsNotThereIsNamed) {
  const auto before = open_descriptors();
  const auto absent = run_child({.program = "/nonexistent/panal-program"});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ENOENT);
  EXPECT_EQ(absent.error().context, "start /nonexistent/panal-program");
  EXPECT_EQ(open_descriptors(), before);
}

TEST(SystemProgram, IsFoundWherePathIsNotAsked) {
  EXPECT_THAT(system_program("sh"), ::testing::EndsWith("/sh"));
  EXPECT_EQ(system_program("panal-no-such-program"), "");
}

}  // namespace
}  // namespace panal

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/base/file_tree.h"
#include "storage/transfer/budget.h"
#include "storage/transfer/fetch_messages.h"
#include "storage/transfer/remote_source.h"
#include "storage/transfer/source.h"

namespace panal::storage {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

PullBudget small_budget() {
  PullBudget budget;
  budget.bytes = 100'000;
  budget.object_bytes = 50'000;
  budget.quiet = milliseconds(1000);
  return budget;
}

TEST(PullGuard, AServerThatSendsNothingHasItsTime) {
  PullGuard guard(small_budget());
  EXPECT_TRUE(guard.look(milliseconds(600), 0, 0));
  EXPECT_TRUE(guard.look(milliseconds(399), 0, 0));
  EXPECT_EQ(guard.look(milliseconds(1), 0, 0).error().code, ETIMEDOUT);
}

TEST(PullGuard, AByteNowAndThenIsNoProgress) {
  PullGuard guard(small_budget());
  std::uint64_t bytes = 0;
  int turns = 0;
  for (; guard.look(milliseconds(100), bytes, bytes / 100); ++bytes) ASSERT_LT(++turns, 100);
  EXPECT_EQ(turns, 9);
}

TEST(PullGuard, SmallObjectsAreProgress) {
  PullGuard guard(small_budget());
  for (std::uint64_t objects = 0; objects < 100; ++objects)
    EXPECT_TRUE(guard.look(milliseconds(50), objects * 90, objects));
}

TEST(PullGuard, BytesInAllAreCounted) {
  PullGuard guard(small_budget());
  EXPECT_TRUE(guard.look(milliseconds(0), 100'000, 1));
  const auto past = guard.look(milliseconds(0), 100'001, 1);
  EXPECT_EQ(past.error().code, EFBIG);
}

TEST(ArchivePath, TakesWhatArchivesHave) {
  for (const char* good : {"panal-images", "objects/ab/cdef0123.filez", "a/b.c/d-e_f", "config"})
    EXPECT_TRUE(is_archive_path(good)) << good;
  for (const std::string& bad :
       {std::string(), std::string("/etc/passwd"), std::string("../x"), std::string("a/../b"),
        std::string("a//b"), std::string("a/"), std::string("."), std::string("a/.b"),
        std::string("a b"), std::string("a?b"), std::string("a%2e"), std::string("a\0b", 3),
        std::string("a\nb"), std::string("a/b...filez"), std::string(201, 'a')})
    EXPECT_FALSE(is_archive_path(bad)) << bad;
}

TEST(ArchiveUrl, IsCheckedAndShownWithoutItsPassword) {
  for (const char* good : {"https://h", "http://h:8080/images/", "https://user:word@h/x"})
    EXPECT_TRUE(check_url(good)) << good;
  for (const char* bad : {"", "ftp://h/x", "file:///etc", "https://", "https:///x", "https://h/a b",
                          "https://h/\n", "https://h/?x", "https://h/#x", "//h", "-o"})
    EXPECT_EQ(check_url(bad).error().code, EINVAL) << bad;
  EXPECT_EQ(shown_url("https://user:word@h/x/"), "https://h/x");
  EXPECT_EQ(shown_url("https://user:w@rd@h/x"), "https://h/x");
  EXPECT_EQ(shown_url("http://h/a@b"), "http://h/a@b");
  EXPECT_THAT(check_url("https://user:word@h/a b").error().message(),
              ::testing::Not(HasSubstr("word")));
}

TEST(FetchMessages, ComeBack) {
  FetchSetup setup;
  setup.url = "https://h/images";
  setup.uid = 7;
  setup.gid = 8;
  setup.most_file_bytes = 1 << 20;
  setup.authorization = "Bearer x";
  const auto setup_again = parse_setup(print_setup(setup));
  ASSERT_TRUE(setup_again) << setup_again.error().message();
  EXPECT_EQ(print_setup(*setup_again), print_setup(setup));
  const auto request = parse_request(print_request({3, "objects/ab/c.filez", 99}));
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(request->id, 3U);
  EXPECT_EQ(request->path, "objects/ab/c.filez");
  EXPECT_EQ(request->most_bytes, 99U);
  const auto answer = parse_answer(print_answer({3, FetchOutcome::kTooLarge, "a\nb\xff"}));
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(answer->outcome, FetchOutcome::kTooLarge);
  EXPECT_THAT(answer->words, ::testing::Not(HasSubstr("\n")));
}

TEST(MalformedFetchMessages, Table) {
  for (const char* text :
       {"", "{", "[]", "null", "7", "{}", R"({"id":1})", R"({"id":0,"path":"a","most_bytes":1})",
        R"({"id":-1,"path":"a","most_bytes":1})", R"({"id":1,"path":"/a","most_bytes":1})",
        R"({"id":1,"path":"../a","most_bytes":1})", R"({"id":1,"path":7,"most_bytes":1})",
        R"({"id":1,"path":"a","most_bytes":1.5})",
        R"({"id":1,"path":"a","most_bytes":18446744073709551615})",
        R"({"id":"1","path":"a","most_bytes":1})"})
    EXPECT_EQ(parse_request(text).error().code, EPROTO) << text;
  for (const char* text :
       {"", "{}", R"({"id":1,"outcome":"other","words":""})", R"({"id":1,"outcome":2,"words":""})",
        R"({"id":1,"outcome":"done"})", R"({"id":-1,"outcome":"done","words":""})"})
    EXPECT_EQ(parse_answer(text).error().code, EPROTO) << text;
  FetchSetup setup;
  setup.authorization = "a\r\nHost: b";
  EXPECT_EQ(parse_setup(print_setup(setup)).error().code, EPROTO);
  EXPECT_FALSE(parse_setup(R"({"url":"x"})"));
  EXPECT_FALSE(parse_answer(std::string(kMostFetchMessage + 1, ' ')));
}

TEST(FetchMessages, CarryADescriptor) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd left(ends[0]);
  const UniqueFd right(ends[1]);
  EXPECT_EQ(receive_message(right.get(), false).error().code, EAGAIN);
  int pipes[2];
  ASSERT_EQ(::pipe2(pipes, O_CLOEXEC), 0);
  const UniqueFd reading(pipes[0]);
  UniqueFd writing(pipes[1]);
  ASSERT_TRUE(send_message(left.get(), "with", writing.get()));
  ASSERT_TRUE(send_message(left.get(), "without"));
  writing.reset();
  {
    const auto with = receive_message(right.get(), true);
    ASSERT_TRUE(with);
    EXPECT_EQ(with->text, "with");
    ASSERT_TRUE(with->file);
    ASSERT_EQ(::write(with->file.get(), "x", 1), 1);
  }
  char byte = 0;
  EXPECT_EQ(::read(reading.get(), &byte, 1), 1);
  EXPECT_EQ(::read(reading.get(), &byte, 1), 0) << "nobody else holds it";
  const auto without = receive_message(right.get(), true);
  EXPECT_FALSE(without->file);
  left.reset();
  const auto end = receive_message(right.get(), true);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->text.empty());
}

TEST(FetchMessages, TheLastWordsOfWhoEndedAreRead) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd left(ends[0]);
  UniqueFd right(ends[1]);
  ASSERT_TRUE(send_message(left.get(), "never read"));
  ASSERT_TRUE(send_message(right.get(), "I give up"));
  right.reset();
  EXPECT_EQ(receive_message(left.get(), true)->text, "I give up");
  EXPECT_EQ(receive_message(left.get(), true)->text, "");
  EXPECT_FALSE(send_message(left.get(), "too late"));
}

class LocalSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "archive.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
    std::filesystem::create_directories(dir_ + "/archive/objects");
    std::ofstream(dir_ + "/archive/objects/one") << "1234";
    std::ofstream(dir_ + "/secret") << "secret";
    auto source = open_local_source(dir_ + "/archive");
    ASSERT_TRUE(source) << source.error().message();
    source_ = std::move(*source);
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(dir_)); }
  std::string dir_;
  std::unique_ptr<Source> source_;
};

TEST_F(LocalSourceTest, GivesWhatIsThere) {
  EXPECT_EQ(source_->next().error().code, EINVAL);
  const auto file = fetch_one(*source_, "objects/one", 4);
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(*read_fetched(file->get(), 4), "1234");
  EXPECT_EQ(read_fetched(file->get(), 3).error().code, EFBIG);
  EXPECT_EQ(fetch_one(*source_, "objects/one", 3).error().code, EFBIG);
  EXPECT_EQ(fetch_one(*source_, "objects/two", 4).error().code, ENOENT);
  EXPECT_EQ(open_local_source(dir_ + "/none").error().code, ENOENT);
}

TEST_F(LocalSourceTest, LeavesItsDirectoryByNoLink) {
  ASSERT_EQ(::symlink("../secret", (dir_ + "/archive/out").c_str()), 0);
  ASSERT_EQ(::symlink(dir_.c_str(), (dir_ + "/archive/up").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir_ + "/archive/pipe").c_str(), 0600), 0);
  for (const char* path : {"out", "up/secret", "pipe", "objects"}) {
    const auto file = fetch_one(*source_, path, 100);
    ASSERT_FALSE(file) << path;
    EXPECT_NE(file.error().code, ENOENT) << path;
  }
  EXPECT_EQ(fetch_one(*source_, "../secret", 100).error().code, EINVAL);
}

TEST(OpenSource, TellsDirectoriesFromServers) {
  const FetchHelper none{"/nonexistent", "/nonexistent", 1, 1};
  const auto open = [&none](const std::string& url) {
    return open_source({url, "", "", ""}, none, {});
  };
  EXPECT_TRUE(open("/"));
  EXPECT_TRUE(open("file:///"));
  EXPECT_EQ(open("/nonexistent").error().code, ENOENT);
  for (const char* bad : {"file://host/images", "ftp://host/images", "file://"})
    EXPECT_EQ(open(bad).error().code, EINVAL) << bad;
}

TEST(RemoteSource, IsNotStartedForRootAsRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_EQ(start_remote_source({"http://h", "", "", ""}, {"/nonexistent", "/tmp", 0, 0}, {})
                .error()
                .code,
            EINVAL);
  EXPECT_EQ(start_remote_source({"http://h", "", "", ""}, {"/nonexistent", "/tmp", 1, 1}, {})
                .error()
                .code,
            ENOENT);
}

}  // namespace
}  // namespace panal::storage

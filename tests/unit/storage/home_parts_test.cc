#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/base/unique_fd.h"
#include "storage/backup/backup.h"
#include "storage/home/home_call.h"
#include "storage/home/home_lock.h"
#include "storage/home/lost_homes.h"

namespace panal::storage {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(HomeOwnerText, IsReadBack) {
  for (const HomeOwner& owner :
       {HomeOwner{"d7", ""}, HomeOwner{"d7", "node-1.example"}, HomeOwner{"backup-12", "n_1"}})
    EXPECT_EQ(*parse_home_owner(owner.text()), owner);
}

TEST(HomeOwnerText, RefusesWhatNobodyWrites) {
  for (const char* text :
       {"", "@", "@n1", "d7@", "d7@n1@n2", "d 7", "d7\n", "d7@n\x1b", "d7/x", "\xc3\xa4"})
    EXPECT_FALSE(parse_home_owner(text)) << text;
  EXPECT_FALSE(parse_home_owner(std::string(101, 'a')));
}

TEST(HomeLockNames, AreToldFromOtherHiddenNames) {
  EXPECT_EQ(locked_home(".alice.lock"), "alice");
  EXPECT_EQ(locked_home(".lock.alice.lock"), "lock.alice");
  for (const char* name : {"", ".lock", "alice.lock", ".lock.n1.a1b2c3", ".alice.img",
                           "..new.alice", "..lock.n1.a1b2c3"})
    EXPECT_EQ(locked_home(name), "") << name;
}

home_call::Call full_call() {
  home_call::Call call;
  call.verb = home_call::Verb::kAttach;
  call.homes_dir = "/srv/homes with spaces";
  call.rules = {"n1", QuotaKind::kLoop, {1 << 30, 1000}};
  call.spec = {"acme", "alice", "d7", 1000, 100, {65536, 65536}, "/run/x/home", true, "d3@n2"};
  call.words = {"d1", "", "--homes"};
  return call;
}

TEST(HomeCall, IsReadBack) {
  const auto words = home_call::to_words(full_call());
  const auto back = home_call::parse_words(words);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(home_call::to_words(*back), words);
  EXPECT_EQ(back->spec.home, "alice");
  EXPECT_EQ(back->rules.limit.bytes, 1U << 30U);
  EXPECT_EQ(back->words.size(), 3U);
}

TEST(HomeCall, EachVerbIsReadBack) {
  using home_call::Verb;
  for (const Verb verb : {Verb::kAttach, Verb::kDetach, Verb::kRelease, Verb::kRecover,
                          Verb::kRemove, Verb::kProbe}) {
    home_call::Call call;
    call.verb = verb;
    const auto back = home_call::parse_words(home_call::to_words(call));
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(back->verb, verb) << home_call::to_string(verb);
  }
}

TEST(HomeCall, RefusesWordsThatMeanNothing) {
  using Words = std::vector<std::string>;
  for (const Words& words :
       {Words{}, Words{"burn"}, Words{"attach", "--uid"}, Words{"attach", "--uid", ""},
        Words{"attach", "--uid", "-1"}, Words{"attach", "--uid", "4294967296"},
        Words{"attach", "--uid", "1x"}, Words{"attach", "--quota", "auto"},
        Words{"attach", "--leased", "yes"}, Words{"attach", "home", "alice"}}) {
    const auto call = home_call::parse_words(words);
    ASSERT_FALSE(call);
    EXPECT_EQ(call.error().code, EINVAL);
  }
}

TEST(HomeAnswer, IsReadAsFarAsItCame) {
  using home_call::parse_answer;
  using home_call::print_at;
  using home_call::print_bad;
  using home_call::print_result;
  const std::string whole = print_at(0) + print_at(1) + print_bad(1, {ESTALE, "look at /x"}) +
                            print_at(2) + print_result({});
  const auto answer = parse_answer(whole);
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_TRUE(answer->complete);
  EXPECT_TRUE(answer->result);
  ASSERT_EQ(answer->each.size(), 3U);
  EXPECT_TRUE(answer->each[0] && answer->each[2]);
  EXPECT_EQ(answer->each[1].error().code, ESTALE);
  EXPECT_EQ(answer->each[1].error().context, "look at /x");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto part = parse_answer(std::string_view(whole).substr(0, size));
    ASSERT_TRUE(part) << size;
    EXPECT_FALSE(part->complete) << size;
  }
  EXPECT_EQ(parse_answer(print_at(0) + "at 1")->at, 0) << "half of a line was not said";
  const auto failed = parse_answer(print_result(fail(EBUSY, "home alice\nis open")));
  ASSERT_TRUE(failed && failed->complete);
  EXPECT_EQ(failed->result.error().code, EBUSY);
}

TEST(HomeAnswer, RefusesWhatTheProgramNeverSays) {
  for (const char* text : {"hello\n", "at\n", "at x\n", "at 1\n", "at 0 more\n", "bad 0 5 x\n",
                           "at 0\nbad 1 5 x\n", "at 0\nbad 0 x\n", "at 0\nbad 0 -5 x\n", "failed\n",
                           "failed 99999 x\n", "done\ndone\n", "done now\n", "\n"}) {
    const auto answer = home_call::parse_answer(text);
    ASSERT_FALSE(answer) << text;
    EXPECT_EQ(answer.error().code, EPROTO) << text;
  }
}

TEST(LostHomesRule, WaitsForAServerAndNotForAStaleHandle) {
  LostHomes lost(seconds(60));
  const LostHomes::Time start{};
  const Result<void> late = fail(ETIMEDOUT, "no answer");
  const Result<void> stale = fail(ESTALE, "look at it");
  EXPECT_FALSE(lost.look("d1", late, start));
  EXPECT_FALSE(lost.look("d1", late, start + seconds(59)));
  EXPECT_FALSE(lost.look("d1", {}, start + seconds(60))) << "it came back";
  EXPECT_FALSE(lost.look("d1", late, start + seconds(61)));
  const auto why = lost.look("d1", late, start + seconds(121));
  ASSERT_TRUE(why);
  EXPECT_THAT(*why, HasSubstr("no answer for 60 s"));
  EXPECT_FALSE(lost.look("d1", late, start + seconds(200))) << "told once";

  EXPECT_FALSE(lost.look("d2", stale, start)) << "once may be chance";
  const auto gone = lost.look("d2", stale, start + seconds(15));
  ASSERT_TRUE(gone);
  EXPECT_THAT(*gone, HasSubstr("Stale file handle"));
  EXPECT_FALSE(lost.look("d3", stale, start));
  EXPECT_FALSE(lost.look("d3", late, start + seconds(15)));
  EXPECT_FALSE(lost.look("d3", stale, start + seconds(30))) << "twice in a row";
  lost.forget("d2");
  EXPECT_FALSE(lost.look("d2", stale, start + seconds(40))) << "another life";
}

TEST(BackupTexts, AreReadBack) {
  const backup::Label label{"acme", "alice"};
  EXPECT_EQ(backup::parse_label(backup::print_label(label))->home, "alice");
  const backup::Sum sum{std::string(64, 'a'), 12, 34};
  const auto back = backup::parse_sum(backup::print_sum(sum));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->sum, sum.sum);
  EXPECT_EQ(back->entries, 12U);
  EXPECT_EQ(back->bytes, 34U);
}

TEST(BackupTexts, RefuseWhatIsDamaged) {
  for (const char* text :
       {"", "panal-home 1", "panal-home 1\n", "panal-home 2\ntenant a\nhome b\n",
        "tar\ntenant a\nhome b\n", "panal-home 1\ntenant \nhome b\n",
        "panal-home 1\ntenant a\nhome ../b\n", "panal-home 1\ntenant a\nhome b\nmore\n",
        "panal-home 1\nhome b\ntenant a\n"}) {
    const auto label = backup::parse_label(text);
    ASSERT_FALSE(label) << text;
    EXPECT_EQ(label.error().code, EPROTO);
  }
  EXPECT_THAT(backup::parse_label("panal-home 2\n").error().context, HasSubstr("newer Panal"));
  const std::string digits(64, '0');
  for (const std::string& text :
       {std::string(), "sha256 " + digits + "\n", std::string("sha256 12\nentries 1\nbytes 1\n"),
        "sha256 " + std::string(64, 'G') + "\nentries 1\nbytes 1\n",
        "sha256 " + digits + "\nentries x\nbytes 1\n",
        "sha256 " + digits + "\nentries 1\nbytes -1\n",
        "sha256 " + digits + "\nentries 1\nbytes 1\n\n",
        "sha256 " + digits + "\nentries 1\nbytes 99999999999999999999\n"})
    EXPECT_FALSE(backup::parse_sum(text)) << text;
}

TEST(BackupNames, StayBelowHome) {
  EXPECT_EQ(*backup::parse_entry_name("home"), "");
  EXPECT_EQ(*backup::parse_entry_name("home/"), "");
  EXPECT_EQ(*backup::parse_entry_name("home/a/b"), "a/b");
  EXPECT_EQ(*backup::parse_entry_name("home/..a"), "..a");
  for (const char* name : {"", "/", "/home/a", "homes/a", "home//a", "home/../a", "home/a/..",
                           "home/./a", "./home/a", "etc/passwd", "home/a//"})
    EXPECT_EQ(backup::parse_entry_name(name).has_value(), std::string(name) == "home/a//") << name;
  EXPECT_FALSE(backup::parse_entry_name("home/" + std::string(256, 'a')));
}

class BackupStream : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "backup-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    fs::create_directories(dir_ / "home/b/c");
    std::ofstream(dir_ / "home/a") << "first";
    std::ofstream(dir_ / "home/b/c/d") << std::string(200'000, '\0') << "end";
    fs::create_symlink("a", dir_ / "home/link");
    fs::create_hard_link(dir_ / "home/a", dir_ / "home/z");
  }
  void TearDown() override { fs::remove_all(dir_); }

  Result<backup::Report> write(const std::string& name) {
    const UniqueFd tree(::open((dir_ / "home").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd out(::open((dir_ / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    return backup::write(tree.get(), {"acme", "alice"}, out.get(), {});
  }
  Result<backup::Report> check(const std::string& name, const backup::Budget& budget = {}) {
    const UniqueFd in(::open((dir_ / name).c_str(), O_RDONLY | O_CLOEXEC));
    return backup::read(in.get(), -1, budget, {});
  }
  std::string bytes(const std::string& name) {
    std::ifstream in(dir_ / name, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  fs::path dir_;
};

TEST_F(BackupStream, IsTheSameTwiceAndChecks) {
  const auto report = write("one");
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->entries, 7U) << "home, a, b, b/c, b/c/d, link, z";
  EXPECT_EQ(report->bytes, 5U + 200'003U);
  ASSERT_TRUE(write("two"));
  EXPECT_EQ(bytes("one"), bytes("two"));
  const auto checked = check("one");
  ASSERT_TRUE(checked) << checked.error().message();
  EXPECT_EQ(checked->sum, report->sum);
  EXPECT_EQ(checked->label.home, "alice");
  fs::permissions(dir_ / "home/a", fs::perms::owner_read);
  EXPECT_NE(write("three")->sum, report->sum) << "a mode is content as well";
}

TEST_F(BackupStream, ComesBackInto) {
  if (::getuid() > 65535) GTEST_SKIP() << "ids past those of desktops";
  const auto report = write("one");
  ASSERT_TRUE(report);
  fs::create_directory(dir_ / "back");
  const UniqueFd tree(::open((dir_ / "back").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd in(::open((dir_ / "one").c_str(), O_RDONLY | O_CLOEXEC));
  const auto read = backup::read(in.get(), tree.get(), {}, {});
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(bytes("back/a"), "first");
  EXPECT_EQ(bytes("back/b/c/d"), bytes("home/b/c/d"));
  EXPECT_EQ(fs::hard_link_count(dir_ / "back/a"), 2U);
  EXPECT_EQ(fs::read_symlink(dir_ / "back/link"), "a");
  struct stat holes{};
  ASSERT_EQ(::stat((dir_ / "back/b/c/d").c_str(), &holes), 0);
  EXPECT_LT(holes.st_blocks * 512, 100'000) << "zeros are holes";
}

TEST_F(BackupStream, SaysWhenItIsNoneOrCutOrTooMuch) {
  ASSERT_TRUE(write("one"));
  std::ofstream(dir_ / "text") << "hello, this is no backup at all";
  for (const char* name : {"text", "home/a"}) {
    const auto read = check(name);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, EPROTO) << read.error().message();
  }
  const std::string whole = bytes("one");
  for (std::size_t cut = 0; cut < whole.size(); cut += 1 + whole.size() / 50) {
    std::ofstream(dir_ / "cut", std::ios::binary) << whole.substr(0, cut);
    const auto read = check("cut");
    ASSERT_FALSE(read) << cut << " of " << whole.size();
    EXPECT_EQ(read.error().code, EPROTO) << read.error().message();
  }
  EXPECT_EQ(check("one", {100'000, 0}).error().code, EFBIG);
  EXPECT_EQ(check("one", {0, 3}).error().code, EFBIG);
  EXPECT_TRUE(check("one", {200'008, 7}));
}

}  // namespace
}  // namespace panal::storage

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "runtime/broker/auth/password.h"
#include "tests/unit/runtime/cli/commands_fixture.h"

namespace panal::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

struct UsageError {
  std::vector<std::string> words;
  const char* said;
};

TEST_F(Commands, UsageErrorsAreOneSentenceAndExitTwo) {
  for (const UsageError& wrong : std::vector<UsageError>{
           {{}, "say what to do"},
           {{"desktop"}, "panal desktop --help lists the commands"},
           {{"nonsense"}, "nonsense"},
           {{"desktop", "nonsense"}, "nonsense"},
           {{"desktop", "start", "--nonsense", "x"}, "--nonsense"},
           {{"desktop", "start"}, "name the desktops, or say --all"},
           {{"desktop", "start", "x", "--all"}, "name the desktops, or say --all"},
           {{"desktop", "create", "x", "--user", "a"}, "--image is required"},
           {{"desktop", "create", "x", "--user", "a", "--image", "i", "--count", "0"}, "--count"},
           {{"desktop", "create", "x", "--user", "a", "--image", "i", "--count", "2"}, "%d"},
           {{"desktop", "create", "A_b", "--user", "a", "--image", "i"}, "no desktop name"},
           {{"desktop", "logs"}, "NAME is required"},
           {{"user", "add"}, "LOGIN is required"},
           {{"user", "add", "Root", "--generate"}, "no login name"},
           {{"user", "add", "x", "--uid", "0"}, "--uid"},
           {{"user", "add", "x", "--uid", "many"}, "--uid"},
           {{"user", "add", "x", "--generate", "--password-file", "f"}, "--generate"},
           {{"user", "add", "x", "--generate", "--group", "audio"}, "no group"},
           {{"user", "add", "x", "--generate", "--timezone", "../../etc/passwd"}, "no time zone"},
           {{"user", "add", "x", "--generate", "--shell", "bash"}, "no shell"},
           {{"user", "add", "x", "--generate", "--keyboard", "es"}, "no keyboard"},
           {{"user", "add", "x", "--generate", "--lang", "a b"}, "no language"},
           {{"user", "set", "x"}, "--trust is required"},
           {{"user", "set", "x", "--trust", "A b"}, "no trust level"},
           {{"tenant"}, "say what to do"},
           {{"tenant", "set"}, "TENANT is required"},
           {{"tenant", "set", "default"}, "--share-memory is required"},
           {{"tenant", "set", "default", "--share-memory", "maybe"}, "--share-memory"},
           {{"tenant", "set", "A b", "--share-memory", "yes"}, "no tenant name"},
           {{"image", "build"}, "RECIPE is required"},
           {{"up", "--first-desktop", "a", "b"}, "b"},
           {{"metrics", "--json", "--textfile", "x"}, "--json"},
           {{"metrics", "--textfile"}, "--textfile"},
       }) {
    EXPECT_EQ(panal(wrong.words), ExitCode::kUsage) << testing::PrintToString(wrong.words);
    EXPECT_THAT(err(), HasSubstr(wrong.said)) << testing::PrintToString(wrong.words);
    const std::string text = err();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    EXPECT_EQ(out(), "");
  }
  EXPECT_TRUE(backends_.farm.users.empty());
}

TEST_F(Commands, BrokenConfigurationIsAUsageErrorThatNamesTheLine) {
  std::ofstream(directory_ + "/panal.toml") << "\n[broker]\nprot = 1\n";
  EXPECT_EQ(panal({"user", "ls"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("panal.toml:3: unknown key prot in [broker]"));
  EXPECT_EQ(panal({"version"}), ExitCode::kOk);
}

TEST_F(Commands, HelpGoesToOutAndNamesTheExitCodes) {
  EXPECT_EQ(panal({"desktop", "start", "--help"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("Usage: panal desktop start"));
  EXPECT_THAT(out(), HasSubstr("Exit codes: 0 done"));
  EXPECT_EQ(err(), "");
}

TEST_F(Commands, MetricsPrintsWhatPanaldCounts) {
  const std::string text = "# HELP a A.\n# TYPE a counter\na 1\n";
  backends_.farm.node_answer = {{"ok", true}, {"text", text}};
  EXPECT_EQ(panal({"metrics"}), ExitCode::kOk) << err();
  EXPECT_EQ(out(), text);
  EXPECT_EQ(backends_.farm.requests.back(), (nlohmann::json{{"op", "metrics"}}));
  backends_.farm.node_answer = {{"ok", true}, {"families", {{{"name", "a"}}}}};
  EXPECT_EQ(panal({"metrics", "--json"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()[0]["name"], "a");
  EXPECT_EQ(backends_.farm.requests.back().value("format", ""), "json");
  backends_.farm.node_answer = {{"ok", true}};
  EXPECT_EQ(panal({"metrics"}), ExitCode::kFailed);
  EXPECT_THAT(err(), HasSubstr("no metrics"));
  backends_.farm.node_answers = false;
  EXPECT_EQ(panal({"metrics"}), ExitCode::kNotRunning);
}

TEST_F(Commands, MetricsReplacesATextfileWhole) {
  const std::string file = directory_ + "/panal.prom";
  const auto content = [&file] {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  std::ofstream(file) << "former";
  backends_.farm.node_answer = {{"ok", true}, {"text", "a 1\n"}};
  EXPECT_EQ(panal({"metrics", "--textfile", file}), ExitCode::kOk) << err();
  EXPECT_EQ(out(), "");
  EXPECT_EQ(content(), "a 1\n");
  EXPECT_EQ(static_cast<unsigned>(std::filesystem::status(file).permissions()), 0644U);
  // What fails leaves the former one, and nothing beside it.
  backends_.farm.node_answers = false;
  EXPECT_EQ(panal({"metrics", "--textfile", file}), ExitCode::kNotRunning);
  EXPECT_EQ(content(), "a 1\n");
  backends_.farm.node_answers = true;
  EXPECT_EQ(panal({"metrics", "--textfile", directory_ + "/none/x.prom"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("none/"));
  EXPECT_NE(panal({"metrics", "--textfile", directory_}), ExitCode::kOk) << "a directory";
  for (const auto& entry : std::filesystem::directory_iterator(directory_))
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr(".new")));
}

TEST_F(Commands, NoDatabaseIsExitThree) {
  backends_.farm.database_answers = false;
  EXPECT_EQ(panal({"user", "ls"}), ExitCode::kNotRunning);
  EXPECT_THAT(err(), HasSubstr("connect to PostgreSQL"));
}

TEST_F(Commands, UserAddKeepsAHashAndGivesUidsInOrder) {
  EXPECT_EQ(panal({"user", "add", "alice", "--password-file", directory_ + "/password", "--group",
                   "audio:29"}),
            ExitCode::kOk);
  EXPECT_EQ(panal({"user", "add", "bob", "--generate", "--uid", "2000"}), ExitCode::kOk);
  const auto shown = out().substr(out().find("shown only now: ") + 16, 19);
  EXPECT_EQ(panal({"user", "add", "carol", "--generate", "--uid", "2000"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("belongs to user bob"));
  EXPECT_EQ(panal({"user", "add", "carol", "--generate"}), ExitCode::kOk);
  const auto& users = backends_.farm.users;
  ASSERT_EQ(users.size(), 3U);
  EXPECT_EQ(users[0].uid, 1000U);
  EXPECT_EQ(users[0].groups, (std::vector<std::pair<std::string, std::uint32_t>>{{"audio", 29}}));
  EXPECT_TRUE(*auth::verify_password(users[0].password_hash, "correct horse"));
  EXPECT_TRUE(*auth::verify_password(users[1].password_hash, shown)) << shown;
  EXPECT_EQ(users[2].uid, 2001U);
  EXPECT_EQ(panal({"user", "ls", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json().size(), 3U);
  EXPECT_THAT(out(), Not(HasSubstr("argon2")));
}

TEST_F(Commands, UserAddTwiceIsRefusedAndChangesNothing) {
  farm_with_desktops(1);
  const auto before = backends_.farm.users[0].password_hash;
  EXPECT_EQ(panal({"user", "add", "alice", "--generate"}), ExitCode::kRefused);
  EXPECT_EQ(backends_.farm.users[0].password_hash, before);
}

TEST_F(Commands, EmptyOrMissingPasswordFileIsRefused) {
  std::ofstream(directory_ + "/empty") << "\nsecond line\n";
  EXPECT_EQ(panal({"user", "add", "x", "--password-file", directory_ + "/empty"}),
            ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("empty"));
  EXPECT_EQ(panal({"user", "add", "x", "--password-file", directory_ + "/none"}),
            ExitCode::kNotFound);
  EXPECT_TRUE(backends_.farm.users.empty());
}

TEST_F(Commands, UserWithDesktopsStaysAndTheyAreNamed) {
  farm_with_desktops(2);
  EXPECT_EQ(panal({"user", "rm", "alice"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("d-1, d-2"));
  EXPECT_EQ(panal({"user", "rm", "nobody"}), ExitCode::kNotFound);
  backends_.farm.desktops.clear();
  EXPECT_EQ(panal({"user", "rm", "alice", "--dry-run"}), ExitCode::kOk);
  EXPECT_EQ(backends_.farm.users.size(), 1U);
  EXPECT_EQ(panal({"user", "rm", "alice"}), ExitCode::kOk);
  EXPECT_TRUE(backends_.farm.users.empty());
}

TEST_F(Commands, CreateChecksEverythingBeforeItCreatesAnything) {
  farm_with_desktops(2);
  EXPECT_EQ(panal({"desktop", "create", "x", "--user", "zoe", "--image", "icewm"}),
            ExitCode::kNotFound);
  EXPECT_EQ(panal({"desktop", "create", "x", "--user", "alice", "--image", "xfce"}),
            ExitCode::kNotFound);
  EXPECT_EQ(
      panal({"desktop", "create", "d-%d", "--count", "3", "--user", "alice", "--image", "icewm"}),
      ExitCode::kRefused);
  EXPECT_EQ(panal({"desktop", "create", "x", "--user", "alice", "--image", "icewm", "--dry-run"}),
            ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("would create x"));
  EXPECT_EQ(backends_.farm.desktops.size(), 2U);
}

TEST_F(Commands, NumberedDesktopsHaveHomesOfTheirOwn) {
  farm_with_desktops(2);
  EXPECT_EQ(backends_.farm.desktops.at(2).home, "d-2");
  EXPECT_EQ(panal({"desktop", "create", "one", "--user", "alice", "--image", "icewm"}),
            ExitCode::kOk);
  EXPECT_EQ(backends_.farm.desktops.at(3).home, "alice");
}

TEST_F(Commands, StartWaitsAndStopStops) {
  farm_with_desktops(3);
  EXPECT_EQ(panal({"desktop", "start", "d-1", "2"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("2 desktops running"));
  EXPECT_EQ(backends_.farm.desktops.at(3).observed, store::Observed::kStopped);
  EXPECT_EQ(panal({"desktop", "stop", "--all"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.desktops.at(1).observed, store::Observed::kStopped);
}

TEST_F(Commands, AFailedStartGivesReasonAndEvidenceWithoutControlCharacters) {
  farm_with_desktops(2);
  backends_.farm.cannot_start = {1};
  EXPECT_EQ(panal({"desktop", "start", "--all"}), ExitCode::kFailed);
  EXPECT_THAT(out(), HasSubstr("1 desktops running"));
  EXPECT_THAT(err(), HasSubstr("d-1 failed: compose: no space left\n  log: mount: ENOSPC"));
  EXPECT_EQ(err().find('\x1b'), std::string::npos);
  // Its old failure is not taken for the answer to a new start.
  backends_.farm.cannot_start.clear();
  EXPECT_EQ(panal({"desktop", "start", "d-1"}), ExitCode::kOk) << err();
}

TEST_F(Commands, StartWithoutPanaldIsNotedAndSaysSo) {
  farm_with_desktops(1);
  backends_.farm.node_answers = false;
  EXPECT_EQ(panal({"desktop", "start", "d-1"}), ExitCode::kNotRunning);
  EXPECT_THAT(err(), HasSubstr("panal up starts it"));
  EXPECT_EQ(backends_.farm.desktops.at(1).desired, store::Desired::kRunning);
}

TEST_F(Commands, NoWaitReturnsAtOnceAndDryRunDoesNothing) {
  farm_with_desktops(1);
  EXPECT_EQ(panal({"desktop", "start", "d-1", "--dry-run"}), ExitCode::kOk);
  EXPECT_EQ(backends_.farm.desktops.at(1).desired, store::Desired::kStopped);
  EXPECT_EQ(panal({"desktop", "start", "d-1", "--no-wait"}), ExitCode::kOk);
  EXPECT_EQ(backends_.farm.desktops.at(1).desired, store::Desired::kRunning);
  EXPECT_EQ(backends_.farm.desktops.at(1).observed, store::Observed::kStopped);
}

TEST_F(Commands, AmbiguousNamesAreRefused) {
  farm_with_desktops(1);
  store::Desktop other = backends_.farm.desktops.at(1);
  other.id = 9;
  other.tenant = "acme";
  backends_.farm.desktops[9] = other;
  EXPECT_EQ(panal({"desktop", "show", "d-1"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("id 9"));
  EXPECT_EQ(panal({"desktop", "show", "d-1", "--tenant", "acme", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()["id"], 9);
  EXPECT_EQ(panal({"desktop", "show", "9", "--json"}), ExitCode::kOk);
  EXPECT_EQ(panal({"desktop", "show", "nope"}), ExitCode::kNotFound);
}

TEST_F(Commands, ShowMergesWhatTheKernelSays) {
  farm_with_desktops(1);
  backends_.farm.node_answer = {{"ok", true},
                                {"desktops",
                                 {{{"id", 1},
                                   {"pid", 4242},
                                   {"memory_bytes", 7},
                                   {"session", "connected"},
                                   {"name", "liar"}}}}};
  EXPECT_EQ(panal({"desktop", "show", "d-1", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()["pid"], 4242);
  EXPECT_EQ(json()["session"], "connected");
  EXPECT_EQ(json()["state"], "stopped");
  EXPECT_EQ(json()["memory_bytes"], 7);
  EXPECT_EQ(json()["name"], "d-1");
}

TEST_F(Commands, RemoveRefusesARunningDesktopAndKeepsTheOthersOfTheCall) {
  farm_with_desktops(2);
  backends_.farm.desktops.at(2).observed = store::Observed::kRunning;
  EXPECT_EQ(panal({"desktop", "rm", "--all"}), ExitCode::kRefused);
  EXPECT_EQ(backends_.farm.desktops.size(), 2U);
  const std::string upper = directory_ + "/state/desktops/d1/upper/x";
  std::filesystem::create_directories(upper);
  EXPECT_EQ(panal({"desktop", "rm", "d-1", "--dry-run"}), ExitCode::kOk);
  EXPECT_EQ(backends_.farm.desktops.size(), 2U);
  EXPECT_EQ(panal({"desktop", "rm", "d-1"}), ExitCode::kOk) << err();
  EXPECT_EQ(backends_.farm.desktops.size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/state/desktops/d1"));
}

TEST_F(Commands, LogsShowTheReasonAndTheEndOfEachFile) {
  farm_with_desktops(1);
  EXPECT_EQ(panal({"desktop", "logs", "d-1"}), ExitCode::kNotFound);
  const std::string logs = directory_ + "/state/desktops/d1/log";
  std::filesystem::create_directories(logs);
  std::ofstream(logs + "/lxc.log") << "one\ntwo\nthree \x1b[2J\n";
  std::filesystem::create_symlink("/etc/shadow", logs + "/evil.log");
  backends_.farm.desktops.at(1).observed = store::Observed::kFailed;
  backends_.farm.desktops.at(1).reason = "container: died";
  EXPECT_EQ(panal({"desktop", "logs", "d-1", "-n", "2"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("container: died"));
  EXPECT_THAT(out(), HasSubstr("==> lxc.log <==\ntwo\nthree \\x1b[2J\n"));
  EXPECT_THAT(out(), Not(HasSubstr("one")));
  EXPECT_THAT(out(), Not(HasSubstr("root:")));
}

TEST_F(Commands, ImageInUseIsNotRemoved) {
  farm_with_desktops(1);
  EXPECT_EQ(panal({"image", "rm", "icewm"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("used by desktop d-1"));
  EXPECT_EQ(panal({"image", "rm", "icewm:7"}), ExitCode::kNotFound);
  backends_.farm.desktops.clear();
  EXPECT_EQ(panal({"image", "rm", "icewm:1", "--dry-run"}), ExitCode::kOk);
  EXPECT_EQ(backends_.farm.versions.size(), 1U);
  EXPECT_EQ(panal({"image", "rm", "icewm:1"}), ExitCode::kOk) << err();
  EXPECT_TRUE(backends_.farm.versions.empty());
}

TEST_F(Commands, MissingRecipeNamesTheFile) {
  EXPECT_EQ(panal({"image", "build", "nope"}), ExitCode::kNotFound);
  EXPECT_THAT(err(), HasSubstr("nope.toml"));
}

TEST_F(Commands, StatusWithoutANodeIsExitThreeAndStillTells) {
  backends_.farm.node_answers = false;
  EXPECT_EQ(panal({"status", "--json"}), ExitCode::kNotRunning);
  EXPECT_EQ(json()["node"], "n1");
  EXPECT_EQ(json()["services"]["panald"]["running"], false);
  EXPECT_EQ(json()["database"]["answers"], true);
}

TEST_F(Commands, SuspendAsksTheNode) {
  farm_with_desktops(1);
  EXPECT_EQ(panal({"desktop", "suspend", "d-1"}), ExitCode::kOk);
  ASSERT_EQ(backends_.farm.requests.size(), 1U);
  EXPECT_EQ(backends_.farm.requests[0], (nlohmann::json{{"op", "suspend"}, {"desktop", 1}}));
}

}  // namespace
}  // namespace panal::cli

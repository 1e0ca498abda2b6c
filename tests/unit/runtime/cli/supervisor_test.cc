#include "runtime/cli/supervisor/supervisor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "engine/base/kernel_paths.h"
#include "runtime/cli/supervisor/pid_file.h"

namespace panal::supervisor {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

/// Real processes (sleep), as the supervisor meets them.
class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "supervisor-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  void TearDown() override {
    stop();
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      // supervisor.pid names this very process.
      if (entry.path().extension() != ".pid" || entry.path().stem() == "supervisor") continue;
      if (auto process = open_recorded(entry.path()); process && *process) {
        (void)(*process)->send_signal(SIGKILL);
        (void)(*process)->wait_exit(milliseconds(5000));
        while (waitpid((*process)->pid(), nullptr, 0) < 0 && errno == EINTR) {
        }
      }
    }
    std::filesystem::remove_all(directory_);
  }

  Service service(const std::string& name, std::vector<std::string> argv) {
    Service out;
    out.name = name;
    out.program = [this, name, argv]() -> Result<store::ServerProgram> {
      ++launches_;
      store::ServerProgram program;
      program.argv = argv;
      program.environment = {"PATH=/usr/bin:/bin"};
      program.uid = geteuid();
      program.directory = "/";
      program.log_file = directory_ + "/" + name + ".log";
      return program;
    };
    return out;
  }

  void start(std::vector<Service> services) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    stop_read_ = UniqueFd(ends[0]);
    stop_write_ = UniqueFd(ends[1]);
    auto opened = Supervisor::open(directory_, std::move(services), Logger::silent());
    ASSERT_TRUE(opened) << opened.error().message();
    thread_ = std::thread([this, supervisor = std::move(*opened)]() mutable {
      const auto done = supervisor.run(stop_read_.get());
      EXPECT_TRUE(done);
    });
  }
  void stop() {
    if (!thread_.joinable()) return;
    stop_write_.reset();
    thread_.join();
  }

  pid_t pid_of(const std::string& name) {
    auto process = open_recorded(directory_ + "/" + name + ".pid");
    return process && *process ? (*process)->pid() : -1;
  }
  /// Whether it is another process than `former`. It is looked up once: the one that died may be
  /// gone between two looks, and its successor not there yet.
  bool another(const std::string& name, pid_t former) {
    const pid_t now = pid_of(name);
    return now > 0 && now != former;
  }
  bool eventually(const std::function<bool()>& what) {
    for (int i = 0; i < 1000; ++i) {
      if (what()) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  std::string text_of(const std::string& name) {
    std::ifstream file(directory_ + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::string directory_;
  std::atomic<int> launches_{0};
  UniqueFd stop_read_, stop_write_;
  std::thread thread_;
};

TEST_F(SupervisorTest, RestartsWhatDies) {
  start({service("a", {"/bin/sleep", "1000"})});
  ASSERT_TRUE(eventually([&] { return pid_of("a") > 0; }));
  const pid_t first = pid_of("a");
  ASSERT_EQ(kill(first, SIGKILL), 0);
  ASSERT_TRUE(eventually([&] { return another("a", first); }));
  EXPECT_THAT(text_of("a.trouble"), HasSubstr("1 signal 9"));
}

TEST_F(SupervisorTest, ItsEndKillsNothingAndANewOneAdopts) {
  start({service("a", {"/bin/sleep", "1000"})});
  ASSERT_TRUE(eventually([&] { return pid_of("a") > 0; }));
  const pid_t first = pid_of("a");
  stop();
  EXPECT_EQ(pid_of("a"), first);
  EXPECT_EQ(getsid(first), first) << "a session of its own";
  start({service("a", {"/bin/sleep", "1000"})});
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(pid_of("a"), first);
  EXPECT_EQ(launches_, 1);
  // Adopted ones are watched as well.
  ASSERT_EQ(kill(first, SIGTERM), 0);
  ASSERT_TRUE(eventually([&] { return another("a", first); }));
}

TEST_F(SupervisorTest, OnlyOneAtATime) {
  start({});
  const auto second = Supervisor::open(directory_, {}, Logger::silent());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EBUSY);
  stop();
  EXPECT_TRUE(Supervisor::open(directory_, {}, Logger::silent()));
}

TEST_F(SupervisorTest, LaterServicesWaitForTheReadyOfEarlierOnes) {
  std::atomic<bool> ready{false};
  Service first = service("first", {"/bin/sleep", "1000"});
  first.ready = [&ready](const Pidfd&) -> Result<void> {
    if (ready) return {};
    return fail(EAGAIN, "not yet");
  };
  start({std::move(first), service("second", {"/bin/sleep", "1000"})});
  ASSERT_TRUE(
      eventually([&] { return text_of("first.trouble").find("not yet") != std::string::npos; }));
  EXPECT_EQ(pid_of("second"), -1);
  ready = true;
  EXPECT_TRUE(eventually([&] { return pid_of("second") > 0; }));
  EXPECT_EQ(launches_, 2) << "the first was not started again";
}

TEST_F(SupervisorTest, AProgramThatIsNotThereIsNamed) {
  start({service("a", {"/nonexistent/panald"}), service("b", {"/bin/sleep", "1000"})});
  ASSERT_TRUE(eventually([&] { return !text_of("a.trouble").empty(); }));
  EXPECT_THAT(text_of("a.trouble"), HasSubstr("start /nonexistent/panald: No such file"));
}

TEST_F(SupervisorTest, WordsOfAServiceGoToItsLog) {
  start({service("a", {"/bin/sh", "-c", "echo out; echo err >&2; exec sleep 1000"})});
  EXPECT_TRUE(eventually([&] { return text_of("a.log") == "out\nerr\n"; })) << text_of("a.log");
}

TEST(Backoff, DoublesToHalfAMinuteAndForgets) {
  Backoff backoff;
  std::vector<std::int64_t> pauses;
  for (int i = 0; i < 9; ++i) pauses.push_back(backoff.after_death(milliseconds(10)).count());
  EXPECT_THAT(pauses,
              testing::ElementsAre(500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000));
  EXPECT_EQ(backoff.after_death(milliseconds(10'000)).count(), 500);
  EXPECT_EQ(backoff.deaths(), 1);
}

TEST(PidFile, KnowsAReusedPid) {
  const std::string file = testing::TempDir() + "pid-file-" + std::to_string(getpid());
  const auto self = identify(getpid());
  ASSERT_TRUE(self);
  ASSERT_TRUE(write_pid_file(file, *self));
  ASSERT_TRUE(open_recorded(file)->has_value());
  ASSERT_TRUE(write_pid_file(file, {self->pid, self->start_ticks + 1}));
  EXPECT_FALSE(open_recorded(file)->has_value());
  for (const char* text : {"", "12", "12 ", "x y\n", "-1 5\n", "0 0\n", "99999999999 1\n", "1 1"}) {
    std::ofstream(file) << text;
    const auto opened = open_recorded(file);
    ASSERT_TRUE(opened) << text;
    EXPECT_FALSE(opened->has_value()) << text;
  }
  unlink(file.c_str());
  EXPECT_FALSE(open_recorded(file)->has_value());
}

TEST(PidFile, StartTicksWhateverTheNameIs) {
  const std::string rest = " S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 2 3";
  EXPECT_EQ(*parse_start_ticks("7 (sleep)" + rest), 98765U);
  EXPECT_EQ(*parse_start_ticks("7 (a) S 1 (b)" + rest), 98765U);
  for (const char* bad : {"", "7 sleep S 1", "7 (x) S 1 7", "7 (x)"}) {
    EXPECT_FALSE(parse_start_ticks(bad)) << bad;
  }
}

TEST(RotateLog, OnlyPastTheLimit) {
  const std::string file = testing::TempDir() + "rotate-" + std::to_string(getpid());
  EXPECT_TRUE(rotate_log(file, 3)) << "nothing there is fine";
  std::ofstream(file) << "abc";
  EXPECT_TRUE(rotate_log(file, 3));
  EXPECT_TRUE(std::filesystem::exists(file));
  EXPECT_TRUE(rotate_log(file, 2));
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_TRUE(std::filesystem::exists(file + ".1"));
  std::filesystem::remove(file + ".1");
}

}  // namespace
}  // namespace panal::supervisor

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "sandbox.h"

namespace panal::desktop {
namespace {

using std::chrono::milliseconds;
using testing::FileGate;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Sandbox;
using testing::value_of;
namespace fs = std::filesystem;

TEST(Start, BringsADesktopUpAndStopLeavesNothing) {
  Sandbox sandbox;
  std::vector<std::string> steps;
  const auto running = sandbox.life().start(
      sandbox.spec(7), [&](std::string_view step) { steps.emplace_back(step); });
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  EXPECT_EQ(steps, (std::vector<std::string>{"compose", "home", "shared", "cgroup", "container",
                                             "network", "agent"}));
  const auto report = sandbox.report(7);
  EXPECT_EQ(value_of(report, "pid"), "1");
  EXPECT_EQ(value_of(report, "host"), "alice-s-desk");

  const auto traces = sandbox.life().find();
  ASSERT_TRUE(traces);
  ASSERT_EQ(traces->size(), 1U);
  EXPECT_EQ(traces->front().id, 7);
  EXPECT_TRUE(traces->front().running);

  const auto again = sandbox.life().start(sandbox.spec(7));
  ASSERT_FALSE(again) << "a second start of a running desktop";
  EXPECT_EQ(again.error().cause.code, EBUSY);

  const auto stopped = sandbox.life().stop(sandbox.spec(7), milliseconds{5000});
  ASSERT_TRUE(stopped) << stopped.error().message();
  EXPECT_THAT(sandbox.traces(7), IsEmpty());
  EXPECT_TRUE(*running->init.wait_exit(milliseconds{0}));
  EXPECT_TRUE(fs::exists(sandbox.config.homes_dir + "/acme/alice7/was-here")) << "the home stays";
  EXPECT_FALSE(fs::exists(sandbox.config.desktop_state_dir(7) + "/upper/volatile"))
      << "a volatile upper goes";
  EXPECT_TRUE(sandbox.life().stop(sandbox.spec(7), milliseconds{0})) << "once more";
}

TEST(Start, AnInitThatIsDeafToTermIsKilled) {
  Sandbox sandbox("deaf");
  const auto running = sandbox.life().start(sandbox.spec(7));
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  const auto stopped = sandbox.life().stop(sandbox.spec(7), milliseconds{300});
  ASSERT_TRUE(stopped) << stopped.error().message();
  EXPECT_THAT(sandbox.traces(7), IsEmpty());
}

TEST(Start, AnInitThatEndsAtOnceIsAFailureWithItsLastWords) {
  Sandbox sandbox("exit");
  const auto running = sandbox.life().start(sandbox.spec(7));
  ASSERT_FALSE(running);
  EXPECT_THAT(running.error().step, ::testing::AnyOf("container", "network", "agent"));
  EXPECT_THAT(running.error().evidence, HasSubstr("this image wants me to end"));
  EXPECT_THAT(sandbox.traces(7), IsEmpty());
}

TEST(Start, ThePersistentUpperIsKeptAndTheNextStartSeesIt) {
  Sandbox sandbox;
  DesktopSpec spec = sandbox.spec(7);
  spec.persistent = true;
  for (int round = 0; round < 2; ++round) {
    const auto running = sandbox.life().start(spec);
    ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
    ASSERT_TRUE(sandbox.life().stop(spec, milliseconds{5000}));
  }
  struct stat info{};
  ASSERT_EQ(
      ::stat((sandbox.config.desktop_state_dir(7) + "/upper/persistent/upper/in-the-root").c_str(),
             &info),
      0);
  EXPECT_EQ(info.st_uid, 0U) << "ids on disk are canonical";
}

/// Everything below a directory, with owners and modes.
std::vector<std::string> listed(const fs::path& directory) {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    struct stat info{};
    EXPECT_EQ(::lstat(entry.path().c_str(), &info), 0);
    out.push_back(entry.path().string() + " " + std::to_string(info.st_uid) + " " +
                  std::to_string(info.st_mode) + " " + std::to_string(info.st_size));
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(Start, LinksPlantedInAPersistentRootLeadNowhere) {
  Sandbox sandbox;
  DesktopSpec spec = sandbox.spec(7);
  spec.persistent = true;
  ASSERT_TRUE(sandbox.life().start(spec));
  ASSERT_TRUE(sandbox.life().stop(spec, milliseconds{5000}));
  const fs::path upper = sandbox.config.desktop_state_dir(7) + "/upper/persistent/upper";
  ASSERT_TRUE(fs::is_regular_file(upper / ".panal/panal-agent"));
  ASSERT_TRUE(fs::is_directory(upper / "home/alice"));

  // All may write there, so only being led there is between the desktop's root and it.
  const fs::path sentinel = sandbox.dir / "sentinel";
  fs::create_directories(sentinel / "inner");
  std::ofstream(sentinel / "file") << "kept";
  for (const fs::path& path : {sentinel, sentinel / "inner", sentinel / "file"})
    fs::permissions(path, fs::perms::all);
  const auto before = listed(sentinel);
  const std::string up = "../../../../../../../../../../../..";
  const std::string places[] = {sentinel, up + sentinel.string(), sentinel / "absent",
                                sentinel / "file", "FIFO"};
  int running_ones = 0;
  for (const char* name : {"dev", "proc", "sys", "tmp", "run", "dev/shm", "run/panal", "home",
                           "home/alice", ".panal", ".panal/panal-agent"}) {
    for (const std::string& place : places) {
      SCOPED_TRACE(std::string(name) + " -> " + place);
      const fs::path planted = upper / name;
      const fs::path aside = sandbox.dir / "aside";
      const bool moved = fs::exists(fs::symlink_status(planted));
      if (moved) fs::rename(planted, aside);
      const bool parent = !fs::exists(planted.parent_path());
      fs::create_directories(planted.parent_path());
      if (place == "FIFO")
        ASSERT_EQ(::mkfifo(planted.c_str(), 0666), 0);
      else
        fs::create_symlink(place, planted);

      const auto running = sandbox.life().start(spec);
      if (running) {
        ++running_ones;
        std::ifstream mounts("/proc/" + std::to_string(running->init.pid()) + "/mountinfo");
        const std::string all((std::istreambuf_iterator<char>(mounts)), {});
        for (const char* at : {"/dev", "/proc", "/sys", "/tmp", "/run", "/dev/shm", "/run/panal",
                               "/home/alice", "/.panal/panal-agent"})
          EXPECT_THAT(all, HasSubstr(std::string(" ") + at + " "));
        EXPECT_TRUE(sandbox.life().stop(spec, milliseconds{5000}));
      } else {
        EXPECT_EQ(running.error().step, "container");
        EXPECT_THAT(running.error().reason(), HasSubstr("of the desktop's own root is"));
      }
      EXPECT_EQ(listed(sentinel), before);
      EXPECT_THAT(sandbox.traces(7), IsEmpty());
      std::ifstream own("/proc/self/mountinfo");
      const std::string mounts((std::istreambuf_iterator<char>(own)), {});
      EXPECT_THAT(mounts, ::testing::Not(HasSubstr(sentinel.string())));

      fs::remove(planted);
      if (parent) fs::remove_all(planted.parent_path());
      if (moved) fs::rename(aside, planted);
    }
  }
  // Below what is mounted over a link is never met.
  EXPECT_GE(running_ones, 10) << "dev/shm, run/panal";
  EXPECT_TRUE(sandbox.life().start(spec)) << "and put right it starts";
}

struct Failure {
  const char* step;
  std::function<void(Sandbox&, DesktopSpec&)> arrange;
};

TEST(Start, AFailureOfAnyStepLeavesNothing) {
  const Failure failures[] = {
      {"compose", [](Sandbox&, DesktopSpec& spec) { spec.version_root += "/absent"; }},
      {"home",
       [](Sandbox& sandbox, DesktopSpec& spec) {
         ASSERT_TRUE(sandbox.life().start(sandbox.spec(8)));
         spec.home = "alice8";
       }},
      {"container", [](Sandbox&, DesktopSpec& spec) { spec.user.home_path = "/no/../way"; }},
      {"container", [](Sandbox&, DesktopSpec& spec) { spec.user.home_path = "/etc/mode/home"; }},
      {"container", [](Sandbox&, DesktopSpec& spec) { spec.user.home_path = "/proc/none/home"; }},
      {"network",
       [](Sandbox& sandbox, DesktopSpec&) {
         // The name is taken by another link.
         ASSERT_EQ(std::system("ip link add pnl7 type veth peer name other7"), 0);
         (void)sandbox;
       }},
      {"agent",
       [](Sandbox& sandbox, DesktopSpec&) {
         sandbox.gate.never_ready = true;
         sandbox.config.start_timeout_seconds = 1;
       }},
  };
  for (const Failure& failure : failures) {
    SCOPED_TRACE(failure.step);
    Sandbox sandbox;
    DesktopSpec spec = sandbox.spec(7);
    failure.arrange(sandbox, spec);
    const auto running = sandbox.life().start(spec);
    EXPECT_FALSE(running);
    if (!running) {
      EXPECT_EQ(running.error().step, failure.step) << running.error().reason();
      // liblxc's word, where it came to that.
      const int code = running.error().cause.code;
      if (running.error().step == "container" && code != EINVAL && code != ENOTDIR) {
        EXPECT_THAT(running.error().evidence, ::testing::Not(IsEmpty()));
      }
      std::printf("  %s\n", running.error().reason().c_str());
    }
    (void)!std::system("ip link del pnl7 2>/dev/null");
    EXPECT_THAT(sandbox.traces(7), IsEmpty());
    sandbox.gate.never_ready = false;
    sandbox.config.start_timeout_seconds = 20;
    const auto after = sandbox.life().start(sandbox.spec(7));
    EXPECT_TRUE(after) << "the next start: " << after.error().reason();
  }
}

TEST(Start, ADesktopOutlivesTheSpawnersAndIsAdopted) {
  Sandbox sandbox;
  ASSERT_TRUE(sandbox.life().start(sandbox.spec(7)));
  for (const pid_t pid : sandbox.pool->pids()) ASSERT_EQ(::kill(pid, SIGKILL), 0);
  sandbox.gate.listening.clear();
  sandbox.open_pool();
  const auto adopted = sandbox.life().adopt(sandbox.spec(7));
  ASSERT_TRUE(adopted) << adopted.error().message();
  EXPECT_FALSE(*adopted->init.wait_exit(milliseconds{50}));
  EXPECT_EQ(sandbox.gate.listening.count(7), 1U);
  ASSERT_TRUE(sandbox.life().start(sandbox.spec(8))) << "new spawners work";
  EXPECT_TRUE(sandbox.life().recover({8}));
  EXPECT_THAT(sandbox.traces(7), IsEmpty()) << "not in the live set";
  EXPECT_TRUE(sandbox.life().adopt(sandbox.spec(8)));
  EXPECT_FALSE(sandbox.life().adopt(sandbox.spec(9)));
}

TEST(Start, ADiedSpawnerIsReplaced) {
  Sandbox sandbox;
  for (const pid_t pid : sandbox.pool->pids()) ASSERT_EQ(::kill(pid, SIGKILL), 0);
  DesktopId id = 7;
  for (int round = 0; round < 2; ++round) {
    const auto running = sandbox.life().start(sandbox.spec(id++));
    ASSERT_TRUE(running) << running.error().reason();
  }
  EXPECT_EQ(sandbox.pool->pids().size(), 2U);
}

/// Kills the spawners there are, `delay` from now; `again`: and those that follow, until it ends.
class SpawnerKiller {
 public:
  SpawnerKiller(Sandbox& sandbox, milliseconds delay, bool again)
      : thread_([this, &sandbox, delay, again] {
          do {
            std::this_thread::sleep_for(delay);
            for (const pid_t pid : sandbox.pool->pids()) ::kill(pid, SIGKILL);
          } while (again && !done_);
        }) {}
  ~SpawnerKiller() {
    done_ = true;
    thread_.join();
  }
  SpawnerKiller(const SpawnerKiller&) = delete;
  SpawnerKiller& operator=(const SpawnerKiller&) = delete;

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

TEST(Start, ThatLosesItsSpawnerIsMadeOnceMore) {
  Sandbox sandbox;
  int lost = 0;
  for (int round = 0; round < 20; ++round) {
    int tries = 0;
    const auto running = [&] {
      const SpawnerKiller killer(sandbox, milliseconds{3 * round}, false);
      return sandbox.life().start(
          sandbox.spec(7), [&tries](std::string_view step) { tries += step == "container"; });
    }();
    lost += tries > 1 ? 1 : 0;
    EXPECT_LE(tries, 2);
    ASSERT_TRUE(running) << "round " << round << ": " << running.error().reason();
    ASSERT_TRUE(sandbox.life().stop(sandbox.spec(7), milliseconds{2000}));
    EXPECT_THAT(sandbox.traces(7), IsEmpty()) << "round " << round;
  }
  std::printf("  %d of 20 starts lost their spawner\n", lost);
  EXPECT_GT(lost, 0) << "no spawner died in the middle of a start";
}

TEST(Start, ThatLosesItsSpawnerTwiceFailsAndLeavesNothing) {
  Sandbox sandbox;
  int failed = 0;
  constexpr int kRounds = 7;
  for (int round = 0; round < kRounds; ++round) {
    const auto running = [&] {
      const SpawnerKiller killer(sandbox, milliseconds{1 + 3 * round}, true);
      return sandbox.life().start(sandbox.spec(7));
    }();
    if (!running) {
      ++failed;
      EXPECT_EQ(running.error().step, "container") << running.error().reason();
    } else {
      ASSERT_TRUE(sandbox.life().stop(sandbox.spec(7), milliseconds{2000}));
    }
    EXPECT_THAT(sandbox.traces(7), IsEmpty()) << "round " << round;
  }
  std::printf("  %d of %d starts lost two spawners and failed\n", failed, kRounds);
  EXPECT_GT(failed, 0) << "no start lost both of its spawners";
  ASSERT_TRUE(sandbox.life().start(sandbox.spec(7))) << "afterwards";
}

TEST(Start, FourAtOnce) {
  Sandbox sandbox;
  std::vector<std::thread> threads;
  std::atomic<int> up{0};
  for (DesktopId id = 10; id < 14; ++id) {
    threads.emplace_back([&sandbox, &up, id] {
      const auto running = sandbox.life().start(sandbox.spec(id));
      if (running) ++up;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(up, 4);
  for (DesktopId id = 10; id < 14; ++id) {
    EXPECT_TRUE(sandbox.life().stop(sandbox.spec(id), milliseconds{3000}));
    EXPECT_THAT(sandbox.traces(id), IsEmpty());
  }
}

TEST(NxSocket, IsConnectedOnlyWhereItIsTheUsersSocket) {
  Sandbox sandbox;
  const DesktopSpec spec = sandbox.spec(7);
  ASSERT_TRUE(sandbox.life().start(spec));
  const std::uint32_t owner = spec.ids.first + spec.user.uid;
  {
    const auto link = sandbox.life().open_nx_socket(7, owner);
    ASSERT_TRUE(link) << link.error().message();
    char text[6] = {};
    ASSERT_EQ(::fcntl(link->get(), F_SETFL, 0), 0);
    EXPECT_EQ(::recv(link->get(), text, 5, MSG_WAITALL), 5);
    EXPECT_STREQ(text, "hello");
  }
  EXPECT_EQ(sandbox.life().open_nx_socket(7, owner + 1).error().code, EPERM);
  const std::string nx = sandbox.life().shared_dir(7) + "/nx";
  fs::rename(nx + "/nx.sock", nx + "/real.sock");
  EXPECT_EQ(sandbox.life().open_nx_socket(7, owner).error().code, ENOENT);
  for (const char* target : {"real.sock", "/run/panal/nx/real.sock", "../nx/real.sock"}) {
    fs::create_symlink(target, nx + "/nx.sock");
    EXPECT_EQ(sandbox.life().open_nx_socket(7, owner).error().code, EPERM) << target;
    fs::remove(nx + "/nx.sock");
  }
  std::ofstream(nx + "/nx.sock") << "x";
  ASSERT_EQ(::chown((nx + "/nx.sock").c_str(), owner, owner), 0);
  EXPECT_EQ(sandbox.life().open_nx_socket(7, owner).error().code, EPERM);
  fs::remove(nx + "/nx.sock");
  ASSERT_EQ(::mkfifo((nx + "/nx.sock").c_str(), 0600), 0);
  EXPECT_EQ(sandbox.life().open_nx_socket(7, owner).error().code, EPERM);
}

}  // namespace
}  // namespace panal::desktop

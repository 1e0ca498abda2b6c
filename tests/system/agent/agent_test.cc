// panal-agent with a real nxagent, a real nxproxy and programs in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>

#include "engine/base/mount.h"
#include "engine/base/prctl_numbers.h"
#include "runtime/agent/prewarm.h"
#include "runtime/agent/x11_client.h"
#include "runtime/agent/xauthority.h"
#include "sandbox.h"
#include "storage/quota/loop_mount.h"

namespace panal::agent::test {
namespace {

constexpr std::chrono::milliseconds kX{5000};

// xterm says who it is once and beats for ever.
const std::vector<std::string> kSession = {
    "sh", "-c",
    "exec xterm -e sh -c 'echo $$ > ~/pid; id > ~/id; env > ~/env; while :; do date +%s%N > "
    "~/beat.new; mv ~/beat.new ~/beat; sleep 0.1; done'"};

struct AgentSystem : testing::Test {
  AgentSystem() {
    char name[] = "/tmp/panal-agent-XXXXXX";
    directory = ::mkdtemp(name);
    ::chmod(directory.c_str(), 0755);
    desktop = std::make_unique<Sandbox>(directory + "/desktop");
    hello = desktop->accept();
  }
  ~AgentSystem() override {
    desktop.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  [[nodiscard]] std::string home(const std::string& name) const {
    return slurp(desktop->inside("/home/alice/" + name));
  }
  bool beats() const {
    const std::string before = home("beat");
    return eventually([&] { return !home("beat").empty() && home("beat") != before; });
  }
  /// The session's root window, as its programs see it.
  Size screen_size() const {
    auto x = x11::Client::connect(desktop->inside("/tmp/.X11-unix/X100"),
                                  cookie_bytes(desktop->cookie()).value(), kX);
    if (!x) return {};
    const auto area = x->root_size(kX);
    return area ? Size{area->width, area->height} : Size{};
  }
  bool suspended() { return desktop->until("session", "state", "suspended").verb == "session"; }
  bool connected() { return desktop->until("session", "state", "connected").verb == "session"; }
  /// Poweroff; true when the agent has said bye and everything is gone.
  bool power_off() {
    desktop->send(Frame("poweroff").add("grace_ms", "10000"));
    if (desktop->until("bye").verb != "bye") return false;
    const int status = desktop->program().wait();
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  UniqueFd open_nx() const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, desktop->nx_socket().c_str(), sizeof(address.sun_path) - 1);
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      socket.reset();
    }
    return socket;
  }
  Result<Prewarm> prewarm() const {
    return Prewarm::start({.program = PANAL_BIN_DIR "/panal-prewarm",
                           .uid = 31000,
                           .gid = 31000,
                           .nx = open_nx(),
                           .cookie = desktop->cookie()});
  }

  std::string directory;
  std::unique_ptr<Sandbox> desktop;
  Frame hello;
};

// An enlisted desktop: what the agent starts, and what those start, is merged but for the named.
TEST_F(AgentSystem, ProgramsAreKeptApartFromMerging) {
  desktop.reset();
  if (::prctl(kSetMemoryMerge, 1, 0, 0, 0) != 0) GTEST_SKIP() << "this kernel merges nobody";
  const bool told = slurp("/proc/self/ksm_stat").find("ksm_merge_any: yes") != std::string::npos;
  desktop = std::make_unique<Sandbox>(directory + "/enlisted");
  ::prctl(kSetMemoryMerge, 0, 0, 0, 0);
  if (!told) GTEST_SKIP() << "this kernel does not say whose memory is merged";
  desktop->accept();
  const std::string shell = std::filesystem::canonical("/bin/sh").filename();
  // xterm is started by a shell that is kept apart, and starts another one.
  const std::string look =
      "for p in /proc/[0-9]*; do echo $(basename \"$(readlink $p/exe)\") "
      "$(grep merge_any $p/ksm_stat); done > ~/merging.new; mv ~/merging.new ~/merging; sleep 1000";
  desktop->welcome({"sh", "-c", "exec xterm -e sh -c '" + look + "'"}, "", {"nxagent", shell});
  const Computer computer(directory + "/c1", 393, "1280x800");
  ASSERT_TRUE(desktop->listen(Frame("").add("geometry", "900x600")));
  Program proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  ASSERT_TRUE(eventually([&] { return !home("merging").empty(); }));
  EXPECT_THAT(home("merging"), testing::HasSubstr("nxagent ksm_merge_any: no\n"));
  EXPECT_THAT(home("merging"), testing::HasSubstr("xterm ksm_merge_any: yes\n"));
  EXPECT_THAT(home("merging"), testing::HasSubstr(shell + " ksm_merge_any: no\n"));
  EXPECT_THAT(home("merging"), testing::Not(testing::HasSubstr(shell + " ksm_merge_any: yes\n")));
  EXPECT_TRUE(power_off());
}

TEST_F(AgentSystem, ASessionOutlivesItsLinks) {
  EXPECT_EQ(hello.get("session"), "none");
  EXPECT_EQ(hello.number("protocol", 100).value(), static_cast<unsigned>(kProtocol));
  desktop->welcome(kSession);
  const Computer computer(directory + "/c1", 391, "1280x800");

  ASSERT_TRUE(desktop->listen(Frame("").add("geometry", "900x600")));
  Program proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  EXPECT_EQ(desktop->until("settled").get("windows"), "1");
  ASSERT_TRUE(beats());
  const std::string pid = home("pid");
  EXPECT_THAT(home("id"), testing::HasSubstr("uid=1000(alice) gid=1000("));
  EXPECT_THAT(home("id"), testing::HasSubstr("29(audio)"));
  EXPECT_THAT(home("env"), testing::HasSubstr("\nTZ=Europe/Madrid\n"));
  EXPECT_THAT(home("env"), testing::Not(testing::HasSubstr(desktop->cookie())));
  EXPECT_EQ(screen_size(), (Size{900, 600}));

  desktop->send(Frame("query"));
  const Frame status = desktop->until("status");
  EXPECT_EQ(status.get("session"), "connected");
  EXPECT_TRUE(status.number("idle_ms", 600000)) << "X does not tell the idle time";

  // The link is cut.
  proxy.kill();
  ASSERT_TRUE(suspended());
  EXPECT_TRUE(beats()) << "programs must go on without a link";

  // Back from elsewhere, in another size, with another cookie.
  const std::string old_cookie = desktop->cookie();
  ASSERT_TRUE(desktop->listen(Frame("").add("geometry", "1000x700").add("keyboard", "pc105/es")));
  EXPECT_NE(desktop->cookie(), old_cookie);
  proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  EXPECT_TRUE(beats());
  EXPECT_EQ(home("pid"), pid);
  EXPECT_TRUE(eventually([&] { return screen_size() == Size{1000, 700}; }));

  // Take-over by another computer, full screen.
  const Computer other(directory + "/c2", 392, "1366x768");
  ASSERT_TRUE(desktop->listen(Frame("").add("fullscreen", "1")));
  Program second = other.attach(*desktop);
  ASSERT_TRUE(connected());
  EXPECT_TRUE(eventually([&] { return screen_size() == Size{1366, 768}; }));
  EXPECT_EQ(home("pid"), pid);

  desktop->send(Frame("suspend"));
  ASSERT_TRUE(suspended());
  EXPECT_TRUE(beats());

  const std::string smaps = slurp("/proc/" + std::to_string(desktop->init()) + "/smaps_rollup");
  const std::size_t pss = smaps.find("\nPss:");
  ASSERT_NE(pss, std::string::npos);
  EXPECT_LE(std::stoi(smaps.substr(pss + 5)), 1024) << smaps;
  EXPECT_TRUE(power_off());
}

TEST_F(AgentSystem, AReturnToTheKeyboardIsAnEvent) {
  desktop->welcome(kSession);
  const Computer computer(directory + "/c1", 391, "1280x800");
  ASSERT_TRUE(desktop->listen(Frame("").add("geometry", "900x600")));
  const Program proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  ASSERT_EQ(desktop->until("settled").get("windows"), "1");
  auto x = x11::Client::connect(desktop->inside("/tmp/.X11-unix/X100"),
                                cookie_bytes(desktop->cookie()).value(), kX);
  ASSERT_TRUE(x) << x.error().message();
  constexpr std::chrono::milliseconds kIdle{1000};
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(eventually([&] { return x->idle_ms(kX).value_or(0) > 1500; }));
    const auto watched = x->watch_for_input(kIdle, kX);
    ASSERT_TRUE(watched) << watched.error().message();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_FALSE(x->read_event(kX).value_or(true)) << "nobody came back";
    EXPECT_EQ(Program({"xdotool", "mousemove", "300", round == 0 ? "300" : "350"},
                      computer.environment(), directory + "/xdotool.log")
                  .wait(),
              0);
    EXPECT_TRUE(eventually([&] { return x->read_event(kX).value_or(false); })) << round;
  }
}

TEST_F(AgentSystem, ANoticeIsOnTheScreenUntilTheUserLeaves) {
  desktop->welcome(kSession);
  const Computer computer(directory + "/c1", 391, "1280x800");
  desktop->send(Frame("notice").add("text", "Nobody is there to see it."));
  ASSERT_TRUE(desktop->listen(Frame("").add("geometry", "900x600")));
  const Program proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  ASSERT_EQ(desktop->until("settled").get("windows"), "1");
  auto x = x11::Client::connect(desktop->inside("/tmp/.X11-unix/X100"),
                                cookie_bytes(desktop->cookie()).value(), kX);
  ASSERT_TRUE(x) << x.error().message();
  const auto windows = [&](int count) {
    return eventually([&] { return x->visible_windows(kX).value_or(0) == count; });
  };
  desktop->send(Frame("notice").add("text", "There is a new version of this desktop."));
  ASSERT_TRUE(windows(2)) << desktop->log();
  desktop->send(Frame("notice").add("text", "It starts again in 15 min: save your work."));
  desktop->send(Frame("query"));
  ASSERT_EQ(desktop->until("status").get("session"), "connected");
  EXPECT_TRUE(windows(2)) << "in place of the first: " << desktop->log();
  EXPECT_EQ(desktop->log().find("notice_failed"), std::string::npos) << desktop->log();
  desktop->send(Frame("suspend"));
  ASSERT_TRUE(suspended());
  EXPECT_TRUE(windows(1)) << "whoever comes back is told again";
}

TEST_F(AgentSystem, APrewarmedDesktopLooksRight) {
  desktop->welcome(kSession, "pc105/us");
  ASSERT_TRUE(desktop->listen(Frame("").add("warm", "1")));
  auto warm = prewarm();
  ASSERT_TRUE(warm) << warm.error().message();
  ASSERT_EQ(desktop->until("settled").get("windows"), "1");
  desktop->send(Frame("suspend"));
  ASSERT_TRUE(suspended());
  warm->stop();
  EXPECT_TRUE(beats());
  const std::string pid = home("pid");

  const Computer computer(directory + "/c1", 391, "1600x1000");
  ASSERT_TRUE(desktop->listen(Frame("").add("geometry", "1111x666").add("keyboard", "pc105/es")));
  Program proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  EXPECT_TRUE(eventually([&] { return screen_size() == Size{1111, 666}; }));
  EXPECT_EQ(home("pid"), pid);
  // The user's keyboard is in force for programs that were there before.
  const auto keyboard = [&] {
    const std::string out = directory + "/keys";
    Program({"nsenter", "-t", std::to_string(desktop->init()), "-m", "-r", "-w", "env",
             "DISPLAY=:100", "XAUTHORITY=/run/panal-session/Xauthority", "xmodmap", "-pke"},
            {"PATH=/usr/bin:/bin"}, out)
        .wait();
    return slurp(out);
  };
  EXPECT_TRUE(eventually([&] {
    return keyboard().find("keycode  47 = ntilde Ntilde") != std::string::npos;
  })) << keyboard();
  proxy.kill();
  ASSERT_TRUE(suspended());
  EXPECT_TRUE(power_off());
}

TEST_F(AgentSystem, APrewarmedDesktopCanBeFullScreen) {
  desktop->welcome(kSession);
  ASSERT_TRUE(desktop->listen(Frame("").add("warm", "1")));
  auto warm = prewarm();
  ASSERT_TRUE(warm) << warm.error().message();
  ASSERT_EQ(desktop->until("settled").verb, "settled");
  desktop->send(Frame("suspend"));
  ASSERT_TRUE(suspended());
  warm->stop();
  const Computer computer(directory + "/c1", 391, "1600x1000");
  ASSERT_TRUE(desktop->listen(Frame("").add("fullscreen", "1")));
  const Program proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  EXPECT_TRUE(eventually([&] { return screen_size() == Size{1600, 1000}; }));
}

TEST_F(AgentSystem, OnlyTheNewestAttachCountsAndJunkCostsNothing) {
  desktop->welcome(kSession);
  const Computer computer(directory + "/c1", 391, "1280x800");
  ASSERT_TRUE(desktop->listen(Frame("")));
  ASSERT_TRUE(desktop->listen(Frame(""))) << "a first window with a stale cookie";
  Program proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  ASSERT_TRUE(beats());
  const std::string pid = home("pid");

  desktop->send_raw("not a frame\n");
  desktop->send_raw(std::string("listen attach=\0", 15));
  desktop->send(Frame("dance"));
  desktop->send(Frame("listen").add("attach", "99").add("cookie", "short"));
  EXPECT_EQ(desktop->until("refused").get("attach"), "99");

  proxy.kill();
  ASSERT_TRUE(suspended());
  ASSERT_TRUE(desktop->listen(Frame("")));
  {
    // What a bad greeting does: the window is lost, the programs are not.
    const UniqueFd junk = open_nx();
    ASSERT_EQ(::send(junk.get(), "GET / HTTP/1.0\r\n", 16, MSG_NOSIGNAL), 16);
  }
  ASSERT_TRUE(suspended());
  ASSERT_TRUE(desktop->listen(Frame("")));
  ASSERT_TRUE(desktop->listen(Frame(""))) << "a resume window with a stale cookie";
  proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  EXPECT_EQ(home("pid"), pid);
  EXPECT_TRUE(beats());
}

TEST_F(AgentSystem, PanaldMayGoAndComeBack) {
  desktop->welcome(kSession);
  const Computer computer(directory + "/c1", 391, "1280x800");
  ASSERT_TRUE(desktop->listen(Frame("")));
  const Program proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  ASSERT_TRUE(beats());
  desktop->hang_up();
  const Frame again = desktop->accept();
  EXPECT_EQ(again.get("session"), "connected");
  EXPECT_EQ(again.get("attach"), desktop->attach());
  EXPECT_TRUE(beats());
  desktop->welcome(kSession);
  EXPECT_TRUE(power_off());
}

TEST_F(AgentSystem, ComesBackThoughItIsTurnedAwayBeforeItsHello) {
  desktop->welcome(kSession);
  desktop->send(Frame("query"));
  ASSERT_EQ(desktop->until("status").verb, "status");
  for (int round = 0; round < 3; ++round) {
    desktop->hang_up();
    EXPECT_GE(desktop->turn_away(std::chrono::milliseconds(2500)), 1);
    const auto begun = std::chrono::steady_clock::now();
    ASSERT_EQ(desktop->accept().verb, "hello") << desktop->log();
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
  }
  EXPECT_TRUE(power_off());
}

TEST_F(AgentSystem, ASessionThatEndsAtOnceSaysWhy) {
  desktop->welcome({"sh", "-c", "echo no such window manager >&2; exit 3"});
  const Computer computer(directory + "/c1", 391, "1280x800");
  ASSERT_TRUE(desktop->listen(Frame("")));
  Program proxy = computer.attach(*desktop);
  const Frame failed = desktop->until("failed");
  EXPECT_EQ(failed.get("step"), "session");
  EXPECT_THAT(std::string(failed.get("reason")),
              testing::AllOf(testing::HasSubstr("exit status 3"),
                             testing::HasSubstr("no such window manager")));
  EXPECT_EQ(desktop->until("session", "state", "none").verb, "session");
  proxy.kill();
  // It is no dead end: the next attach starts anew.
  ASSERT_TRUE(desktop->listen(Frame("")));
}

TEST_F(AgentSystem, LoggingOutEndsTheSession) {
  desktop->welcome({"sh", "-c", "touch ~/up; while [ ! -e ~/out ]; do sleep 0.1; done; sleep 5"});
  const Computer computer(directory + "/c1", 391, "1280x800");
  ASSERT_TRUE(desktop->listen(Frame("")));
  const Program proxy = computer.attach(*desktop);
  ASSERT_TRUE(connected());
  ASSERT_TRUE(
      eventually([&] { return ::access(desktop->inside("/home/alice/up").c_str(), F_OK) == 0; }));
  std::filesystem::create_directory(desktop->inside("/home/alice/out"));
  EXPECT_EQ(desktop->until("session", "state", "ended").verb, "session");
  EXPECT_EQ(desktop->until("session", "state", "none").verb, "session");
}

// A home in a file is locked by its mount: a copy of that in the pre-warmer's namespace would keep
// the home of a desktop that ended meanwhile from its next start.
TEST_F(AgentSystem, PrewarmKeepsNoHomeOpen) {
  const std::string file = directory + "/home.img";
  const std::string place = directory + "/mounted";
  ASSERT_TRUE(storage::loop_file::make(file, {.bytes = storage::loop_file::kLeastBytes}));
  auto home = storage::loop_file::open(file);
  ASSERT_TRUE(home) << home.error().message();
  ASSERT_TRUE(std::filesystem::create_directory(place));
  ASSERT_TRUE(mount::attach(home->get(), place));
  home->reset();
  desktop->welcome(kSession, "pc105/us");
  ASSERT_TRUE(desktop->listen(Frame("").add("warm", "1")));
  auto warm = prewarm();
  ASSERT_TRUE(warm) << warm.error().message();
  ASSERT_EQ(desktop->until("settled").get("windows"), "1");
  const auto held = storage::loop_file::expect_unmounted(file);
  ASSERT_FALSE(held) << "it is mounted here";
  EXPECT_EQ(held.error().code, EBUSY);
  ASSERT_TRUE(mount::detach(place));
  EXPECT_TRUE(eventually([&] { return storage::loop_file::expect_unmounted(file).has_value(); }));
  pollfd entry{.fd = warm->pidfd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&entry, 1, 0), 0) << "the pre-warmer has ended meanwhile";
  warm->stop();
  EXPECT_TRUE(power_off());
}

TEST_F(AgentSystem, PrewarmSaysWhatFailed) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  UniqueFd far(pair[1]);
  auto warm = Prewarm::start({.program = PANAL_BIN_DIR "/panal-prewarm",
                              .uid = 31000,
                              .gid = 31000,
                              .nx = UniqueFd(pair[0]),
                              .cookie = std::string(32, 'a')});
  ASSERT_TRUE(warm) << warm.error().message();
  char greeting[8];
  ASSERT_EQ(::recv(far.get(), greeting, sizeof(greeting), MSG_WAITALL), 8);
  EXPECT_EQ(std::string(greeting, 8), "NXPROXY-");
  far.reset();
  pollfd entry{.fd = warm->pidfd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&entry, 1, 60000), 1);
  const auto ended = warm->ended();
  ASSERT_FALSE(ended);
  EXPECT_THAT(ended.error().context, testing::HasSubstr("did not come together"));
  warm->stop();

  EXPECT_EQ(
      Prewarm::start(
          {.program = "/nowhere", .uid = 1, .gid = 1, .nx = {}, .cookie = std::string(32, 'a')})
          .has_value(),
      false);
}

}  // namespace
}  // namespace panal::agent::test

#include "sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

#include "runtime/agent/xauthority.h"

namespace panal::agent::test {
namespace {

using Clock = std::chrono::steady_clock;

// $1: working directory, $2: panal-agent
constexpr const char* kScript = R"(
set -e
mkdir -p "$1/layers"
mount -t tmpfs layers "$1/layers"
mkdir "$1/layers/upper" "$1/layers/work" "$1/layers/root"
root="$1/layers/root"
mount -t overlay root -o "lowerdir=/,upperdir=$1/layers/upper,workdir=$1/layers/work" "$root"
mkdir -p "$root/run/panal" "$root/.panal"
touch "$root/.panal/panal-agent"
mount --bind "$2" "$root/.panal/panal-agent"
mount --bind "$1/shared" "$root/run/panal"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmp "$root/tmp"
ip link set lo up
cd "$root"
exec chroot "$root" /.panal/panal-agent
)";

std::string random_hex() {
  std::random_device source;
  std::ostringstream out;
  for (int i = 0; i < 32; ++i) out << "0123456789abcdef"[source() % 16];
  return out.str();
}

}  // namespace

std::string slurp(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = Clock::now() + kPatience;
  while (Clock::now() < deadline) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

Program::Program(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
                 const std::string& log) {
  pid_ = ::fork();
  if (pid_ != 0) return;
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const auto& word : argv) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> variables;
  variables.reserve(environment.size() + 1);
  for (const auto& word : environment) variables.push_back(const_cast<char*>(word.c_str()));
  variables.push_back(nullptr);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (out < 0) ::_exit(126);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::execvpe(arguments[0], arguments.data(), variables.data());
  ::_exit(127);
}

void Program::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  wait();
}

int Program::wait() {
  int status = 0;
  ::waitpid(std::exchange(pid_, -1), &status, 0);
  return status;
}

Sandbox::Sandbox(const std::string& directory) : directory_(directory) {
  ::mkdir(directory_.c_str(), 0755);
  ::mkdir((directory_ + "/shared").c_str(), 0755);
  const std::string nx = directory_ + "/shared/nx";
  ::mkdir(nx.c_str(), 0755);
  if (::chown(nx.c_str(), 1000, 1000) != 0) std::abort();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = directory_ + "/shared/agent.sock";
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!listener_ ||
      ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_.get(), 2) != 0) {
    std::abort();
  }
  const std::string agent = std::string(PANAL_BIN_DIR) + "/panal-agent";
  program_ = Program({"unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "sh", "-c",
                      kScript, "sandbox", directory_, agent},
                     {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, directory_ + "/agent.log");
}

Sandbox::~Sandbox() {
  // With an init its pid namespace goes, and with that all that is mounted for it.
  if (init_ > 0 && program_.pid() > 0) {
    ::kill(init_, SIGKILL);
    program_.wait();
  }
  program_.kill();
}

std::string Sandbox::log() const { return slurp(directory_ + "/agent.log"); }

Frame Sandbox::accept() {
  pollfd entry{.fd = listener_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, 60000) != 1) return {};
  link_ = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ucred peer{};
  socklen_t size = sizeof(peer);
  ::getsockopt(link_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
  init_ = peer.pid;
  return until("hello");
}

int Sandbox::turn_away(std::chrono::milliseconds span) {
  const int flags = ::fcntl(listener_.get(), F_GETFL);
  ::fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK);
  int count = 0;
  // Without a pause: hello follows within microseconds.
  for (const auto end = Clock::now() + span; Clock::now() < end;)
    if (const UniqueFd one(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)); one)
      ++count;
  ::fcntl(listener_.get(), F_SETFL, flags);
  return count;
}

void Sandbox::send(const Frame& frame) { send_raw(encode(frame).value()); }

void Sandbox::send_raw(std::string_view bytes) {
  if (::send(link_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
    std::cerr << "send to agent: " << std::strerror(errno) << "\n";
  }
}

Frame Sandbox::until(const std::function<bool(const Frame&)>& wanted) {
  const auto deadline = Clock::now() + kPatience;
  while (Clock::now() < deadline) {
    pollfd entry{.fd = link_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, 100) != 1) continue;
    char bytes[kFrameBytes];
    const ssize_t count = ::recv(link_.get(), bytes, sizeof(bytes), 0);
    if (count <= 0) break;
    const auto frame = decode({bytes, static_cast<std::size_t>(count)});
    if (!frame) break;
    if (wanted(*frame)) return *frame;
  }
  std::cerr << "no such frame came; the agent says:\n" << log();
  return {};
}

Frame Sandbox::until(const std::string& verb, const std::string& key, const std::string& value) {
  return until([&](const Frame& frame) {
    return frame.verb == verb && (key.empty() || frame.get(key) == value);
  });
}

void Sandbox::welcome(const std::vector<std::string>& session, const std::string& keyboard,
                      const std::vector<std::string>& apart) {
  Frame frame("welcome");
  frame.add("protocol", "1")
      .add("desktop", "7")
      .add("hostname", "desk")
      .add("login", "alice")
      .add("uid", "1000")
      .add("gid", "1000")
      .add("group", "audio:29")
      .add("home", "/home/alice")
      .add("shell", "/bin/bash")
      .add("timezone", "Europe/Madrid")
      .add("keyboard", keyboard);
  for (const auto& word : session) frame.add("arg", word);
  for (const auto& program : apart) frame.add("apart", program);
  send(frame);
}

bool Sandbox::listen(const Frame& fields) {
  cookie_ = random_hex();
  Frame frame("listen");
  frame.add("attach", std::to_string(++attach_)).add("cookie", cookie_).add("link", "local");
  for (const auto& [key, value] : fields.fields) frame.add(key, value);
  send(frame);
  return until("listening", "attach", attach()).verb == "listening";
}

std::string Sandbox::inside(const std::string& path) const {
  return "/proc/" + std::to_string(init_) + "/root" + path;
}

Computer::Computer(const std::string& directory, int display, const std::string& geometry)
    : directory_(directory), display_(display) {
  ::mkdir(directory_.c_str(), 0755);
  ::mkdir("/tmp/.X11-unix", 01777);
  const std::string authority = directory_ + "/Xauthority";
  std::ofstream(authority) << xauthority_bytes("localhost", display, random_hex()).value();
  const std::string name = ":" + std::to_string(display);
  x_ = Program({"Xvfb", name, "-screen", "0", geometry + "x24", "-nolisten", "tcp", "-noreset",
                "-auth", authority},
               environment(), directory_ + "/x.log");
  eventually(
      [&] { return Program({"xdpyinfo"}, environment(), directory_ + "/x.log").wait() == 0; });
  manager_ = Program({"openbox"}, environment(), directory_ + "/x.log");
  eventually([&] {
    return Program({"sh", "-c", "xprop -root _NET_SUPPORTING_WM_CHECK | grep -q 'window id'"},
                   environment(), directory_ + "/x.log")
               .wait() == 0;
  });
}

std::vector<std::string> Computer::environment() const {
  return {"PATH=/usr/bin:/bin",
          "DISPLAY=:" + std::to_string(display_),
          "XAUTHORITY=" + directory_ + "/Xauthority",
          "HOME=" + directory_,
          "NX_ROOT=" + directory_,
          "NX_CLIENT=/bin/true"};
}

Program Computer::attach(const Sandbox& desktop) const {
  return {{"nxproxy", "-S",
           "nx/nx,retry=5,link=local,root=" + directory_ + ",connect=unix:" + desktop.nx_socket() +
               ",cookie=" + desktop.cookie() + ":100"},
          environment(),
          directory_ + "/nxproxy.log"};
}

}  // namespace panal::agent::test

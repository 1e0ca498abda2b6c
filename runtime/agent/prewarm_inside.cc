// The throw-away user: an X server nobody looks at, a window manager's stand-in, nxproxy.
#include "runtime/agent/prewarm_inside.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <vector>

#include "engine/base/kernel_paths.h"
#include "runtime/agent/picture.h"
#include "runtime/agent/pump.h"
#include "runtime/agent/x11_client.h"
#include "runtime/agent/xauthority.h"

namespace panal::agent::prewarm {
namespace {

using std::chrono::milliseconds;

constexpr const char* kAuthority = "/tmp/Xauthority";
constexpr const char* kOptions = "/tmp/options";
constexpr const char* kSocket = "/tmp/nx.sock";
constexpr const char* kErrors = "/tmp/errors";
constexpr const char* kXSocket = "/tmp/.X11-unix/X1";
constexpr milliseconds kXPatience{10000};

Result<void> write_secret(const char* path, std::string_view text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return fail_errno("make", path);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return fail_errno("write", path);
  }
  return {};
}

Result<std::string> random_cookie() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return fail_errno("get random bytes");
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte : bytes) {
    out.push_back(kHex[byte >> 4U]);
    out.push_back(kHex[byte & 0xfU]);
  }
  return out;
}

Result<pid_t> run(const std::vector<std::string>& argv) {
  const std::vector<std::string> variables = {
      "PATH=/usr/bin:/bin", "HOME=/tmp",  "NX_ROOT=/tmp",
      "NX_TEMP=/tmp",       "DISPLAY=:1", std::string("XAUTHORITY=") + kAuthority,
      "NX_CLIENT=/bin/true"};
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const auto& word : argv) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  environment.reserve(variables.size() + 1);
  for (const auto& word : variables) environment.push_back(const_cast<char*>(word.c_str()));
  environment.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork for", argv[0]);
  if (pid == 0) {
    const int null = ::open(kernel_paths::kDevNull, O_RDWR);
    const int log = ::open(kErrors, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (null < 0 || log < 0) ::_exit(126);
    ::dup2(null, 0);
    ::dup2(log, 1);
    ::dup2(log, 2);
    ::execvpe(arguments[0], arguments.data(), environment.data());
    ::_exit(127);
  }
  return pid;
}

Result<UniqueFd> listen_private() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, kSocket, sizeof(address.sun_path) - 1);
  if (!socket ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(socket.get(), 1) != 0) {
    return fail_errno("listen at", kSocket);
  }
  return socket;
}

Result<void> start_x(Size geometry, const std::string& cookie) {
  PANAL_ASSIGN(const std::string authority, xauthority_bytes("localhost", 1, cookie));
  PANAL_TRY(write_secret(kAuthority, authority));
  ::mkdir("/tmp/.X11-unix", 01777);
  const std::string screen =
      std::to_string(geometry.width) + "x" + std::to_string(geometry.height) + "x24";
  PANAL_TRY(run({"Xvfb", ":1", "-screen", "0", screen, "-nolisten", "tcp", "-noreset", "-auth",
                 kAuthority, "-extension", "GLX", "-maxclients", "64"}));
  return {};
}

/// A process that must live has ended: who, in words.
Result<void> check_children(pid_t proxy) {
  int status = 0;
  const pid_t gone = ::waitpid(-1, &status, WNOHANG);
  if (gone <= 0) return {};
  return fail(0, gone == proxy ? "nxproxy has ended" : "Xvfb has ended");
}

Result<x11::Client> connect_x(const std::string& cookie_hex) {
  PANAL_ASSIGN(const std::string cookie, cookie_bytes(cookie_hex));
  const auto deadline = std::chrono::steady_clock::now() + kXPatience;
  for (;;) {
    auto client = x11::Client::connect(kXSocket, cookie, milliseconds{2000});
    if (client) return client;
    if (::waitpid(-1, nullptr, WNOHANG) > 0) return fail(0, "Xvfb ended as it started");
    if (std::chrono::steady_clock::now() > deadline) return prefixed("Xvfb", client.error());
    ::usleep(20000);  // it says nothing when its socket is there
  }
}

/// nxagent takes a screen without a window manager for a reason to be full screen for ever. This
/// grants every wish for a place and a size, and is all it looks for.
Result<void> manage_windows(const x11::Client& x, bool& attached) {
  PANAL_ASSIGN(const std::string message, x.receive(milliseconds{1000}));
  if (const auto window = x11::as_map_request(message)) {
    attached = true;
    return x.send(x11::map_window(*window));
  }
  if (const auto wish = x11::as_configure_request(message)) {
    return x.send(x11::configure_window(*wish));
  }
  return {};
}

/// Answers whoever asks for a picture. On a connection of its own: the window manager's has events
/// in between. nxagent paints its first window no sooner than something happens in it, so the
/// pointer moves before each.
Result<void> answer_asking(UniqueFd& asking, const std::string& cookie_hex, unsigned& asked) {
  char byte = 0;
  if (::recv(asking.get(), &byte, 1, MSG_DONTWAIT) != 1) {
    asking.reset();  // nobody asks any more
    return {};
  }
  PANAL_ASSIGN(const std::string cookie, cookie_bytes(cookie_hex));
  PANAL_ASSIGN(const x11::Client x, x11::Client::connect(kXSocket, cookie, milliseconds{2000}));
  PANAL_ASSIGN(const Picture picture, take_picture(x, milliseconds{3000}));
  ++asked;
  PANAL_TRY(
      x.send(x11::warp_pointer(x.root(), x.setup().width / 2U + asked % 2, x.setup().height / 2U)));
  return send_picture(asking.get(), picture);
}

}  // namespace

Result<void> run_inside(Options options) {
  PANAL_ASSIGN(const std::string x_cookie, random_cookie());
  PANAL_TRY(start_x(options.geometry, x_cookie));
  PANAL_ASSIGN(const x11::Client x, connect_x(x_cookie));
  PANAL_TRY(x.send(x11::select_input(x.root(), x11::kSubstructureRedirect)));
  PANAL_ASSIGN(const UniqueFd listener, listen_private());
  PANAL_TRY(write_secret(kOptions,
                         "nx/nx,retry=1,root=/tmp,link=local,connect=unix:" + std::string(kSocket) +
                             ",cookie=" + options.cookie + ":100\n"));
  PANAL_ASSIGN(const pid_t proxy,
               run({"nxproxy", "-S", std::string("nx/nx,options=") + kOptions + ":100"}));
  UniqueFd link;
  ::fcntl(options.nx.get(), F_SETFL, O_NONBLOCK);
  Pump up(-1, options.nx.get());
  Pump down(options.nx.get(), -1);
  bool attached = false;  // the session's window has been seen
  unsigned asked = 0;     // pictures
  for (;;) {
    std::array<pollfd, 7> entries = {
        pollfd{.fd = x.fd(), .events = POLLIN, .revents = 0},
        pollfd{.fd = link ? -1 : listener.get(), .events = POLLIN, .revents = 0},
        up.source(),
        up.sink(),
        down.source(),
        down.sink(),
        pollfd{.fd = options.asking.get(), .events = POLLIN, .revents = 0}};
    if (!link) entries[4].fd = -1;  // the desktop speaks only after its greeting
    // A second is how late the end of a child may be seen.
    if (::poll(entries.data(), entries.size(), 1000) < 0 && errno != EINTR) {
      return fail_errno("poll");
    }
    if (entries[0].revents != 0) {
      if (!manage_windows(x, attached)) return fail(0, "Xvfb closed its connection");
    }
    if (!link && entries[1].revents != 0) {
      link = UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (link) {
        up = Pump(link.get(), options.nx.get());
        down = Pump(options.nx.get(), link.get());
      }
    }
    if (link) {
      up.move();
      down.move();
      if (up.finished() || down.finished()) {
        // A suspended session has nxproxy hang up: that is what all this was for.
        if (attached) return {};
        return fail(0, "the desktop's nxagent and nxproxy did not come together");
      }
    }
    if (entries[6].revents != 0) {
      if (auto answered = answer_asking(options.asking, x_cookie, asked); !answered)
        return prefixed("picture", answered.error());
    }
    const auto alive = check_children(proxy);
    if (!alive) return attached && link ? Result<void>{} : alive;
  }
}

}  // namespace panal::agent::prewarm

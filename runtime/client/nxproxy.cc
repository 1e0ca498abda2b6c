#include "runtime/client/nxproxy.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "runtime/client/http.h"

namespace panal::client {
namespace {

/// Any number does: it only names nxproxy's own files in its private directory.
constexpr const char* kDisplay = ":92";

Result<void> write_private(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("create", path);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno("write", path);
  return {};
}

Result<UniqueFd> listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(ENAMETOOLONG, "the path " + path + " is too long for a socket; set TMPDIR");
  path.copy(address.sun_path, path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("socket");
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("bind", path);
  if (::listen(fd.get(), 1) != 0) return fail_errno("listen", path);
  return fd;
}

}  // namespace

std::string render_nx_options(const std::string& directory, const std::string& socket,
                              const std::string& cookie, const std::string& link) {
  std::string out = "nx/nx,retry=5,root=" + url_encode(directory) +
                    ",connect=" + url_encode("unix:" + socket) + ",link=" + link;
  if (!cookie.empty()) out += ",cookie=" + cookie;
  return out + ",loopback=1" + kDisplay + "\n";
}

Result<PrivateDirectory> PrivateDirectory::make() {
  std::string base;
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime == '/')
    base = runtime;
  if (base.empty() || ::access(base.c_str(), W_OK) != 0)
    base = std::filesystem::temp_directory_path().string();
  std::string path = base + "/panal-client-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail_errno("make a directory in", base);
  return PrivateDirectory(std::move(path));
}

PrivateDirectory::~PrivateDirectory() {
  if (path_.empty()) return;
  std::error_code ignored;  // nothing to be done about a leftover in the temp directory
  std::filesystem::remove_all(path_, ignored);
}

Result<void> NxProxy::spawn(const Options& options) {
  const std::string& dir = directory_.path();
  PANAL_TRY(write_private(dir + "/options",
                          render_nx_options(dir, dir + "/nx.sock", options.cookie, options.link)));
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("NX_")) environment.emplace_back(text);
  }
  // Its own files stay in our directory, and no dialog pops up: we tell the user ourselves.
  environment.push_back("NX_ROOT=" + dir);
  environment.push_back("NX_TEMP=" + dir);
  environment.emplace_back("NX_CLIENT=/bin/false");
  std::vector<std::string> words = {options.program, "-S",
                                    "nx/nx,options=" + url_encode(dir + "/options") + kDisplay};
  std::vector<char*> argv, envp;
  for (auto& word : words) argv.push_back(word.data());
  for (auto& entry : environment) envp.push_back(entry.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  const std::string log = dir + "/nxproxy.log";
  ::posix_spawn_file_actions_addopen(&actions, 0, kernel_paths::kDevNull, O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  // Our own blocked and ignored signals are not for it: it must end by TERM.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none, ignored;
  sigemptyset(&none);
  sigemptyset(&ignored);
  sigaddset(&ignored, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &ignored);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int code = ::posix_spawnp(&pid, options.program.c_str(), &actions, &attributes, argv.data(),
                                  envp.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (code != 0)
    return fail(code, "cannot start " + options.program + " (Debian's package nxproxy has it)");
  auto child = Pidfd::open(pid);
  if (!child) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return tl::make_unexpected(child.error());
  }
  child_ = std::move(*child);
  return {};
}

Result<NxProxy> NxProxy::start(const Options& options, std::chrono::milliseconds timeout) {
  PANAL_ASSIGN(PrivateDirectory directory, PrivateDirectory::make());
  NxProxy proxy(std::move(directory));
  PANAL_ASSIGN(const UniqueFd listener, listen_at(proxy.directory_.path() + "/nx.sock"));
  PANAL_TRY(proxy.spawn(options));
  pollfd entries[] = {{listener.get(), POLLIN, 0}, {proxy.child_.fd(), POLLIN, 0}};
  const int ready = ::poll(entries, 2, static_cast<int>(timeout.count()));
  if (ready < 0) return fail_errno("wait for nxproxy");
  if (ready == 0) return fail(ETIMEDOUT, "nxproxy did not connect");
  if ((entries[0].revents & POLLIN) == 0)
    return fail(ECHILD, "nxproxy ended at once: " + proxy.last_words());
  proxy.stream_ =
      UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!proxy.stream_) return fail_errno("accept nxproxy");
  // It has read its options and connected: even a client that is killed leaves no cookie behind.
  ::unlink((proxy.directory_.path() + "/options").c_str());
  ::unlink((proxy.directory_.path() + "/nx.sock").c_str());
  return proxy;
}

std::optional<int> NxProxy::wait(std::chrono::milliseconds timeout) {
  if (status_ || !child_.valid()) return status_;
  const auto ended = child_.wait_exit(timeout);
  if (!ended || !*ended) return std::nullopt;
  int status = 0;
  if (::waitpid(child_.pid(), &status, 0) == child_.pid()) status_ = status;
  return status_;
}

std::string NxProxy::last_words() const {
  std::ifstream in(directory_.path() + "/nxproxy.log");
  std::string line, last, last_error;
  while (std::getline(in, line)) {
    if (!line.empty()) last = line;
    if (line.starts_with("Error")) last_error = line;
  }
  return printable(last_error.empty() ? last : last_error, 300);
}

bool NxProxy::peer_broke() const {
  std::ifstream in(directory_.path() + "/nxproxy.log");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("Error: Connection with remote peer broken")) return true;
  }
  return false;
}

NxProxy::~NxProxy() {
  if (!child_.valid() || directory_.path().empty()) return;
  stream_.reset();
  if (wait(std::chrono::milliseconds(500))) return;
  (void)child_.send_signal(SIGTERM);  // it may have ended in between
  if (wait(std::chrono::milliseconds(2000))) return;
  (void)child_.send_signal(SIGKILL);
  (void)wait(std::chrono::milliseconds(2000));
}

}  // namespace panal::client

#include "runtime/client/nxproxy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

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
  const std::string log_file = dir + "/nxproxy.log";
  const UniqueFd log(::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log) return fail_errno("create", log_file);
  ChildCommand command{.program = options.program};
  command.argv = {options.program, "-S",
                  "nx/nx,options=" + url_encode(dir + "/options") + kDisplay};
  command.environment = std::move(environment);
  command.descriptors = {{STDIN_FILENO, ChildDescriptor::kNull},
                         {STDOUT_FILENO, log.get()},
                         {STDERR_FILENO, log.get()}};
  auto child = ChildProcess::start(command);
  if (!child)
    return fail(child.error().code,
                "cannot start " + options.program + " (Debian's package nxproxy has it)");
  child_ = std::move(*child);
  return {};
}

Result<NxProxy> NxProxy::start(const Options& options, std::chrono::milliseconds timeout) {
  PANAL_ASSIGN(PrivateDirectory directory, PrivateDirectory::make());
  NxProxy proxy(std::move(directory));
  PANAL_ASSIGN(const UniqueFd listener, listen_at(proxy.directory_.path() + "/nx.sock"));
  PANAL_TRY(proxy.spawn(options));
  pollfd entries[] = {{listener.get(), POLLIN, 0}, {proxy.child_.process().fd(), POLLIN, 0}};
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

std::optional<ChildEnd> NxProxy::wait(std::chrono::milliseconds timeout) {
  if (end_ || !child_.valid()) return end_;
  if (auto ended = child_.wait(timeout)) end_ = *ended;
  return end_;
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
  if (!child_.valid()) return;
  stream_.reset();
  if (wait(std::chrono::milliseconds(500))) return;
  (void)child_.process().send_signal(SIGTERM);  // it may have ended in between
  (void)wait(std::chrono::milliseconds(2000));  // killed where it has not ended then
}

}  // namespace panal::client

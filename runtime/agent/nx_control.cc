#include "runtime/agent/nx_control.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "runtime/agent/guard_bytes.h"
#include "runtime/agent/prepare.h"
#include "runtime/agent/xauthority.h"

namespace panal::agent {

std::string NxControl::x_socket() const { return "/tmp/.X11-unix/X" + std::to_string(kDisplay); }

Result<std::string> NxControl::cookie() const { return cookie_bytes(request_.cookie); }

bool NxControl::needs_resize(const AttachRequest& request) const {
  return render_nx_options(request, {}, history_).adjust_size;
}

Result<void> NxControl::write_files(const AttachRequest& request, const User& user) {
  PANAL_TRY(make_directories(kSessionDir));
  const std::string root = runtime_dir(user) + "/nx";
  if (::mkdir(root.c_str(), 0700) == 0) {
    if (::chown(root.c_str(), user.uid, user.gid) != 0) return fail_errno("give to user", root);
  }
  // A socket left by an earlier listen would look like one that is ready.
  ::unlink(kNxSocket);
  NxOptions options = render_nx_options(
      request, {.root = root, .socket = kNxSocket, .display = kDisplay}, history_);
  PANAL_ASSIGN(const std::string authority,
               xauthority_bytes(user.hostname, kDisplay, request.cookie));
  // nxagent wants the same cookie in both files.
  const std::string options_path = std::string(kSessionDir) + "/options";
  PANAL_TRY(replace_file(options_path, options.line, 0600, user.uid, user.gid));
  PANAL_TRY(replace_file(xauthority(), authority, 0600, user.uid, user.gid));
  history_ = options.history;
  request_ = request;
  return {};
}

Result<void> NxControl::start(const AttachRequest& request, const User& user) {
  history_ = {};
  lines_ = {};
  tail_.clear();
  PANAL_TRY(write_files(request, user));
  const std::string display = std::to_string(kDisplay);
  ::unlink(x_socket().c_str());
  ::unlink(("/tmp/.X" + display + "-lock").c_str());
  auto environment = session_environment(user, kDisplay, xauthority(), false);
  environment[0] = "DISPLAY=nx/nx,options=" + std::string(kSessionDir) + "/options:" + display;
  environment.push_back("NX_TEMP=/tmp");
  environment.push_back("NX_ROOT=" + runtime_dir(user) + "/nx");
  // Asked what to do when its window is closed: see dialog_answer().
  environment.push_back(std::string("NX_CLIENT=") + kAgentProgram);
  const std::string guard = std::string(kSessionDir) + "/resume-guard.so";
  PANAL_TRY(replace_file(guard, resume_guard(), 0644, 0, 0));
  environment.push_back("LD_PRELOAD=" + guard);
  std::vector<std::string> argv = {"nxagent", "-D",         "-nolisten", "tcp",
                                   "-auth",   xauthority(), "-name",     user.hostname};
  if (!user.shared_pictures) argv.emplace_back("-noshmem");
  argv.push_back(":" + display);
  PANAL_ASSIGN(child_, spawn_as(user, argv, environment, "/"));
  group_ = child_.pid;
  return {};
}

Result<void> NxControl::resume(const AttachRequest& request, const User& user) {
  PANAL_TRY(write_files(request, user));
  signal(SIGHUP);
  return {};
}

void NxControl::signal(int number) const {
  if (child_.running()) ::kill(child_.pid, number);
}

void NxControl::kill() const {
  if (child_.running()) ::kill(-group_, SIGKILL);
}

void NxControl::burn() const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, kNxSocket, sizeof(address.sun_path) - 1);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket &&
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    [[maybe_unused]] const auto sent = ::send(socket.get(), "no\n", 3, MSG_NOSIGNAL);
  }
}

std::vector<session::NxEvent> NxControl::read_log() {
  std::vector<session::NxEvent> events;
  if (!child_.output) return events;
  const Drained drained = drain(child_.output.get());
  for (const std::string& line : lines_.feed(drained.bytes)) {
    // Only from its own group: its log is the user's to write.
    if (const auto heir = session::parse_heir(line); heir && ::getpgid(*heir) == group_) {
      child_.pid = *heir;
    }
    if (const auto event = session::parse_nx_log(line)) events.push_back(*event);
    // Its banner and key table are most of what it says.
    if (line.rfind("Session:", 0) == 0 || line.find("rror") != std::string::npos) {
      log_line("nxagent", {{"says", line}});
      tail_.append(line + "\n");
    }
  }
  if (drained.end) child_.output.reset();
  return events;
}

std::string NxControl::ended(int wait_status) {
  // A helper that outlived it would keep the display's socket from the next one, which may start at
  // once.
  end_group(group_);
  child_ = {};
  std::string reason = "nxagent ended with " + describe_exit(wait_status);
  const std::string words = tail_.last_lines(3);
  if (!words.empty()) reason.append(": ").append(words);
  return reason;
}

}  // namespace panal::agent

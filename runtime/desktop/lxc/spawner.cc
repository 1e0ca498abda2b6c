#include "runtime/desktop/lxc/spawner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <lxc/lxccontainer.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "engine/base/kernel_paths.h"
#include "engine/base/prctl_numbers.h"
#include "engine/base/tree.h"
#include "runtime/agent/protocol.h"
#include "runtime/desktop/lxc/fd_message.h"
#include "runtime/desktop/lxc/user_namespace.h"
#include "runtime/desktop/pidfd_info.h"

namespace panal::desktop::lxc {
namespace {

/// liblxc keeps a lock file a container there for ever (src/lxc/lxclock.c).
constexpr const char* kLxcLocks = "/run/lxc/lock";

std::string failed(const Error& error) {
  auto text = agent::encode(
      agent::Frame("failed").add("code", std::to_string(error.code)).add("reason", error.context));
  return text.value_or("failed code=5 reason=unknown");
}

/// Group paths in the configuration are relative to the caller's groups (lxc.cgroup.relative), so
/// the caller sits at the root of each hierarchy.
Result<void> enter_root_groups() {
  PANAL_ASSIGN(const Dir top, Dir::open(kernel_paths::kSysFsCgroup));
  if (top.exists("cgroup.procs")) return top.write("cgroup.procs", "0");
  PANAL_ASSIGN(const std::vector<std::string> names, top.list());
  for (const std::string& name : names) {
    const std::string file = name + "/cgroup.procs";
    if (top.exists(file)) PANAL_TRY(top.write(file, "0"));
  }
  return {};
}

Result<StartRequest> parse_request(std::string_view text) {
  PANAL_ASSIGN(const agent::Frame frame, agent::decode(text));
  if (frame.verb != "start") return fail(EPROTO, "a spawner knows no \"" + frame.verb + "\"");
  StartRequest request;
  request.name = frame.get("name");
  request.config = frame.get("config");
  request.lxc_path = frame.get("lxc_path");
  request.log = frame.get("log");
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max() - 1;
  PANAL_ASSIGN(const std::uint64_t first, frame.number("ids_first", kMost));
  PANAL_ASSIGN(const std::uint64_t count, frame.number("ids_count", kMost));
  request.ids = IdRange{static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(count)};
  PANAL_ASSIGN(const std::uint64_t merge, frame.number("merge", 1));
  PANAL_ASSIGN(const std::uint64_t fixed, frame.number("fixed_addresses", 1));
  request.sharing = MemorySharing{merge == 1, fixed == 1};
  if (request.name.empty() || request.name.find('/') != std::string::npos)
    return fail(EINVAL, "a container's name has no slash");
  return request;
}

/// Of this process and all it will start. ENOTSUP where the kernel cannot merge: whoever counts on
/// what merging saves is to know.
Result<void> share_memory(const MemorySharing& sharing) {
  if (sharing.merge && ::prctl(kSetMemoryMerge, 1, 0, 0, 0) != 0)
    return errno == EINVAL
               ? fail(ENOTSUP, "this kernel cannot merge a process's memory (Linux 6.4 can)")
               : fail_errno("offer memory for merging (prctl PR_SET_MEMORY_MERGE)");
  constexpr unsigned long kAsk = 0xffffffff;
  const int now = ::personality(kAsk);
  if (sharing.fixed_addresses &&
      ::personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) < 0)
    return fail_errno("fix addresses (personality ADDR_NO_RANDOMIZE)");
  return {};
}

/// Starts the container in this (forked) process. liblxc forks its monitor off and returns when
/// init runs.
Result<UniqueFd> start_here(const StartRequest& request, const std::string& user_namespace) {
  const std::unique_ptr<lxc_container, int (*)(lxc_container*)> container(
      lxc_container_new(request.name.c_str(), request.lxc_path.c_str()), lxc_container_put);
  const std::string lock = kLxcLocks + request.lxc_path + "/." + request.name;
  const auto not_started = [&](int code, const char* what) {
    return fail(code, fmt::format("liblxc {} {} (log: {})", what, request.name, request.log));
  };
  if (!container) return not_started(ENOMEM, "cannot make");
  lxc_container* c = container.get();
  if (c->is_running(c)) return not_started(EBUSY, "already runs");
  if (!c->load_config(c, request.config.c_str()))
    return not_started(EINVAL, "refuses the configuration of");
  if (!c->set_config_item(c, "lxc.namespace.share.user", user_namespace.c_str()) ||
      !c->want_daemonize(c, true) || !c->want_close_all_fds(c, true))
    return not_started(EINVAL, "cannot prepare");
  const bool started = c->start(c, 0, nullptr);
  UniqueFd init(started ? c->init_pidfd(c) : -1);
  (void)::unlink(lock.c_str());
  if (!started) return not_started(ECHILD, "could not start");
  if (!init) return not_started(ECHILD, "started, but at once ended the init of");
  return init;
}

/// panald has many descriptors; programs inside get the limit that Linux programs are made for
/// (select(2) ends at 1024), and may raise it themselves.
void usual_descriptor_limit() {
  constexpr rlim_t kUsual = 1024;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= kUsual) return;
  limit.rlim_cur = std::min(kUsual, limit.rlim_max);
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

[[noreturn]] void run_child(const StartRequest& request, const std::string& user_namespace,
                            const UniqueFd& reply, pid_t spawner) {
  end_with_parent(spawner);  // only this process: the monitor is forked off
  auto init = [&]() -> Result<UniqueFd> {
    PANAL_TRY(share_memory(request.sharing));
    usual_descriptor_limit();
    return start_here(request, user_namespace);
  }();
  const auto sent = init ? send_message(reply, "started", init->get())
                         : send_message(reply, failed(init.error()));
  ::_exit(sent ? 0 : 1);
}

struct Started {
  std::string text;
  UniqueFd init;
};

Result<Started> start(const StartRequest& request) {
  PANAL_ASSIGN(const UniqueFd user_namespace, make_user_namespace(request.ids));
  // The monitor closes what it inherits, so it opens the namespace through us.
  const std::string path =
      fmt::format("{}/{}/fd/{}", kernel_paths::kProc, ::getpid(), user_namespace.get());
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno("socketpair");
  const UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  const pid_t self = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork to start", request.name);
  if (child == 0) run_child(request, path, theirs, self);
  theirs.reset();
  auto answer = receive_message(ours, -1);
  ::waitpid(child, nullptr, 0);
  if (!answer) return tl::make_unexpected(answer.error());
  if (answer->text.empty())
    return fail(
        EPIPE, fmt::format("the process that starts {} died (log: {})", request.name, request.log));
  return Started{std::move(answer->text), std::move(answer->fd)};
}

}  // namespace

Result<void> serve(const UniqueFd& socket) {
  PANAL_TRY(enter_root_groups());
  // Without the newuidmap program in reach liblxc writes id maps itself: no line in /etc/subuid has
  // to cover what the configuration says.
  if (::clearenv() != 0 || ::setenv("PATH", "/nonexistent", 1) != 0)
    return fail_errno("clear the environment");
  // Inherited by every container: a core file may be as large as the desktop. (liblxc's own
  // lxc.prlimit wants CAP_SYS_RESOURCE even to lower a limit.)
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return fail_errno("limit core files");
  for (;;) {
    PANAL_ASSIGN(const FdMessage message, receive_message(socket, -1));
    if (message.text.empty()) return {};
    const auto request = parse_request(message.text);
    auto started =
        request ? start(*request) : Result<Started>(tl::make_unexpected(request.error()));
    if (started)
      PANAL_TRY(send_message(socket, started->text, started->init.get()));
    else
      PANAL_TRY(send_message(socket, failed(started.error())));
  }
}

Result<Pidfd> request_start(const UniqueFd& socket, const StartRequest& request, int timeout_ms) {
  agent::Frame frame("start");
  frame.add("name", request.name)
      .add("config", request.config)
      .add("lxc_path", request.lxc_path)
      .add("log", request.log)
      .add("ids_first", std::to_string(request.ids.first))
      .add("ids_count", std::to_string(request.ids.count))
      .add("merge", request.sharing.merge ? "1" : "0")
      .add("fixed_addresses", request.sharing.fixed_addresses ? "1" : "0");
  PANAL_ASSIGN(const std::string text, agent::encode(frame));
  if (const auto sent = send_message(socket, text); !sent)
    return fail(EPIPE, "the spawner is gone");
  PANAL_ASSIGN(FdMessage answer, receive_message(socket, timeout_ms));
  if (answer.text.empty()) return fail(EPIPE, "the spawner died while it started " + request.name);
  PANAL_ASSIGN(const agent::Frame reply, agent::decode(answer.text));
  if (reply.verb == "failed") {
    PANAL_ASSIGN(const std::uint64_t code, reply.number("code", 4095));
    return fail(static_cast<int>(code), std::string(reply.get("reason")));
  }
  if (reply.verb != "started" || !answer.fd) return fail(EPROTO, "a spawner's answer");
  return pidfd_with_pid(std::move(answer.fd));
}

}  // namespace panal::desktop::lxc

#include "runtime/node/agent_hub.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <mutex>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "runtime/node/welcome.h"

namespace panal::node {

using agent::Frame;
using agent::SessionState;
using std::chrono::milliseconds;

namespace {

constexpr std::uint64_t kMostIdleMs = std::uint64_t{1} << 42U;
/// What an agent may say it is at: ours count on from there, and brokers know them as signed.
constexpr std::uint64_t kMostWindows = 1'000'000;
constexpr std::uint64_t kMostAttach = std::uint64_t{1} << 62U;

/// A worker's request, done on the loop's thread; `Work` returns a value.
std::string socket_name() {
  const std::string path = agent::kAgentSocket;
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

/// What a worker in wait_ready() and the loop share.
struct AgentHub::Ready {
  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::mutex mutex;
  std::optional<Result<void>> outcome;

  void tell(Result<void> result) {
    {
      const std::lock_guard lock(mutex);
      if (outcome) return;
      outcome = std::move(result);
    }
    (void)::eventfd_write(event.get(), 1);  // can only fail when it is signalled already
  }
};

struct AgentHub::Desk {
  desktop::DesktopSpec spec;
  std::unique_ptr<loop::Descriptor> listener;
  std::unique_ptr<loop::Timer> pause;  ///< of accepting
  std::unique_ptr<AgentLink> link;
  std::shared_ptr<Ready> ready = std::make_shared<Ready>();
  bool admitted = false;  ///< its network is up: it may be welcomed
  bool greeted = false;   ///< this connection said hello
  bool set_up = false;    ///< an agent's work after welcome is done: it answers at once
  AgentState state;
  std::uint64_t ordered = 0;  ///< the attach whose answer is awaited; 0: none
  std::function<void(Result<void>)> order_done;
  std::unique_ptr<loop::Timer> order_timer;
};

AgentHub::AgentHub(loop::Loop& loop, LoggerPtr log, milliseconds patience)
    : loop_(loop), log_(std::move(log)), patience_(patience) {}
AgentHub::~AgentHub() = default;

template <typename Work>
auto AgentHub::on_loop(Work work) {
  using Value = decltype(work());
  auto promise = std::make_shared<std::promise<Value>>();
  auto future = promise->get_future();
  loop_.post([promise, work = std::move(work)] { promise->set_value(work()); });
  return future.get();
}

AgentHub::DeskPtr AgentHub::find(DesktopId id) const {
  const auto found = desks_.find(id);
  return found == desks_.end() ? nullptr : found->second;
}

Result<void> AgentHub::listen(const desktop::DesktopSpec& spec, const std::string& shared_dir) {
  return on_loop([this, &spec, &shared_dir] { return open_socket(spec, shared_dir); });
}

Result<void> AgentHub::open_socket(const desktop::DesktopSpec& spec,
                                   const std::string& shared_dir) {
  PANAL_ASSIGN(const Dir dir, Dir::open(shared_dir));
  UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return fail_errno("socket");
  const std::string name = socket_name();
  if (::unlinkat(dir.fd(), name.c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno("remove the old", shared_dir + "/" + name);
  // Through the held directory: no length limit, and nobody can swap it meanwhile.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path =
      std::string(kernel_paths::kProcSelfFd) + "/" + std::to_string(dir.fd()) + "/" + name;
  if (path.size() >= sizeof address.sun_path) return fail(ENAMETOOLONG, "bind " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("bind", shared_dir + "/" + name);
  // Only the desktop's own root can connect: host root's ids do not exist inside.
  if (::fchmodat(dir.fd(), name.c_str(), 0600, 0) != 0)
    return fail_errno("chmod", shared_dir + "/" + name);
  if (::fchownat(dir.fd(), name.c_str(), spec.ids.first, spec.ids.first, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno("chown", shared_dir + "/" + name);
  if (::listen(listener.get(), 2) != 0) return fail_errno("listen", shared_dir + "/" + name);

  auto desk = std::make_shared<Desk>();
  desk->spec = spec;
  desk->listener = std::make_unique<loop::Descriptor>(loop_, std::move(listener));
  desks_[spec.id] = desk;
  accept_soon(desk);
  return {};
}

void AgentHub::accept_soon(const DeskPtr& desk) {
  desk->listener->wait(loop::Ready::kReadable, [this, weak = std::weak_ptr(desk)] {
    if (const auto held = weak.lock()) accept(held);
  });
}

void AgentHub::accept(const DeskPtr& desk) {
  UniqueFd connection(::accept4(desk->listener->fd(), nullptr, nullptr, SOCK_CLOEXEC));
  if (connection) {
    ucred peer{};
    socklen_t size = sizeof peer;
    const bool known = ::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    if (!known || peer.uid != desk->spec.ids.first)
      log_->warning("agent_refused",
                    {{"desktop", kernel_name(desk->spec.id)}, {"uid", std::to_string(peer.uid)}});
    else if (desk->link)
      log_->warning("agent_second_connection", {{"desktop", kernel_name(desk->spec.id)}});
    else
      take_connection(desk, std::move(connection));
  } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
    // Out of descriptors or memory: it still waits, so at once would be for ever.
    desk->pause = std::make_unique<loop::Timer>(loop_);
    return desk->pause->start(milliseconds(200), [this, weak = std::weak_ptr(desk)] {
      if (const auto held = weak.lock()) accept_soon(held);
    });
  }
  accept_soon(desk);
}

void AgentHub::take_connection(const DeskPtr& desk, UniqueFd connection) {
  desk->greeted = false;
  const std::weak_ptr weak = desk;
  desk->link = std::make_unique<AgentLink>(
      loop_, std::move(connection),
      AgentLink::Handlers{[this, weak](const Frame& frame) {
                            if (const auto held = weak.lock()) on_frame(held, frame);
                          },
                          [this, weak](const std::string& reason) {
                            const auto held = weak.lock();
                            if (!held) return;
                            log_->info("agent_gone",
                                       {{"desktop", kernel_name(held->spec.id)}, {"why", reason}});
                            held->link.reset();
                            held->greeted = false;
                            held->state.connected = false;
                            answer_order(held, fail(ENOTCONN, "the desktop's agent went away"));
                          }});
  desk->link->await(patience_, "it did not say hello");
}

void AgentHub::on_frame(const DeskPtr& desk, const Frame& frame) {
  AgentState& state = desk->state;
  if (frame.verb == "hello") return on_hello(desk, frame);
  if (!desk->greeted) return;  // before hello nothing counts
  if (frame.verb == "listening" || frame.verb == "refused") {
    const auto attach = frame.number("attach", UINT64_MAX);
    if (!attach || *attach == 0 || *attach != desk->ordered) return;
    if (frame.verb == "listening") return answer_order(desk, {});
    return answer_order(desk, fail(EBUSY, printable(frame.get("reason"), 300)));
  }
  if (frame.verb == "session" || frame.verb == "status") {
    const auto session =
        agent::parse_session_state(frame.get(frame.verb == "session" ? "state" : "session"));
    const bool ends = session == SessionState::kEnded && state.session != SessionState::kEnded;
    if (session) state.session = *session;
    if (const auto idle = frame.number("idle_ms", kMostIdleMs)) state.idle_ms = *idle;
    if (frame.verb == "session") {
      state.reason = printable(frame.get("reason"), 300);
      if (ends)
        log_->info("session_ended",
                   {{"desktop", kernel_name(desk->spec.id)}, {"why", state.reason}});
      state.idle_ms = 0;
      changed(desk);
    } else if (desk->admitted) {
      // Frames keep their order: what welcome led to came before this answer.
      desk->ready->tell({});
      desk->set_up = true;
      desk->link->no_longer_awaited();
      // After a restart of ours it alone tells how long the user has been away.
      if (state.idle_ms > 0) changed(desk);
    }
    return;
  }
  if (frame.verb == "idle") {
    if (const auto idle = frame.number("ms", kMostIdleMs)) state.idle_ms = *idle;
    return changed(desk);
  }
  if (frame.verb == "settled") {
    const auto windows = frame.number("windows", kMostWindows);
    state.windows = windows ? static_cast<std::uint32_t>(*windows) : 0;
    if (events_.settled) events_.settled(desk->spec.id);
    return;
  }
  if (frame.verb == "failed") {
    const std::string reason =
        printable(frame.get("step"), 40) + ": " + printable(frame.get("reason"), 300);
    state.reason = reason;
    log_->warning("agent_failed", {{"desktop", kernel_name(desk->spec.id)}, {"why", reason}});
    desk->ready->tell(fail(EPROTO, "the agent says " + reason));
    return;
  }
  if (frame.verb == "bye")
    log_->info("agent_bye", {{"desktop", kernel_name(desk->spec.id)},
                             {"why", printable(frame.get("reason"), 300)}});
  // Verbs of a newer agent are not ours to understand.
}

void AgentHub::on_hello(const DeskPtr& desk, const Frame& frame) {
  const auto least = frame.number("min_protocol", 1000000);
  const auto most = frame.number("protocol", 1000000);
  if (!least || !most || *least > agent::kProtocol || *most < agent::kMinProtocol) {
    desk->ready->tell(fail(EPROTO, "the agent speaks no protocol that this panald knows"));
    log_->warning("agent_protocol", {{"desktop", kernel_name(desk->spec.id)}});
    return;
  }
  desk->greeted = true;
  desk->link->no_longer_awaited();
  desk->state.connected = true;
  if (const auto session = agent::parse_session_state(frame.get("session")))
    desk->state.session = *session;
  if (const auto attach = frame.number("attach", kMostAttach))
    desk->state.attach = std::max(desk->state.attach, *attach);
  welcome(desk);
  changed(desk);
}

void AgentHub::welcome(const DeskPtr& desk) {
  if (!desk->greeted || !desk->admitted || !desk->link) return;
  auto sent = desk->link->send(welcome_frame(desk->spec));
  if (sent) sent = desk->link->send(Frame("query"));
  // A first welcome makes work, and whoever starts the desktop has a limit for it.
  if (desk->set_up) desk->link->await(patience_, "it did not answer");
  if (!sent)
    log_->warning("agent_welcome",
                  {{"desktop", kernel_name(desk->spec.id)}, {"why", sent.error().message()}});
}

void AgentHub::changed(const DeskPtr& desk) {
  if (events_.session) events_.session(desk->spec.id, desk->state);
}

Result<void> AgentHub::wait_ready(DesktopId id, const Pidfd& init, milliseconds timeout) {
  const auto ready = on_loop([this, id]() -> std::shared_ptr<Ready> {
    const auto desk = find(id);
    if (!desk) return nullptr;
    desk->admitted = true;
    welcome(desk);
    return desk->ready;
  });
  if (!ready) return fail(ENOENT, "wait for the agent of " + kernel_name(id));
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd entries[] = {{ready->event.get(), POLLIN, 0}, {init.fd(), POLLIN, 0}};
    const int count = ::poll(entries, 2, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (count < 0 && errno != EINTR) return fail_errno("poll the agent of", kernel_name(id));
    const std::lock_guard lock(ready->mutex);
    if (ready->outcome) return *ready->outcome;
    if (count > 0 && entries[1].revents != 0)
      return fail(ECHILD, "the desktop's init ended before its agent was ready");
    if (count == 0)
      return fail(ETIMEDOUT, "the agent of " + kernel_name(id) + " was not ready within " +
                                 std::to_string(timeout.count()) + " ms");
  }
}

Result<void> AgentHub::poweroff(DesktopId id, milliseconds grace) {
  return on_loop([this, id, grace]() -> Result<void> {
    const auto desk = find(id);
    if (!desk || !desk->link || !desk->greeted)
      return fail(ENOTCONN, "the agent of " + kernel_name(id) + " is not connected");
    return desk->link->send(Frame("poweroff").add("grace_ms", std::to_string(grace.count())));
  });
}

void AgentHub::close(DesktopId id) {
  (void)on_loop([this, id] {
    const auto found = desks_.find(id);
    if (found == desks_.end()) return false;
    const DeskPtr desk = found->second;
    desks_.erase(found);
    answer_order(desk, fail(ENOTCONN, "the desktop was stopped"));
    return true;
  });
}

void AgentHub::admit(DesktopId id) {
  (void)on_loop([this, id] {
    if (const auto desk = find(id)) {
      desk->admitted = desk->set_up = true;
      welcome(desk);
    }
    return true;
  });
}

std::optional<AgentState> AgentHub::state(DesktopId id) const {
  const auto desk = find(id);
  if (!desk) return std::nullopt;
  return desk->state;
}

std::uint64_t AgentHub::next_attach(DesktopId id) {
  const auto desk = find(id);
  return desk ? ++desk->state.attach : 0;
}

void AgentHub::order_listen(DesktopId id, const ListenOrder& order, milliseconds timeout,
                            std::function<void(Result<void>)> done) {
  const auto desk = find(id);
  if (!desk || !desk->link || !desk->greeted) {
    loop_.post([done = std::move(done), id] {
      done(fail(ENOTCONN, "the agent of " + kernel_name(id) + " is not connected"));
    });
    return;
  }
  answer_order(desk, fail(ECANCELED, "a later attach took over"));
  Frame frame("listen");
  frame.add("attach", std::to_string(order.attach)).add("cookie", order.cookie);
  const auto add = [&frame](const char* key, const std::string& value) {
    if (!value.empty()) frame.add(key, value);
  };
  add("geometry", order.geometry);
  add("keyboard", order.keyboard);
  add("link", order.link);
  add("client", order.client);
  if (order.fullscreen) frame.add("fullscreen", "1");
  if (order.warm) frame.add("warm", "1");
  desk->ordered = order.attach;
  desk->order_done = std::move(done);
  desk->order_timer = std::make_unique<loop::Timer>(loop_);
  desk->order_timer->start(timeout, [this, weak = std::weak_ptr(desk)] {
    if (const auto held = weak.lock())
      answer_order(held, fail(ETIMEDOUT, "the desktop's agent did not answer in time"));
  });
  if (auto sent = desk->link->send(frame); !sent) answer_order(desk, std::move(sent));
}

void AgentHub::answer_order(const DeskPtr& desk, Result<void> result) {
  desk->ordered = 0;
  desk->order_timer.reset();
  auto done = std::exchange(desk->order_done, nullptr);
  if (!done) return;
  loop_.post([done = std::move(done), result = std::move(result)] { done(result); });
}

Result<void> AgentHub::suspend(DesktopId id) {
  const auto desk = find(id);
  if (!desk || !desk->link || !desk->greeted)
    return fail(ENOTCONN, "the agent of " + kernel_name(id) + " is not connected");
  return desk->link->send(Frame("suspend"));
}

bool AgentHub::in_use(DesktopId id) const {
  const auto now = state(id);
  if (!now || !now->connected) return true;
  return now->session != agent::SessionState::kNone &&
         now->session != agent::SessionState::kSuspended &&
         now->session != agent::SessionState::kEnded;
}

Result<void> AgentHub::notice(DesktopId id, const std::string& words) {
  const auto desk = find(id);
  if (!desk || !desk->link || !desk->greeted)
    return fail(ENOTCONN, "the agent of " + kernel_name(id) + " is not connected");
  return desk->link->send(Frame("notice").add("text", words));
}

}  // namespace panal::node

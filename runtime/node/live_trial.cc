#include "runtime/node/live_trial.h"

#include <algorithm>
#include <future>
#include <memory>

#include "engine/base/file_tree.h"
#include "engine/base/log.h"
#include "runtime/node/cookie.h"

namespace panal::node {

using agent::SessionState;
using std::chrono::milliseconds;

namespace {

constexpr agent::Size kTrialScreen{1280, 800};
constexpr std::chrono::seconds kTrialListenLimit{45};  // nxagent's first start on a crowded host
// The agent calls a session settled 20 s after its programs were started, whatever they show.
constexpr std::chrono::seconds kTrialSettleLimit{60};
constexpr std::chrono::seconds kPictureLimit{10};
constexpr milliseconds kTrialLook{200};

/// Words for people: the errno's are part of the sentence.
Failure whole_sentence(const Error& error) { return fail(error.code, error.message()); }

}  // namespace

Result<void> LiveTrial::start() {
  {
    const std::lock_guard lock(mutex_);
    if (called_off_) return fail(ECANCELED, "it was called off");
  }
  auto running = parts_.lifecycle.start(spec_);
  if (running) return {};
  std::string reason = running.error().reason();
  if (!running.error().evidence.empty()) reason += ": " + running.error().evidence;
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  return fail(EIO, "its start failed: " + printable(reason, 2000));
}

Result<void> LiveTrial::listen(const std::string& cookie) {
  auto answered = std::make_shared<std::promise<Result<void>>>();
  auto answer = answered->get_future();
  // Who calls the trial off does not wait for the answer: it may come when this is gone.
  parts_.loop.post([&hub = parts_.hub, cookie, answered] {
    ListenOrder order;
    order.attach = hub.next_attach(kTrialDesktop);
    order.cookie = cookie;
    order.geometry = std::to_string(kTrialScreen.width) + "x" + std::to_string(kTrialScreen.height);
    order.link = "lan";
    order.client = "linux";
    hub.order_listen(kTrialDesktop, order, kTrialListenLimit,
                     [answered](Result<void> result) { answered->set_value(result); });
  });
  while (answer.wait_for(kTrialLook) != std::future_status::ready)
    if (auto found = trouble()) return tl::make_unexpected(std::move(*found));
  auto listening = answer.get();
  if (listening) return listening;
  if (auto found = trouble()) return tl::make_unexpected(std::move(*found));
  return fail(EIO, "no X server came up in it: " + listening.error().message());
}

Result<void> LiveTrial::show() {
  const auto cookie = make_cookie();
  if (!cookie) return whole_sentence(cookie.error());
  PANAL_TRY(listen(*cookie));
  auto nx = parts_.lifecycle.open_nx_socket(kTrialDesktop, spec_.ids.first + spec_.user.uid);
  if (!nx) return fail(EIO, "its X server cannot be reached: " + nx.error().message());
  {
    const std::lock_guard lock(mutex_);
    shown_ = true;
  }
  auto client = parts_.client(std::move(*nx), *cookie);
  if (!client) return whole_sentence(client.error());
  client_.emplace(std::move(*client));
  return {};
}

std::optional<Error> LiveTrial::trouble() {
  {
    const std::lock_guard lock(mutex_);
    if (called_off_) return Error{ECANCELED, "it was called off"};
    if (!ended_.empty()) return Error{ECHILD, ended_};
  }
  if (!client_) return std::nullopt;
  const auto gone = client_->ended();
  if (!gone) return Error{ECHILD, gone.error().context};
  if (!*gone) return std::nullopt;
  // A session that ends takes the client along, and the agent's word of it is on its way.
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(2), [this] { return !ended_.empty(); });
  return Error{ECHILD, ended_.empty() ? "the client's link to it ended" : ended_};
}

Result<void> LiveTrial::wait(milliseconds span) {
  const auto deadline = Clock::now() + span;
  for (;;) {
    if (auto found = trouble()) return tl::make_unexpected(std::move(*found));
    std::unique_lock lock(mutex_);
    const auto until = std::min(deadline, Clock::now() + kTrialLook);
    changed_.wait_until(lock, until, [this] { return called_off_ || !ended_.empty(); });
    if (Clock::now() >= deadline && !called_off_ && ended_.empty()) return {};
  }
}

Result<std::uint32_t> LiveTrial::settle() {
  const auto deadline = Clock::now() + kTrialSettleLimit;
  for (;;) {
    if (auto found = trouble()) return tl::make_unexpected(std::move(*found));
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kTrialLook,
                      [this] { return called_off_ || !ended_.empty() || windows_.has_value(); });
    if (windows_) return *windows_;
    if (Clock::now() >= deadline)
      return fail(ETIMEDOUT, "its session did not come to rest within " +
                                 std::to_string(kTrialSettleLimit.count()) + " s");
  }
}

Result<agent::Picture> LiveTrial::picture() {
  auto picture = client_->take_picture(kPictureLimit);
  if (picture) return picture;
  if (auto found = trouble()) return tl::make_unexpected(std::move(*found));
  return whole_sentence(picture.error());
}

Result<void> LiveTrial::end() {
  client_.reset();
  auto stopped = parts_.lifecycle.stop(spec_, milliseconds{0});
  // Its logs have been told of; a user's stay for the operator.
  auto removed = remove_tree(state_dir_);
  if (!stopped) return whole_sentence(stopped.error());
  if (!removed) return whole_sentence(removed.error());
  return {};
}

void LiveTrial::on_session(const AgentState& state) {
  const std::lock_guard lock(mutex_);
  if (!ended_.empty()) return;
  const std::string why = state.reason.empty() ? "" : ": " + state.reason;
  if (state.session == SessionState::kEnded)
    ended_ = state.reason.empty() ? "its session ended" : state.reason;
  else if (shown_ && !state.connected)
    ended_ = "its agent went away" + why;
  else if (shown_ &&
           (state.session == SessionState::kNone || state.session == SessionState::kSuspended))
    ended_ = "its screen was lost" + why;
  changed_.notify_all();
}

void LiveTrial::on_settled(std::uint32_t windows) {
  const std::lock_guard lock(mutex_);
  windows_ = windows;
  changed_.notify_all();
}

void LiveTrial::call_off() {
  const std::lock_guard lock(mutex_);
  called_off_ = true;
  changed_.notify_all();
}

}  // namespace panal::node

#include "runtime/node/attach_desk.h"

#include <algorithm>

#include "runtime/node/cookie.h"

namespace panal::node {

using agent::SessionState;

namespace {

constexpr std::chrono::milliseconds kAgentPoll{100};
constexpr const char* kTakenOver = "A later connection took this desktop over.";

bool is_word(const std::string& text) {
  constexpr std::size_t kMost = 64;
  return text.size() <= kMost && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '+' || c == '/' || c == '.' || c == ':';
         });
}

bool is_live(SessionState state) {
  return state == SessionState::kConnected || state == SessionState::kResuming;
}

}  // namespace

std::optional<std::string> fault_of(const AttachRequest& request) {
  if (request.desktop <= 0) return "desktop must be a desktop's number";
  const std::pair<const char*, const std::string*> texts[] = {{"geometry", &request.geometry},
                                                              {"keyboard", &request.keyboard},
                                                              {"link", &request.link},
                                                              {"client", &request.client}};
  for (const auto& [name, text] : texts)
    if (!is_word(*text)) return std::string(name) + " must have only letters, digits and _-+/.:";
  return std::nullopt;
}

void AttachDesk::attach(const AttachRequest& request,
                        std::function<void(const std::string&)> progress,
                        std::function<void(Answer<Granted>)> done) {
  const auto refuse = [this, &done](Refusal refusal) {
    count(refusal.status);
    parts_.loop.post([done = std::move(done), refusal = std::move(refusal)] {
      done(tl::make_unexpected(refusal));
    });
  };
  if (auto fault = fault_of(request)) return refuse({400, "The attach request's " + *fault + "."});
  if (auto refusal = parts_.refusal(request.desktop)) return refuse(std::move(*refusal));
  const auto existing = current_.find(request.desktop);
  const bool pending = existing != current_.end() && existing->second.done != nullptr;
  const auto state = parts_.hub.state(request.desktop);
  if (!request.takeover && (pending || (state && is_live(state->session))))
    return refuse({409, "This desktop is in use from elsewhere."});

  if (pending) answer(request.desktop, tl::make_unexpected(Refusal{409, kTakenOver}));
  Current& current = current_[request.desktop];
  current = Current{};
  current.done = std::move(done);
  current.progress = std::move(progress);
  current.timer = std::make_unique<loop::Timer>(parts_.loop);
  current.until = std::chrono::steady_clock::now() + parts_.agent_limit;
  parts_.cancel_prewarm(request.desktop);
  wake(request);
}

void AttachDesk::wake(const AttachRequest& request) {
  if (!parts_.wake) return order(request);
  const std::uint64_t number = current_[request.desktop].number = ++requests_;
  parts_.wake(request.desktop, [this, request, number] {
    const auto found = current_.find(request.desktop);
    // Taken over, or its desktop has ended, meanwhile.
    if (found != current_.end() && found->second.number == number) order(request);
  });
}

void AttachDesk::order(const AttachRequest& request) {
  const DesktopId id = request.desktop;
  Current& current = current_[id];
  const auto state = parts_.hub.state(id);
  if (!state || !state->connected) {
    // After an upgrade of panald agents come back within a second.
    if (std::chrono::steady_clock::now() >= current.until || parts_.refusal(id))
      return answer(
          id, tl::make_unexpected(Refusal{503,
                                          "The desktop's agent does not answer. Try again, or stop "
                                          "and start the desktop."}));
    current.timer->start(kAgentPoll, [this, request] { order(request); });
    return;
  }
  auto cookie = make_cookie();
  if (!cookie) return answer(id, tl::make_unexpected(Refusal{500, cookie.error().message()}));
  const bool taking_over = is_live(state->session);
  ListenOrder listen;
  listen.attach = parts_.hub.next_attach(id);
  listen.cookie = *cookie;
  listen.geometry = request.geometry;
  listen.keyboard = request.keyboard;
  listen.link = request.link;
  listen.client = request.client;
  listen.fullscreen = request.fullscreen;
  current.attach = listen.attach;
  if (current.progress)
    current.progress(taking_over ? "Taking the session over from another connection"
                                 : "Waking the session up");
  parts_.hub.order_listen(
      id, listen, parts_.listen_limit,
      [this, id, granted = Granted{listen.attach, *cookie}](const Result<void>& result) {
        const auto found = current_.find(id);
        if (found == current_.end() || found->second.attach != granted.attach) return;
        if (result) {
          found->second.granted = true;
          return answer(id, granted);
        }
        const Error& error = result.error();
        const int status = error.code == ECANCELED ? 409 : 503;
        answer(id, tl::make_unexpected(Refusal{
                       status, error.code == ECANCELED
                                   ? kTakenOver
                                   : "The desktop cannot be attached: " + error.context + "."}));
      });
}

/// `status`: of a refusal; 0: granted.
void AttachDesk::count(int status) {
  ++answers_[status == 0     ? "granted"
             : status == 400 ? "malformed"
             : status == 409 ? "in_use"
                             : "unavailable"];
}

void AttachDesk::answer(DesktopId desktop, Answer<Granted> answer) {
  const auto found = current_.find(desktop);
  if (found == current_.end()) return;
  found->second.timer.reset();
  found->second.progress = nullptr;
  auto done = std::exchange(found->second.done, nullptr);
  if (!done) return;
  count(answer ? 0 : answer.error().status);
  parts_.loop.post([done = std::move(done), answer = std::move(answer)] { done(answer); });
}

void AttachDesk::forget(DesktopId desktop) {
  answer(desktop, tl::make_unexpected(Refusal{503, "The desktop has ended."}));
  current_.erase(desktop);
}

Answer<UniqueFd> AttachDesk::open(DesktopId desktop, std::uint64_t attach) {
  const auto refuse = [](int status, std::string sentence) {
    return tl::make_unexpected(Refusal{status, std::move(sentence)});
  };
  if (auto refusal = parts_.refusal(desktop)) return tl::make_unexpected(std::move(*refusal));
  const auto found = current_.find(desktop);
  if (found == current_.end() || attach == 0 || found->second.attach != attach)
    return refuse(409, kTakenOver);
  if (!found->second.granted) return refuse(409, "This attach is not ready yet.");
  if (std::exchange(found->second.opened, true)) return refuse(409, "This attach is in use.");
  auto socket = parts_.open_nx(desktop);
  if (!socket)
    return refuse(503, "The desktop's session does not listen: " + socket.error().message() + ".");
  return std::move(*socket);
}

}  // namespace panal::node

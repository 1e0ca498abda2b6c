#include "runtime/broker/desktop_wait.h"

namespace panal::broker {

using store::Desired;
using store::Observed;

Refusal store_refusal(const Error& error) {
  if (error.code == EAGAIN) return {503, "Too many requests wait. Try again in a few seconds."};
  // Its own words: no node yet, the home in use by another desktop, a user just blocked.
  if (error.code == ENOENT || error.code == EBUSY || error.code == EACCES) {
    return {503, "Not possible now: " + printable(error.context, 512) + "."};
  }
  return {503,
          "The database does not answer. Try again in a minute; the administrator can look with: "
          "panal doctor."};
}

struct DesktopWait::State : std::enable_shared_from_this<State> {
  State(Services& services_in, store::Desktop desktop_in, Desired goal_in, std::string actor_in,
        Hooks hooks_in)
      : services(services_in),
        desktop(std::move(desktop_in)),
        goal(goal_in),
        actor(std::move(actor_in)),
        hooks(std::move(hooks_in)),
        poll(services_in.loop),
        chatter(services_in.loop),
        deadline(services_in.loop) {}

  Services& services;
  store::Desktop desktop;
  const Desired goal;
  const std::string actor;
  Hooks hooks;
  loop::Timer poll, chatter, deadline;
  std::string last_text;
  std::uint64_t watch_key = 0;
  bool reading = false;
  bool read_again = false;
  bool over = false;

  [[nodiscard]] bool running() const { return goal == Desired::kRunning; }

  void end() {
    over = true;
    if (watch_key != 0) services.watch.remove(watch_key);
    watch_key = 0;
    poll.cancel();
    chatter.cancel();
    deadline.cancel();
    hooks = {};
  }

  void finish(Answer<void> answer) {
    if (over) return;
    const auto done = std::move(hooks.done);
    end();
    done(std::move(answer));
  }

  void start() {
    const bool rests =
        desktop.observed == Observed::kStopped || desktop.observed == Observed::kFailed;
    // A start that is under way must not be asked for again: each wish is a new attempt.
    const bool wish = desktop.desired != goal || (running() && rests);
    watch_key = services.watch.add(desktop.id, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->read();
    });
    deadline.start(services.timing.start, [self = shared_from_this()] {
      self->finish(tl::make_unexpected(Refusal{
          503, "Desktop " + self->desktop.name + " is still " +
                   std::string(to_string(self->desktop.observed)) +
                   " after minutes. The administrator can look with: panal desktop logs."}));
    });
    if (!wish) return services.loop.post([self = shared_from_this()] { self->look(); });
    say(running() ? "Starting desktop " + desktop.name : "Stopping desktop " + desktop.name);
    services.directory.call<void>(
        [id = desktop.id, goal = goal, actor = actor](store::Store& store) {
          return store.set_desired(id, goal, actor);
        },
        [self = shared_from_this()](const Result<void>& result) {
          if (self->over) return;
          if (!result) return self->finish(tl::make_unexpected(store_refusal(result.error())));
          self->read();
        });
  }

  void read() {
    if (over) return;
    if (reading) {
      read_again = true;
      return;
    }
    reading = true;
    read_again = false;
    services.directory.call<store::Desktop>(
        [id = desktop.id](store::Store& store) { return store.desktop(id); },
        [self = shared_from_this()](Result<store::Desktop> row) {
          self->reading = false;
          if (self->over) return;
          if (row) {
            self->desktop = std::move(*row);
            return self->look();
          }
          if (row.error().is_gone()) {
            return self->finish(tl::make_unexpected(Refusal{404, "The desktop has been removed."}));
          }
          // The database may come back before the deadline.
          self->say("Waiting for the database");
          self->again();
        });
  }

  void look() {
    if (over) return;
    // A state from before the wish was taken up proves nothing.
    const bool claimed = desktop.claimed_generation >= desktop.generation;
    const std::string name = "Desktop " + desktop.name;
    switch (desktop.observed) {
      case Observed::kRunning:
        if (running()) return finish({});
        break;
      case Observed::kFailed:
        if (!running()) return finish({});
        if (claimed) {
          return finish(tl::make_unexpected(
              Refusal{503, name + " did not start: " + printable(desktop.reason, 512)}));
        }
        break;
      case Observed::kStopped:
        if (!running()) return finish({});
        if (claimed && desktop.desired == goal) {
          return finish(tl::make_unexpected(
              Refusal{503, name + " has ended by itself: " + printable(desktop.reason, 512)}));
        }
        break;
      default: break;
    }
    if (desktop.desired != goal) {
      return finish(tl::make_unexpected(
          Refusal{503, name + (running() ? " has been stopped by somebody else."
                                         : " has been started again by somebody else.")}));
    }
    const bool waits =
        desktop.observed == Observed::kStopped || desktop.observed == Observed::kFailed;
    std::string text = name + " is " + std::string(to_string(desktop.observed));
    if (waits) text = name + " waits for its turn on " + printable(desktop.node, 64);
    if (!waits && !desktop.reason.empty()) text += ": " + printable(desktop.reason, 128);
    say(text);
    again();
  }

  void again() {
    if (over) return;
    if (read_again) return read();
    poll.start(services.timing.poll, [self = shared_from_this()] { self->read(); });
  }

  void say(const std::string& text) {
    if (text == last_text) return;
    last_text = text;
    chat();
  }

  void chat() {
    if (over) return;
    chatter.start(services.timing.progress, [self = shared_from_this()] { self->chat(); });
    const auto progress = hooks.progress;  // the call may end this wait
    progress(last_text);
  }
};

DesktopWait::DesktopWait(Services& services, store::Desktop desktop, store::Desired goal,
                         std::string actor, Hooks hooks)
    : state_(std::make_shared<State>(services, std::move(desktop), goal, std::move(actor),
                                     std::move(hooks))) {}

DesktopWait::~DesktopWait() { state_->end(); }

void DesktopWait::start() { state_->start(); }

}  // namespace panal::broker

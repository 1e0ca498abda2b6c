#include "runtime/node/reconciler.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace panal::node {

using std::chrono::seconds;
using std::chrono::steady_clock;
using store::Observed;
using store::Store;

namespace {
constexpr seconds kFirstPause{1};
constexpr seconds kLongestPause{60};
/// How soon somebody who waits to start is looked at again, when nothing else happens.
constexpr std::chrono::milliseconds kGatePause{100};
constexpr std::chrono::milliseconds kNoRoomPause{2000};
constexpr std::chrono::milliseconds kNextExpired{100};
}  // namespace

Reconciler::Reconciler(Parts parts, Events events)
    : parts_(std::move(parts)),
      events_(std::move(events)),
      expiry_(parts_.now),
      expire_(parts_.loop),
      retry_(parts_.loop),
      gate_(parts_.loop) {}

void Reconciler::hold(Started started) {
  const DesktopId id = started.spec.id;
  Entry& entry = entries_[id];
  entry.held.emplace();
  entry.held->started = std::move(started);
  UniqueFd watched(::fcntl(entry.held->started.init.fd(), F_DUPFD_CLOEXEC, 0));
  if (watched) {
    entry.held->watch = std::make_unique<loop::Descriptor>(parts_.loop, std::move(watched));
    entry.held->watch->wait(loop::Ready::kReadable, [this, id] { on_exit(id); });
  } else {
    parts_.log->error("watch", {{"why", fail_errno("duplicate pidfd").value().message()}});
  }
  if (events_.started) events_.started(id);
}

void Reconciler::scan() {
  if (scanning_) {
    scan_again_ = true;
    return;
  }
  scanning_ = true;
  parts_.clerk.submit([this, begun = finished_](Store& store) {
    auto rows =
        std::make_shared<Result<std::vector<store::Desktop>>>(store.desktops_on(parts_.node));
    parts_.loop.post([this, rows, begun] {
      scanning_ = false;
      if (*rows)
        on_rows(**rows, begun);
      else
        parts_.log->warning("scan", {{"why", rows->error().message()}});
      if (std::exchange(scan_again_, false)) scan();
    });
  });
}

void Reconciler::wake(const std::string& payload) {
  DesktopId id = 0;
  const auto parsed = std::from_chars(payload.data(), payload.data() + payload.size(), id);
  if (payload.empty() || parsed.ec != std::errc() || parsed.ptr != payload.data() + payload.size())
    return scan();
  parts_.clerk.submit([this, id, begun = finished_](Store& store) {
    auto row = std::make_shared<Result<store::Desktop>>(store.desktop(id));
    parts_.loop.post([this, id, row, begun] {
      if (!*row || (*row)->node != parts_.node) return scan();
      take_row(**row, begun);
      consider(id);
    });
  });
}

void Reconciler::take_row(const store::Desktop& row, std::uint64_t begun) {
  Entry& entry = entries_[row.id];
  entry.known = true;
  // Read before an operation ended: older than what that operation has read.
  if (entry.busy || entry.finished > begun) return;
  // A new request is not bound by the pause that an earlier one has earned.
  if (row.generation > entry.row.generation) entry.not_before = {};
  entry.row = row;
  entry.read = parts_.now();
}

void Reconciler::on_rows(const std::vector<store::Desktop>& rows, std::uint64_t begun) {
  std::set<DesktopId> seen;
  for (const store::Desktop& row : rows) {
    seen.insert(row.id);
    take_row(row, begun);
  }
  std::vector<DesktopId> ids;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    entry->second.known = seen.count(entry->first) > 0;
    const bool forget = !entry->second.known && !entry->second.busy && !entry->second.held;
    if (!forget)
      ids.push_back(entry->first);
    else
      expiry_.forget(entry->first);
    entry = forget ? entries_.erase(entry) : std::next(entry);
  }
  for (const DesktopId id : ids) consider(id);
}

void Reconciler::consider(DesktopId id) {
  Entry& entry = entries_[id];
  if (entry.busy) return;
  if (going_down_) {
    if (stop_all_ && entry.held) return stop(id, entry, "the node was stopped");
    return check_shut_down();
  }
  if (!entry.known) {
    if (!entry.held) return;
    // Its row was taken away under it.
    parts_.log->warning("unknown_desktop", {{"desktop", kernel_name(id)}});
    auto spec = std::make_shared<desktop::DesktopSpec>(entry.held->started.spec);
    entry.held.reset();
    if (events_.ended) events_.ended(id);
    return run(id, [this, spec](Store&) -> Outcome {
      auto removed = parts_.operations.remove(*spec);
      return [this, removed = std::move(removed)](Entry&) {
        if (!removed) parts_.log->error("remove", {{"why", removed.error().message()}});
      };
    });
  }
  if (expiry_.settle(entry.row, entry.held.has_value())) {
    if (expiry_.given_up(entry.row))
      parts_.log->error("expiry_given_up",
                        {{"version", entry.row.image + " " + entry.row.next_version},
                         {"why", "its starts fail: nobody else is brought to it"}});
    expire_.start(kNextExpired, [this] { consider_all(); });
  }
  const Action action = decide(entry.row, entry.held.has_value());
  if (action == Action::kNone) return look_at_version(id, entry);
  if (steady_clock::now() < entry.not_before) {
    retry_.start(entry.pause, [this] { scan(); });
    return;
  }
  if (action == Action::kStart && must_wait(id, entry)) return;
  act(id, entry, action);
}

void Reconciler::consider_all() {
  std::vector<DesktopId> ids;
  for (const auto& [id, entry] : entries_) ids.push_back(id);
  for (const DesktopId id : ids) consider(id);
}

void Reconciler::look_at_version(DesktopId id, Entry& entry) {
  if (!entry.held || !parts_.in_use) return;
  const Expiry::Verdict verdict = expiry_.look(entry.row, entry.read, parts_.in_use(id));
  switch (verdict.step) {
    case Expiry::Step::kNone: return;
    case Expiry::Step::kTell:
      if (parts_.tell) parts_.tell(id, verdict.words);
      return;
    case Expiry::Step::kRestart:
      parts_.log->info("expired", {{"desktop", kernel_name(id)}, {"why", verdict.words}});
      // What is wanted stays as it is: the loop starts it again by itself.
      return stop(id, entry, verdict.words);
  }
}

bool Reconciler::must_wait(DesktopId id, Entry& entry) {
  if (!parts_.may_start) return false;
  const auto queued = std::find(waiting_.begin(), waiting_.end(), id);
  // Nobody overtakes who waited longer.
  const bool others_first = !waiting_.empty() && waiting_.front() != id;
  const auto wait =
      others_first ? std::optional(optimiser::StartWait{"others wait to start", false, "queue"})
                   : parts_.may_start(entry.row, starting_);
  if (!wait) {
    if (queued != waiting_.end()) waiting_.erase(queued);
    entry.told.clear();
    return false;
  }
  if (queued == waiting_.end()) waiting_.push_back(id);
  count_wait(entry, *wait);
  if (wait->no_room && entry.told.empty()) tell_wait(id, entry, wait->reason);
  if (!others_first) {  // whoever is first has set the time of the next look
    gate_pause_ = wait->no_room ? kNoRoomPause : kGatePause;
    gate_.start(gate_pause_, [this] { let_in(); });
  }
  return true;
}

void Reconciler::tell_wait(DesktopId id, Entry& entry, const std::string& reason) {
  entry.told = reason;
  parts_.log->warning("no_room", {{"desktop", kernel_name(id)}, {"why", reason}});
  // As an operation of its desktop: it must not write over what a start says later.
  // A failed one is told as stopped: to say failed again would end the request that waits.
  run(id, [this, id, reason](Store& store) -> Outcome {
    if (const auto told = store.observe(id, Observed::kStopped, reason); !told)
      parts_.log->warning("observe", {{"why", told.error().message()}});
    return nullptr;
  });
}

void Reconciler::let_in() {
  if (going_down_) return waiting_.clear();
  // A round at most: who is not wanted any more leaves the queue, the first that must wait ends it.
  for (std::size_t left = waiting_.size(); left > 0 && !waiting_.empty(); --left) {
    const DesktopId id = waiting_.front();
    const auto found = entries_.find(id);
    if (found != entries_.end() && found->second.busy) break;
    const bool wanted = found != entries_.end() && found->second.known &&
                        steady_clock::now() >= found->second.not_before &&
                        decide(found->second.row, found->second.held.has_value()) == Action::kStart;
    if (!wanted) {
      if (found != entries_.end()) {
        found->second.told.clear();
        found->second.waits_for.clear();
      }
      waiting_.pop_front();  // one that failed comes again when its pause is over
      continue;
    }
    consider(id);
    if (!waiting_.empty() && waiting_.front() == id) break;
  }
  if (!waiting_.empty()) gate_.start(gate_pause_, [this] { let_in(); });
}

void Reconciler::act(DesktopId id, Entry& entry, Action action) {
  parts_.log->info("reconcile",
                   {{"desktop", kernel_name(id)}, {"action", std::string(to_string(action))}});
  switch (action) {
    case Action::kNone: return;
    case Action::kStart: return start(id);
    case Action::kStop: return stop(id, entry, "");
    case Action::kObserveRunning:
      return run(id, [id](Store& store) -> Outcome {
        const bool told = store.observe(id, Observed::kRunning, "").has_value();
        return [told](Entry& done) {
          if (told) done.pause = seconds(0);
        };
      });
    case Action::kMarkStopped:
      return run(id, [this, id](Store& store) -> Outcome {
        auto cleared = parts_.operations.clear(store, id, nullptr, Observed::kStopped,
                                               "it was found to have ended");
        return [this, cleared = std::move(cleared)](Entry& done) {
          if (cleared) return;
          parts_.log->warning("clear", {{"why", cleared.error().message()}});
          postpone(done);
        };
      });
  }
}

void Reconciler::start(DesktopId id) {
  ++starting_;
  ++starts_.let_through;
  entries_[id].waits_for.clear();
  const auto began = steady_clock::now();
  run(id, [this, id, began](Store& store) -> Outcome {
    auto result =
        std::make_shared<Result<std::optional<Started>>>(parts_.operations.start(store, id));
    return [this, id, result, began](Entry& entry) {
      --starting_;
      if (parts_.start_ended) parts_.start_ended(steady_clock::now() - began);
      starts_.took.add(steady_clock::now() - began);
      ++starts_.ended[!*result ? "failed" : **result ? "running" : "elsewhere"];
      if (!waiting_.empty()) gate_.start(std::chrono::milliseconds(0), [this] { let_in(); });
      if (*result && **result) {
        entry.pause = seconds(0);
        return hold(std::move(***result));
      }
      if (!*result)
        parts_.log->warning("start",
                            {{"desktop", kernel_name(id)}, {"why", result->error().message()}});
      // Also when somebody else had it: never ask in a circle.
      postpone(entry);
    };
  });
}

void Reconciler::stop(DesktopId id, Entry& entry, const std::string& reason) {
  auto spec = std::make_shared<desktop::DesktopSpec>(entry.held->started.spec);
  entry.held.reset();
  entry.crashes.forget();
  if (events_.ended) events_.ended(id);
  run(id, [this, spec, reason](Store& store) -> Outcome {
    auto stopped = parts_.operations.stop(store, *spec, reason);
    return [this, spec, stopped = std::move(stopped)](Entry& done) {
      if (stopped) return;
      parts_.log->error("stop",
                        {{"desktop", kernel_name(spec->id)}, {"why", stopped.error().message()}});
      postpone(done);
    };
  });
}

void Reconciler::on_exit(DesktopId id) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || !found->second.held) return;
  Entry& entry = found->second;
  if (entry.busy) {
    // One operation at a time, also for what it leaves behind.
    entry.exited = true;
    return;
  }
  auto spec = std::make_shared<desktop::DesktopSpec>(entry.held->started.spec);
  entry.held.reset();
  if (events_.ended) events_.ended(id);
  const bool wanted = entry.row.desired == store::Desired::kRunning;
  const auto killed = parts_.killed ? parts_.killed(id) : std::nullopt;
  const bool broken = !killed && wanted && !entry.crashes.may_restart(steady_clock::now());
  const bool give_up = broken || killed;
  ++exits_[killed ? "killed" : broken ? "give_up" : wanted ? "start_again" : "not_wanted"];
  const std::size_t ends = entry.crashes.ends();
  run(id, [this, id, spec, give_up, broken, killed, ends](Store& store) -> Outcome {
    std::string reason = killed ? *killed : parts_.operations.why_ended(id);
    parts_.log->warning("ended", {{"desktop", kernel_name(id)}, {"why", reason}});
    if (broken)
      reason += "; that was the time number " + std::to_string(ends) +
                " within 5 minutes, so it is not started again by itself";
    auto cleared = parts_.operations.clear(
        store, id, spec.get(), give_up ? Observed::kFailed : Observed::kStopped, reason);
    return [this, cleared = std::move(cleared)](Entry& done) {
      if (cleared) return;
      parts_.log->error("clear", {{"why", cleared.error().message()}});
      postpone(done);
    };
  });
}

bool Reconciler::give_up(DesktopId id, const std::string& reason) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || !found->second.held || found->second.busy) return false;
  auto spec = std::make_shared<desktop::DesktopSpec>(found->second.held->started.spec);
  found->second.held.reset();
  if (events_.ended) events_.ended(id);
  ++given_up_;
  run(id, [this, id, spec, reason](Store& store) -> Outcome {
    parts_.log->warning("given_up", {{"desktop", kernel_name(id)}, {"why", reason}});
    auto cleared = parts_.operations.clear(store, id, spec.get(), Observed::kFailed, reason);
    // People read why even while something of it cannot be cleared yet.
    if (!cleared) (void)store.observe(id, Observed::kStopping, reason);
    return [this, cleared = std::move(cleared)](Entry& done) {
      if (cleared) return;
      parts_.log->error("clear", {{"why", cleared.error().message()}});
      postpone(done);
    };
  });
  return true;
}

void Reconciler::run(DesktopId id, std::function<Outcome(Store&)> work) {
  entries_[id].busy = true;
  parts_.workers.submit([this, id, work = std::move(work)](Store& store) {
    Outcome outcome = work(store);
    // What was asked for meanwhile: its notification came while we were busy.
    auto fresh = store.desktop(id);
    parts_.loop.post([this, id, outcome = std::move(outcome), fresh = std::move(fresh)] {
      finish(id, outcome, fresh);
    });
  });
}

void Reconciler::finish(DesktopId id, const Outcome& outcome, const Result<store::Desktop>& fresh) {
  Entry& entry = entries_[id];
  entry.busy = false;
  last_end_ = steady_clock::now();
  if (outcome) outcome(entry);
  const bool exited = std::exchange(entry.exited, false) && entry.held;
  if (exited) {
    if (fresh) {
      take_row(*fresh, finished_);
      entry.finished = ++finished_;
    }
    on_exit(id);
  } else if (fresh) {
    take_row(*fresh, finished_);
    entry.finished = ++finished_;
    consider(id);
  } else if (fresh.error().code == ENOENT) {
    entry.known = false;
    consider(id);
  } else {
    postpone(entry);
    retry_.start(entry.pause, [this] { scan(); });
  }
  check_shut_down();
}

void Reconciler::postpone(Entry& entry) {
  entry.pause = std::clamp(entry.pause * 2, kFirstPause, kLongestPause);
  entry.not_before = steady_clock::now() + entry.pause;
}

const desktop::DesktopSpec* Reconciler::running(DesktopId id) const {
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.held ? &found->second.held->started.spec
                                                       : nullptr;
}

const Pidfd* Reconciler::init(DesktopId id) const {
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.held ? &found->second.held->started.init
                                                       : nullptr;
}

pid_t Reconciler::init_pid(DesktopId id) const {
  const Pidfd* of = init(id);
  return of != nullptr ? of->pid() : -1;
}

std::vector<DesktopId> Reconciler::running_ids() const {
  std::vector<DesktopId> ids;
  for (const auto& [id, entry] : entries_)
    if (entry.held) ids.push_back(id);
  return ids;
}

bool Reconciler::busy(DesktopId id) const {
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.busy;
}

bool Reconciler::at_rest(seconds span) const {
  return steady_clock::now() - last_end_ >= span &&
         std::none_of(entries_.begin(), entries_.end(),
                      [](const auto& item) { return item.second.busy; });
}

void Reconciler::shut_down(bool stop_desktops, std::function<void(std::size_t)> progress,
                           std::function<void()> done) {
  going_down_ = true;
  stop_all_ = stop_all_ || stop_desktops;
  down_progress_ = std::move(progress);
  down_done_ = std::move(done);
  consider_all();
  check_shut_down();
}

void Reconciler::check_shut_down() {
  if (!going_down_ || !down_done_) return;
  const auto left = std::count_if(entries_.begin(), entries_.end(), [this](const auto& item) {
    return item.second.busy || (stop_all_ && item.second.held);
  });
  if (down_progress_) down_progress_(static_cast<std::size_t>(left));
  if (left > 0) return;
  const auto done = std::exchange(down_done_, nullptr);
  done();
}

}  // namespace panal::node

#include "runtime/cli/desktops.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/progress.h"

namespace panal::cli {
namespace {

using store::Desired;
using store::Observed;

std::string owner_of(const store::Desktop& desktop) { return desktop.tenant + "/" + desktop.login; }

/// How far a start or stop is, for the bar.
double part_done(Observed observed, Desired desired) {
  if (desired == Desired::kStopped) return observed == Observed::kStopping ? 0.3 : 0.0;
  switch (observed) {
    case Observed::kComposing: return 0.2;
    case Observed::kStarting: return 0.5;
    default: return 0.0;
  }
}

/// The desktops a command still waits for.
class Waiting {
 public:
  Waiting(Shell& shell, store::Store& store, Desired desired, std::vector<store::Desktop> desktops)
      : shell_(shell),
        store_(store),
        desired_(desired),
        all_(std::move(desktops)),
        bar_(shell.out, shell.tty) {
    for (const auto& desktop : all_) seen_[desktop.id] = desktop;
  }

  ExitCode run(std::chrono::seconds stall) {
    auto moved = std::chrono::steady_clock::now();
    while (true) {
      bool change = false;
      for (auto it = seen_.begin(); it != seen_.end();) {
        auto now = store_.desktop(it->first);
        if (!now) {
          bar_.clear();
          return shell_.told(now.error());
        }
        if (now->observed != it->second.observed || now->changed != it->second.changed) {
          change = true;
        }
        const bool over = settled(it->second, *now);
        it->second = std::move(*now);
        it = over ? seen_.erase(it) : std::next(it);
      }
      show();
      if (seen_.empty()) break;
      const auto now = std::chrono::steady_clock::now();
      if (change) moved = now;
      if (now - moved > stall) return stalled(stall);
      // A notification only wakes: every state is read again, so a lost one costs half a second.
      auto woken = store_.wait_notifications(std::chrono::milliseconds(500));
      if (!woken) {
        bar_.clear();
        return shell_.told(woken.error());
      }
    }
    bar_.clear();
    return report();
  }

 private:
  /// `before` is what was last seen, so that an old failure is not taken for the new start's.
  bool settled(const store::Desktop& before, const store::Desktop& now) {
    if (now.desired != desired_) {
      failed_.push_back(fmt::format("{}: somebody asked for the opposite meanwhile", now.name));
      return true;
    }
    if (desired_ == Desired::kRunning && now.observed == Observed::kRunning) return true;
    if (desired_ == Desired::kStopped && now.observed == Observed::kStopped) return true;
    if (now.observed == Observed::kFailed) {
      if (desired_ == Desired::kStopped) return true;
      if (before.observed != Observed::kFailed || now.claimed_generation >= now.generation) {
        failed_.push_back(fmt::format("{} failed: {}", now.name, now.reason));
        return true;
      }
    }
    return false;
  }

  void show() {
    double done = static_cast<double>(all_.size() - seen_.size());
    std::string state;
    for (const auto& [id, desktop] : seen_) {
      done += part_done(desktop.observed, desired_);
      if (state.empty()) {
        state = fmt::format("{} {}", desktop.name, store::to_string(desktop.observed));
      }
    }
    const std::string what = all_.size() == 1
                                 ? state
                                 : fmt::format("{} of {}{}{}", all_.size() - seen_.size(),
                                               all_.size(), state.empty() ? "" : ", ", state);
    if (!what.empty()) bar_.update(done / static_cast<double>(all_.size()), what);
  }

  ExitCode stalled(std::chrono::seconds stall) {
    bar_.clear();
    const auto& [id, desktop] = *seen_.begin();
    return shell_.refuse(
        ExitCode::kFailed,
        fmt::format("{} of {} did not get there: nothing has moved for {} s; {} is {}{}{}; see "
                    "panal status and {}/log/panald.log",
                    seen_.size(), all_.size(), stall.count(), desktop.name,
                    store::to_string(desktop.observed), desktop.reason.empty() ? "" : ": ",
                    first_line(desktop.reason), shell_.config.state_dir));
  }

  ExitCode report() {
    const char* word = desired_ == Desired::kRunning ? "running" : "stopped";
    const std::size_t good = all_.size() - failed_.size();
    if (all_.size() == 1 && good == 1) {
      shell_.out << fmt::format("{} {}\n", all_.front().name, word);
    } else if (good != 0) {
      shell_.out << fmt::format("{} desktops {}\n", good, word);
    }
    // Evidence has lines of its own, each escaped on its own.
    for (const auto& text : failed_) {
      std::size_t begin = 0;
      while (begin < text.size()) {
        const auto end = std::min(text.find('\n', begin), text.size());
        shell_.err << (begin == 0 ? "panal: " : "  ")
                   << printable(std::string_view(text).substr(begin, end - begin), 2000) << "\n";
        begin = end + 1;
      }
    }
    return failed_.empty() ? ExitCode::kOk : ExitCode::kFailed;
  }

  Shell& shell_;
  store::Store& store_;
  Desired desired_;
  std::vector<store::Desktop> all_;
  std::map<DesktopId, store::Desktop> seen_;
  std::vector<std::string> failed_;
  Progress bar_;
};

}  // namespace

Result<store::Desktop> resolve_desktop(const std::vector<store::Desktop>& desktops,
                                       const std::string& word, const std::string& tenant) {
  const store::Desktop* found = nullptr;
  for (const auto& desktop : desktops) {
    if (!tenant.empty() && desktop.tenant != tenant) continue;
    if (std::to_string(desktop.id) == word) return desktop;
    if (desktop.name != word) continue;
    if (found != nullptr) {
      return fail(EEXIST, fmt::format("{} is the name of more than one desktop ({}: id {}, {}: id "
                                      "{}); give the id or --tenant",
                                      printable(word, 80), owner_of(*found), found->id,
                                      owner_of(desktop), desktop.id));
    }
    found = &desktop;
  }
  if (found != nullptr) return *found;
  return fail(ENOENT, fmt::format("there is no desktop {}; panal desktop ls shows all",
                                  printable(word, 80)));
}

nlohmann::json desktop_json(const store::Desktop& d) {
  nlohmann::json out = {{"id", d.id},
                        {"name", d.name},
                        {"tenant", d.tenant},
                        {"user", d.login},
                        {"image", d.image},
                        {"version", d.version},
                        {"persistent", d.persistent},
                        {"home", d.home},
                        {"node", d.node},
                        {"desired", store::to_string(d.desired)},
                        {"state", store::to_string(d.observed)},
                        {"reason", d.reason},
                        {"running_version", d.running_version},
                        {"session", d.session_state.empty() ? "none" : d.session_state},
                        {"idle_ms", d.idle_ms},
                        {"changed", d.changed},
                        {"generation", d.generation}};
  out["tag"] = d.tag;
  out["next_version"] = d.next_version;
  // Until its version has expired, from when this was read on; null where it may go on.
  out["soft_left_ms"] = d.soft_left_ms ? nlohmann::json(*d.soft_left_ms) : nlohmann::json(nullptr);
  out["hard_left_ms"] = d.hard_left_ms ? nlohmann::json(*d.hard_left_ms) : nlohmann::json(nullptr);
  out["id_slot"] = d.id_slot ? nlohmann::json(*d.id_slot) : nlohmann::json(nullptr);
  return out;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

ExitCode wait_for_desktops(Shell& shell, store::Store& store,
                           const std::vector<store::Desktop>& desktops, Desired desired,
                           std::chrono::seconds stall) {
  if (desktops.empty()) return ExitCode::kOk;
  return Waiting(shell, store, desired, desktops).run(stall);
}

ExitCode drive_desktops(Shell& shell, const std::vector<store::Desktop>& desktops, Desired desired,
                        bool wait, std::chrono::seconds stall) {
  if (desktops.empty()) return ExitCode::kOk;
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  if (wait) PANAL_CLI_TRY(shell, store->listen("panal_desktop"));
  for (const auto& desktop : desktops) {
    PANAL_CLI_TRY(shell, store->set_desired(desktop.id, desired, "panal"));
  }
  // What is wanted is kept; only whether somebody is there to do it is in question.
  const bool here = std::all_of(desktops.begin(), desktops.end(), [&](const auto& desktop) {
    return desktop.node.empty() || desktop.node == shell.config.node_name;
  });
  if (here) {
    const auto answer =
        shell.backends.ask_node(shell.config, {{"op", "status"}}, std::chrono::seconds(5));
    if (!answer) {
      return shell.refuse(ExitCode::kNotRunning,
                          fmt::format("noted, but panald does not answer ({}); panal up starts it",
                                      answer.error().message()));
    }
  }
  if (!wait) {
    shell.out << fmt::format("{} {} asked to {}\n", desktops.size(),
                             desktops.size() == 1 ? "desktop" : "desktops",
                             desired == Desired::kRunning ? "start" : "stop");
    return ExitCode::kOk;
  }
  return wait_for_desktops(shell, *store, desktops, desired, stall);
}

}  // namespace panal::cli

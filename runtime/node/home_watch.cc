#include "runtime/node/home_watch.h"

#include <optional>

namespace panal::node {

HomeWatch::HomeWatch(Parts parts) : parts_(std::move(parts)), lost_(parts_.lost_after) {}

HomeWatch::~HomeWatch() { stop(); }

void HomeWatch::start(std::chrono::milliseconds pause) {
  thread_ = std::thread([this, pause] { work(pause); });
}

void HomeWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void HomeWatch::add(DesktopId id, std::string mount_point) {
  const std::lock_guard lock(mutex_);
  homes_[id] = Home{std::move(mount_point), false};
}

void HomeWatch::remove(DesktopId id) {
  const std::lock_guard lock(mutex_);
  homes_.erase(id);
  lost_.forget(kernel_name(id));
}

void HomeWatch::work(std::chrono::milliseconds pause) {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, pause, [this] { return stopping_; })) {
    lock.unlock();
    look(std::chrono::steady_clock::now());
    lock.lock();
  }
}

void HomeWatch::look(Time now) {
  // The directory of all first: when it hangs, all do. Then those that answered last time: one that
  // hangs must not keep the others from being looked at.
  std::vector<std::string> paths = {parts_.homes_dir};
  std::vector<DesktopId> order;
  const bool any_left = parts_.left && parts_.left() > 0;
  {
    const std::lock_guard lock(mutex_);
    if (homes_.empty() && !any_left) return;
    for (const bool late : {false, true})
      for (const auto& [id, home] : homes_)
        if (home.late == late) {
          order.push_back(id);
          paths.push_back(home.mount_point);
        }
  }
  const auto answer = parts_.probe(paths);
  if (answer) {
    judge(order, *answer, now);
    const bool hangs = !answer->complete && answer->at <= 0;
    if (any_left && !hangs && !answer->each.empty() && answer->each.front()) unlock_left();
    return;
  }
  // Nobody could even be asked; where that is because earlier ones hang, it is no answer.
  parts_.log->warning("home_probe", {{"why", answer.error().message()}});
  if (answer.error().code != EAGAIN) return;
  for (const DesktopId id : order) take_look(id, fail(ETIMEDOUT, answer.error().context), now);
}

void HomeWatch::unlock_left() {
  if (!parts_.unlock_left) return;
  if (const std::size_t count = parts_.unlock_left(); count > 0)
    parts_.log->info("homes_unlocked",
                     {{"count", std::to_string(count)},
                      {"why", "they were left locked when their desktops ended"}});
}

void HomeWatch::judge(const std::vector<DesktopId>& order, const storage::home_call::Answer& answer,
                      Time now) {
  const Result<void> no_answer =
      fail(ETIMEDOUT, "the file system of the homes (" + parts_.homes_dir + ") does not answer");
  // Path 0 is the directory of all; `at` is the one it was at when the time was over.
  const bool hung = !answer.complete;
  const auto seen_of = [&](std::size_t path) -> std::optional<Result<void>> {
    if (hung && answer.at == static_cast<int>(path)) return no_answer;
    if (path < answer.each.size()) return answer.each[path];
    return std::nullopt;
  };
  const auto all = seen_of(0);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (all && !*all) {
      take_look(order[i], *all, now);
    } else if (const auto seen = seen_of(i + 1)) {
      take_look(order[i], *seen, now);
    }
    // Not reached this time: nothing is known of it.
  }
}

void HomeWatch::take_look(DesktopId id, const Result<void>& seen, Time now) {
  std::optional<std::string> reason;
  {
    const std::lock_guard lock(mutex_);
    const auto home = homes_.find(id);
    if (home == homes_.end()) return;  // it ended meanwhile
    home->second.late = !seen && seen.error().code == ETIMEDOUT;
    reason = lost_.look(kernel_name(id), seen, now);
  }
  if (!reason) return;
  parts_.log->error("home_lost", {{"desktop", kernel_name(id)}, {"why", *reason}});
  parts_.lost(id, *reason);
}

}  // namespace panal::node

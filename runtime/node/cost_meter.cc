#include "runtime/node/cost_meter.h"

#include <algorithm>

#include "engine/kernel/group_processes.h"
#include "engine/kernel/ksm.h"
#include "engine/kernel/smaps.h"

namespace panal::node {

using SteadyClock = std::chrono::steady_clock;

CostMeter::~CostMeter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void CostMeter::ask(const std::vector<DesktopId>& running) {
  const std::lock_guard lock(mutex_);
  std::map<DesktopId, Entry> kept;
  for (const DesktopId id : running) {
    const auto known = costs_.find(id);
    kept[id] = known == costs_.end() ? Entry{} : known->second;
  }
  costs_ = std::move(kept);
  until_ = SteadyClock::now() + parts_.interest;
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  changed_.notify_all();
}

std::optional<CostMeter::Cost> CostMeter::cost(DesktopId id) const {
  const std::lock_guard lock(mutex_);
  const auto found = costs_.find(id);
  return found == costs_.end() ? std::nullopt : found->second.cost;
}

std::optional<DesktopId> CostMeter::next(SteadyClock::time_point now) const {
  if (now >= until_) return std::nullopt;
  const auto oldest = std::min_element(
      costs_.begin(), costs_.end(),
      [](const auto& a, const auto& b) { return a.second.tried < b.second.tried; });
  if (oldest == costs_.end() || oldest->second.tried > now - parts_.fresh) return std::nullopt;
  return oldest->first;
}

void CostMeter::loop() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const auto now = SteadyClock::now();
    const auto id = next(now);
    if (!id) {
      // Nobody asks: sleeps until somebody does. Else until one is due again.
      if (now >= until_)
        changed_.wait(lock);
      else
        changed_.wait_for(lock, parts_.rest);
      continue;
    }
    lock.unlock();
    auto cost = look(*id);
    lock.lock();
    const auto entry = costs_.find(*id);
    if (entry == costs_.end()) continue;
    entry->second.tried = SteadyClock::now();
    if (cost) entry->second.cost = std::move(cost);
  }
}

std::optional<CostMeter::Cost> CostMeter::look(DesktopId id) {
  std::vector<pid_t> pids = parts_.processes(id);
  if (pids.size() > kMostProcesses) pids.resize(kMostProcesses);
  Cost cost;
  std::size_t first = 0;
  do {
    const auto read =
        kernel::read_group_processes(parts_.tree, pids, {SteadyClock::now() + parts_.slice, first});
    if (!pause() || !read) return std::nullopt;
    first = std::max(read->next, first + 1);  // a process that takes longer than a slice
    cost.sum.processes += read->sum.processes;
    kernel::add(cost.sum.maps, read->sum.maps);
    kernel::add(cost.sum.ksm, read->sum.ksm);
  } while (first < pids.size());
  cost.at = SteadyClock::now();
  return cost;
}

bool CostMeter::pause() {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, parts_.rest, [this] { return ending_; });
}

}  // namespace panal::node

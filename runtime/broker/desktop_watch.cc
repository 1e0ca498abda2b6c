#include "runtime/broker/desktop_watch.h"

#include <charconv>
#include <utility>
#include <vector>

namespace panal::broker {
namespace {

constexpr const char* kChannel = "panal_desktop";
constexpr std::chrono::minutes kWait{10};  // of a wait that ends when there is something
constexpr std::chrono::seconds kAgain{2};  // while the database is down

}  // namespace

DesktopWatch::DesktopWatch(loop::Loop& loop, StoreFactory factory, LoggerPtr log)
    : loop_(loop), factory_(std::move(factory)), log_(std::move(log)) {}

DesktopWatch::~DesktopWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    if (listening_ != nullptr) listening_->interrupt();
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::uint64_t DesktopWatch::add(DesktopId desktop, std::function<void()> changed) {
  if (!thread_.joinable()) thread_ = std::thread([this] { listen(); });
  const std::uint64_t key = next_key_++;
  waiters_->by_key[key] = {desktop, std::move(changed)};
  return key;
}

void DesktopWatch::remove(std::uint64_t key) { waiters_->by_key.erase(key); }

void DesktopWatch::listen() {
  std::unique_ptr<store::Store> store;
  bool away = false;
  while (!stop_) {
    if (std::exchange(away, false)) {
      std::unique_lock lock(mutex_);
      stopped_.wait_for(lock, kAgain, [this] { return stop_.load(); });
      continue;
    }
    if (!store) {
      auto made = factory_();
      if (made && (*made)->listen(kChannel)) {
        store = std::move(*made);
        const std::lock_guard lock(mutex_);
        listening_ = store.get();
      } else {
        away = true;
      }
      continue;
    }
    auto payloads = store->wait_notifications(kWait);
    if (!payloads) {
      log_->warning("desktop_watch_lost", {{"reason", payloads.error().message()}});
      {
        const std::lock_guard lock(mutex_);
        listening_ = nullptr;
      }
      store.reset();
      away = true;
      continue;
    }
    std::vector<DesktopId> changed;
    for (const auto& payload : *payloads) {
      DesktopId id = 0;
      const auto parsed = std::from_chars(payload.data(), payload.data() + payload.size(), id);
      if (parsed.ec == std::errc{}) changed.push_back(id);
    }
    if (changed.empty()) continue;
    loop_.post([waiters = waiters_, changed] {
      std::vector<std::function<void()>> due;  // a call may remove itself or others
      for (const auto& [key, waiter] : waiters->by_key) {
        for (const DesktopId id : changed) {
          if (id == waiter.first) due.push_back(waiter.second);
        }
      }
      for (const auto& call : due) call();
    });
  }
  const std::lock_guard lock(mutex_);
  listening_ = nullptr;
}

}  // namespace panal::broker

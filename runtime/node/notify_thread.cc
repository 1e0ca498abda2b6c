#include "runtime/node/notify_thread.h"

namespace panal::node {

namespace {
constexpr std::chrono::minutes kSlice{10};  // of a wait that ends when there is something
constexpr std::chrono::seconds kPause{2};   // between tries to reach a database that is away
}  // namespace

Result<std::unique_ptr<NotifyThread>> NotifyThread::open(
    std::unique_ptr<store::Store> store, const std::string& channel,
    std::function<void(const std::string&)> heard, LoggerPtr log) {
  PANAL_TRY(store->listen(channel));
  std::unique_ptr<NotifyThread> thread(new NotifyThread);
  thread->store_ = std::move(store);
  thread->heard_ = std::move(heard);
  thread->log_ = std::move(log);
  thread->thread_ = std::thread([raw = thread.get()] { raw->run(); });
  return thread;
}

NotifyThread::~NotifyThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  store_->interrupt();
  if (thread_.joinable()) thread_.join();
}

void NotifyThread::run() {
  bool away = false;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    auto payloads = store_->wait_notifications(kSlice);
    if (payloads)
      for (const std::string& payload : *payloads) heard_(payload);
    else if (!away)
      log_->warning("database_away", {{"why", payloads.error().message()}});
    if (payloads && away) log_->info("database_back");
    away = !payloads;
    lock.lock();
    if (away) changed_.wait_for(lock, kPause, [this] { return stopping_; });
  }
}

}  // namespace panal::node

#include "runtime/broker/work_threads.h"

#include <system_error>

namespace panal::broker {

WorkThreads::WorkThreads(std::size_t threads, std::size_t queued)
    : most_threads_(threads), most_queued_(queued) {}

WorkThreads::~WorkThreads() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    jobs_.clear();
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

bool WorkThreads::submit(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= most_queued_) return false;
    if (jobs_.size() >= idle_ && threads_.size() < most_threads_) {
      try {
        threads_.emplace_back([this] { serve(); });
      } catch (const std::system_error&) {
        // No thread to be had now: the ones there do it, or nobody can.
        if (threads_.empty()) return false;
      }
    }
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void WorkThreads::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    --idle_;
    if (stop_) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

}  // namespace panal::broker

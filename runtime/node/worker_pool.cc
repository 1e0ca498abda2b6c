#include "runtime/node/worker_pool.h"

namespace panal::node {

Result<std::unique_ptr<WorkerPool>> WorkerPool::open(std::size_t threads, const Connect& connect) {
  std::unique_ptr<WorkerPool> pool(new WorkerPool);
  for (std::size_t i = 0; i < threads; ++i) {
    PANAL_ASSIGN(auto store, connect());
    pool->stores_.push_back(std::move(store));
  }
  for (const auto& store : pool->stores_)
    pool->threads_.emplace_back([raw = pool.get(), mine = store.get()] { raw->work(*mine); });
  return pool;
}

WorkerPool::~WorkerPool() { finish(); }

void WorkerPool::finish() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    tasks_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

void WorkerPool::submit(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void WorkerPool::work(store::Store& store) {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task(store);
    lock.lock();
  }
}

}  // namespace panal::node

#include "runtime/loop/loop.h"

#include <fcntl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace panal::loop {

namespace asio = boost::asio;
using boost::system::error_code;

struct Loop::Impl {
  asio::io_context io{1};
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

void Loop::post(std::function<void()> work) { asio::post(impl_->io, std::move(work)); }

void Loop::run() {
  const auto guard = asio::make_work_guard(impl_->io);
  impl_->io.restart();
  impl_->io.run();
}

bool Loop::run_until(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  const auto guard = asio::make_work_guard(impl_->io);
  const auto end = std::chrono::steady_clock::now() + limit;
  impl_->io.restart();
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    impl_->io.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

void Loop::stop() { impl_->io.stop(); }

struct Timer::Impl {
  explicit Impl(asio::io_context& io) : timer(io) {}
  asio::steady_timer timer;
  std::function<void()> work;
  unsigned round = 0;  // a wait that was already due when it was forgotten must not fire
};

Timer::Timer(Loop& loop) : impl_(std::make_shared<Impl>(loop.impl().io)) {}
Timer::~Timer() { cancel(); }

void Timer::start(std::chrono::milliseconds after, std::function<void()> work) {
  const unsigned round = ++impl_->round;
  impl_->work = std::move(work);
  impl_->timer.expires_after(after);
  impl_->timer.async_wait([impl = impl_, round](error_code) {
    if (round != impl->round) return;
    const auto due = std::exchange(impl->work, nullptr);
    if (due) due();
  });
}

void Timer::cancel() {
  ++impl_->round;
  impl_->work = nullptr;
  impl_->timer.cancel();
}

struct Descriptor::Impl {
  explicit Impl(asio::io_context& io) : descriptor(io) {}
  asio::posix::stream_descriptor descriptor;
};

Descriptor::Descriptor(Loop& loop, UniqueFd fd) : impl_(std::make_shared<Impl>(loop.impl().io)) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
  error_code error;
  const int raw = fd.release();
  impl_->descriptor.assign(raw, error);
  // Not pollable or out of memory: without the descriptor every later call fails with EBADF.
  if (error) UniqueFd closes(raw);
}

Descriptor::~Descriptor() { close(); }

int Descriptor::fd() const {
  return impl_->descriptor.is_open() ? impl_->descriptor.native_handle() : -1;
}

void Descriptor::wait(Ready ready, std::function<void()> work) {
  using asio::posix::stream_descriptor;
  impl_->descriptor.async_wait(
      ready == Ready::kReadable ? stream_descriptor::wait_read : stream_descriptor::wait_write,
      [impl = impl_, work = std::move(work)](error_code error) {
        if (error || !impl->descriptor.is_open()) return;
        work();
      });
}

void Descriptor::close() {
  error_code ignored;
  impl_->descriptor.close(ignored);
}

struct Signals::Impl {
  explicit Impl(asio::io_context& io) : set(io) {}
  asio::signal_set set;
  std::function<void(int)> work;
  static void wait(const std::shared_ptr<Impl>& impl) {
    impl->set.async_wait([impl](error_code error, int number) {
      if (error) return;
      if (impl->work) impl->work(number);
      wait(impl);
    });
  }
};

Signals::Signals(Loop& loop, const std::vector<int>& numbers, std::function<void(int)> work)
    : impl_(std::make_shared<Impl>(loop.impl().io)) {
  impl_->work = std::move(work);
  error_code ignored;
  for (const int number : numbers) impl_->set.add(number, ignored);
  Impl::wait(impl_);
}

Signals::~Signals() {
  impl_->work = nullptr;
  error_code ignored;
  impl_->set.cancel(ignored);
}

}  // namespace panal::loop

#include "runtime/broker/fd_stream.h"

#include <sys/socket.h>

#include <cerrno>

namespace panal::broker {
namespace {

class FdStream final : public Stream {
 public:
  FdStream(loop::Loop& loop, UniqueFd fd) : descriptor_(loop, std::move(fd)) {}

  IoResult read(char* data, std::size_t size) override {
    const ssize_t got = ::recv(descriptor_.fd(), data, size, MSG_DONTWAIT);
    if (got > 0) return {IoState::kDone, static_cast<std::size_t>(got)};
    if (got == 0) return {IoState::kEnd, 0};
    return again(IoState::kWantRead);
  }

  IoResult write(const char* data, std::size_t size) override {
    const ssize_t put = ::send(descriptor_.fd(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put >= 0) return {IoState::kDone, static_cast<std::size_t>(put)};
    return again(IoState::kWantWrite);
  }

  IoResult shutdown_write() override {
    return {::shutdown(descriptor_.fd(), SHUT_WR) == 0 ? IoState::kDone : IoState::kFailed, 0};
  }

  void wait(IoState want, std::function<void()> work) override {
    descriptor_.wait(want == IoState::kWantRead ? loop::Ready::kReadable : loop::Ready::kWritable,
                     std::move(work));
  }

  void close() override { descriptor_.close(); }

 private:
  static IoResult again(IoState want) {
    const bool later = errno == EAGAIN || errno == EINTR;
    return {later ? want : IoState::kFailed, 0};
  }

  loop::Descriptor descriptor_;
};

}  // namespace

std::unique_ptr<Stream> make_fd_stream(loop::Loop& loop, UniqueFd fd) {
  return std::make_unique<FdStream>(loop, std::move(fd));
}

}  // namespace panal::broker

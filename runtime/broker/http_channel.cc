#include "runtime/broker/http_channel.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace panal::broker {
namespace {

constexpr std::size_t kAheadBytes = 8192;
/// A client that takes none of its progress lines is not there.
constexpr std::size_t kOutputBytes = std::size_t{64} << 10U;
constexpr std::size_t kLingerBytes = std::size_t{256} << 10U;
constexpr std::chrono::milliseconds kLinger{2000};
/// Of a file at a time; and how much of one may go out before others have their turn.
constexpr std::uint64_t kFilePart = std::uint64_t{32} << 10U;
constexpr std::uint64_t kFileTurn = std::uint64_t{256} << 10U;

}  // namespace

HttpChannel::HttpChannel(Services& services, std::unique_ptr<Stream> stream, Hooks hooks)
    : services_(services),
      stream_(std::move(stream)),
      hooks_(std::move(hooks)),
      timer_(services.loop) {}

void HttpChannel::start() {
  expect(services_.timing.head);
  services_.loop.post([self = shared_from_this()] { self->read(); });
}

void HttpChannel::expect(std::chrono::milliseconds limit) {
  state_ = State::kHead;
  parser_ = http::RequestParser();
  head_started_ = false;
  timer_.start(limit, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->head_timeout();
  });
}

void HttpChannel::head_timeout() {
  if (state_ != State::kHead) return;
  if (!parser_.started()) return close();
  state_ = State::kBusy;
  const Hooks hooks = hooks_;
  hooks.malformed(408, "The request did not come within 15 seconds.");
}

void HttpChannel::read() {
  const auto self = shared_from_this();
  while (state_ != State::kClosed && !input_ended_) {
    if (state_ != State::kHead && state_ != State::kLinger && input_.size() >= kAheadBytes) return;
    const IoResult result = stream_->read(services_.scratch.data(), services_.scratch.size());
    if (result.state == IoState::kDone) {
      take(result.bytes);
    } else if (result.state == IoState::kEnd) {
      read_ended();
    } else if (result.state == IoState::kFailed) {
      return close();
    } else {
      if (reading_) return;
      reading_ = true;
      stream_->wait(result.state, [self] {
        self->reading_ = false;
        self->read();
      });
      return;
    }
  }
}

void HttpChannel::take(std::size_t size) {
  if (state_ == State::kLinger) {
    lingered_ += size;
    if (lingered_ > kLingerBytes) close();
    return;
  }
  input_.append(services_.scratch.data(), size);
  if (state_ == State::kHead) parse();
}

void HttpChannel::parse() {
  const std::size_t taken = parser_.feed(input_);
  input_.erase(0, taken);
  if (parser_.state() == http::RequestParser::State::kMore) {
    if (parser_.started() && !head_started_) {
      head_started_ = true;
      timer_.start(services_.timing.head, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->head_timeout();
      });
    }
    return;
  }
  timer_.cancel();
  state_ = State::kBusy;
  const Hooks hooks = hooks_;  // the call may close the connection
  if (parser_.state() == http::RequestParser::State::kDone) {
    hooks.request(parser_.request());
  } else {
    hooks.malformed(parser_.status(), "Bad request: " + parser_.reason() + ".");
  }
}

void HttpChannel::read_ended() {
  input_ended_ = true;
  switch (state_) {
    case State::kHead:
    case State::kLinger: return close();
    case State::kBusy: {
      const Hooks hooks = hooks_;
      return hooks.hung_up();
    }
    case State::kLast:
    case State::kClosed: return;
  }
}

void HttpChannel::send(std::string bytes) {
  if (state_ == State::kClosed) return;
  output_ += bytes;
  if (output_.size() > kOutputBytes) return close();
  flush();
}

void HttpChannel::finish(std::string bytes, bool keep, std::chrono::milliseconds idle) {
  if (state_ == State::kClosed) return;
  state_ = State::kLast;
  output_ += bytes;
  expect_taken();
  after_flush_ = [this, keep, idle] {
    if (!keep || input_ended_) return linger();
    expect(idle);
    if (!input_.empty()) parse();
    if (state_ == State::kHead) read();
  };
  flush();
}

void HttpChannel::finish_with_file(std::string bytes, UniqueFd file, std::uint64_t file_bytes,
                                   bool keep, std::chrono::milliseconds idle) {
  if (state_ == State::kClosed) return;
  file_ = std::move(file);
  file_left_ = file_bytes;
  finish(std::move(bytes), keep, idle);
}

/// What is written must be taken in time: an answer as a whole, a file part by part.
void HttpChannel::expect_taken() {
  timer_.start(services_.timing.flush, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->close();
  });
}

void HttpChannel::hand_over(std::string bytes,
                            std::function<void(std::unique_ptr<Stream>, std::string)> taken) {
  if (state_ == State::kClosed) return;
  state_ = State::kLast;
  output_ += bytes;
  expect_taken();
  after_flush_ = [this, taken = std::move(taken)] {
    timer_.cancel();
    state_ = State::kClosed;
    taken(std::move(stream_), std::move(input_));
    hooks_ = {};
  };
  flush();
}

void HttpChannel::flush() {
  if (writing_) return;
  for (std::uint64_t turn = 0;; turn += kFilePart) {
    if (!write_output()) return;
    if (file_left_ == 0) break;
    if (!refill()) return close();
    if (turn < kFileTurn) continue;
    writing_ = true;
    return services_.loop.post([self = shared_from_this()] {
      self->writing_ = false;
      if (self->state_ != State::kClosed) self->flush();
    });
  }
  if (file_) {
    file_.reset();
    std::string().swap(output_);  // idle connections own no buffer
  }
  if (after_flush_) {
    // Later, so that a handler may answer inside the call that brought its request.
    services_.loop.post([self = shared_from_this()] { self->flushed(); });
  }
}

/// The next part of the file as output. False: the file is shorter than it was.
bool HttpChannel::refill() {
  output_.resize(static_cast<std::size_t>(std::min(file_left_, kFilePart)));
  ssize_t got = 0;
  do {
    got = ::read(file_.get(), output_.data(), output_.size());
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return false;
  output_.resize(static_cast<std::size_t>(got));
  file_left_ -= static_cast<std::uint64_t>(got);
  expect_taken();
  return true;
}

/// Whether all of it is gone; if not, it goes on by itself or the connection is closed.
bool HttpChannel::write_output() {
  std::size_t done = 0;
  while (done < output_.size()) {
    const IoResult result = stream_->write(output_.data() + done, output_.size() - done);
    if (result.state == IoState::kDone) {
      done += result.bytes;
      continue;
    }
    if (result.state == IoState::kFailed || result.state == IoState::kEnd) {
      close();
      return false;
    }
    output_.erase(0, done);
    writing_ = true;
    stream_->wait(result.state, [self = shared_from_this()] {
      self->writing_ = false;
      if (self->state_ != State::kClosed) self->flush();
    });
    return false;
  }
  output_.clear();
  return true;
}

void HttpChannel::flushed() {
  if (state_ == State::kClosed || !output_.empty()) return;
  const auto after = std::exchange(after_flush_, nullptr);
  if (after) after();
}

void HttpChannel::linger() {
  // Closing with unread input would reset the connection and take the answer from the client.
  state_ = State::kLinger;
  static_cast<void>(stream_->shutdown_write());
  if (input_ended_) return close();
  timer_.start(kLinger, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->close();
  });
  read();
}

void HttpChannel::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  const auto self = shared_from_this();
  timer_.cancel();
  after_flush_ = nullptr;
  file_.reset();
  file_left_ = 0;
  if (stream_) stream_->close();
  const auto closed = std::move(hooks_.closed);
  hooks_ = {};
  if (closed) closed();
}

}  // namespace panal::broker

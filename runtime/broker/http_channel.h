#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/unique_fd.h"
#include "runtime/broker/http/request.h"
#include "runtime/broker/services.h"
#include "runtime/broker/stream.h"

namespace panal::broker {

/// The reading and writing half of an HTTP connection: request heads in, bytes out, deadlines.
/// One request is handled at a time; what a client sends meanwhile waits (up to 8 KiB).
class HttpChannel : public std::enable_shared_from_this<HttpChannel> {
 public:
  struct Hooks {
    std::function<void(const http::Request&)> request;
    std::function<void(int status, const std::string& sentence)> malformed;
    /// The client sends no more while a request is being handled.
    std::function<void()> hung_up;
    /// The connection is over; nothing is called any more.
    std::function<void()> closed;
  };

  HttpChannel(Services& services, std::unique_ptr<Stream> stream, Hooks hooks);

  void start();
  /// Sends bytes of an answer that is not finished yet.
  void send(std::string bytes);
  /// Sends the last bytes of an answer, then reads the next request or ends the connection.
  void finish(std::string bytes, bool keep, std::chrono::milliseconds idle);
  /// The same, with the next `file_bytes` of a file behind them, read as the client takes them.
  void finish_with_file(std::string bytes, UniqueFd file, std::uint64_t file_bytes, bool keep,
                        std::chrono::milliseconds idle);
  /// Sends bytes, then gives the stream away with what the client has already sent.
  void hand_over(std::string bytes,
                 std::function<void(std::unique_ptr<Stream>, std::string)> taken);
  void close();

 private:
  enum class State { kHead, kBusy, kLast, kLinger, kClosed };

  void expect(std::chrono::milliseconds limit);
  void read();
  void take(std::size_t size);
  void parse();
  void read_ended();
  void flush();
  bool write_output();
  bool refill();
  void expect_taken();
  void flushed();
  void linger();
  void head_timeout();

  Services& services_;
  std::unique_ptr<Stream> stream_;
  Hooks hooks_;
  loop::Timer timer_;
  http::RequestParser parser_;
  State state_ = State::kHead;
  std::string input_;   ///< beyond the current request
  std::string output_;  ///< not yet taken by the client
  UniqueFd file_;       ///< its next `file_left_` bytes come after the output
  std::uint64_t file_left_ = 0;
  std::function<void()> after_flush_;
  std::size_t lingered_ = 0;
  bool head_started_ = false;
  bool input_ended_ = false;
  bool reading_ = false;  ///< a wait for input is pending
  bool writing_ = false;
};

}  // namespace panal::broker

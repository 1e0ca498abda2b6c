#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/unique_fd.h"

struct ssl_st;
struct ssl_ctx_st;

namespace panal::client::testing {

/// The server's end of one TLS connection, blocking.
class FakeConnection {
 public:
  explicit FakeConnection(ssl_st* ssl) : ssl_(ssl) {}
  /// Up to and with the empty line; "" at the end.
  std::string read_head();
  /// At least one byte; "" at the end.
  std::string read_some();
  void write(const std::string& bytes);
  void answer(int status, const std::string& reason, const std::string& body);
  void say_goodbye();

 private:
  ssl_st* ssl_;
};

/// A TLS server on a free port of 127.0.0.1 with a certificate of its own making (for
/// "localhost"), which plays one script per connection, in order.
class FakeServer {
 public:
  using Script = std::function<void(FakeConnection&)>;
  explicit FakeServer(std::vector<Script> scripts);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& certificate_pem() const { return pem_; }

 private:
  void serve(const std::vector<Script>& scripts);

  ssl_ctx_st* context_ = nullptr;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::string pem_;
  std::thread thread_;
};

}  // namespace panal::client::testing

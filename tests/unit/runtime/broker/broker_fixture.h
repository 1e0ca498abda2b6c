#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <vector>

#include "fake_store.h"
#include "runtime/broker/auth/password.h"
#include "runtime/broker/fd_stream.h"
#include "runtime/broker/http_session.h"
#include "runtime/broker/services.h"

namespace panal::broker {

inline constexpr const char* kTestCookie = "0123456789abcdef0123456789abcdef";

/// A node in memory: says what it is told to say, and hands out one end of a socket pair.
class FakeNode final : public NodePort {
 public:
  explicit FakeNode(loop::Loop& loop) : loop_(loop) {}

  std::unique_ptr<NodeCall> begin() override { return std::make_unique<Call>(*this); }

  std::vector<AttachRequest> attaches;
  int opens = 0;
  Answer<Attached> attach_answer = Attached{9, kTestCookie};
  bool refuse_open = false;
  Answer<std::string> metrics_answer = std::string("# HELP a A.\n# TYPE a counter\na 1\n");
  UniqueFd agent;  ///< the desktop's end after an open
  std::vector<std::vector<Flow>> flows;
  std::chrono::milliseconds flowed_over{0};     ///< of the last of them
  std::function<void(Answer<void>)> flow_done;  ///< of the last of them, where it is not answered
  bool answers_flows = true;

 private:
  class Call final : public NodeCall {
   public:
    explicit Call(FakeNode& node) : node_(node) {}
    void attach(const AttachRequest& request, std::function<void(std::string)> progress,
                std::function<void(Answer<Attached>)> done) override {
      node_.attaches.push_back(request);
      node_.loop_.post([=, answer = node_.attach_answer] {
        progress("nxagent is listening");
        done(answer);
      });
    }
    void open(std::function<void(Answer<UniqueFd>)> done) override {
      ++node_.opens;
      if (node_.refuse_open) {
        return node_.loop_.post([done] { done(tl::make_unexpected(Refusal{503, "no"})); });
      }
      int pair[2];
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
      node_.agent = UniqueFd(pair[0]);
      const auto fd = std::make_shared<UniqueFd>(pair[1]);
      node_.loop_.post([done, fd] { done(std::move(*fd)); });
    }
    void metrics(std::function<void(Answer<std::string>)> done) override {
      node_.loop_.post([done, answer = node_.metrics_answer] { done(answer); });
    }
    void flow(const std::vector<Flow>& flows, std::chrono::milliseconds over,
              std::function<void(Answer<void>)> done) override {
      node_.flows.push_back(flows);
      node_.flowed_over = over;
      if (!node_.answers_flows)
        node_.flow_done = std::move(done);
      else
        node_.loop_.post([done] { done({}); });
    }

   private:
    FakeNode& node_;
  };

  loop::Loop& loop_;
};

/// A whole broker connection over a socket pair: everything but TLS, PostgreSQL and panald.
class BrokerTest : public ::testing::Test {
 protected:
  BrokerTest() {
    const auto hash = auth::hash_password("secret", {64, 1}).value();
    store::User alice;
    alice.tenant = "default";
    alice.login = "alice";
    alice.password_hash = hash;
    db.users["alice@default"] = alice;
    alice.login = "mallory";
    alice.blocked = true;
    db.users["mallory@default"] = alice;
    store::Desktop desk;
    desk.id = 4;
    desk.tenant = "default";
    desk.login = "alice";
    desk.name = "alice-desk";
    desk.observed = store::Observed::kRunning;
    desk.desired = store::Desired::kRunning;
    desk.generation = desk.claimed_generation = 1;
    db.desktops[4] = desk;
    desk.id = 5;
    desk.login = "bob";
    desk.name = "bobs-desk";
    db.desktops[5] = desk;
    services.timing.poll = std::chrono::milliseconds(50);
    connect();
  }
  ~BrokerTest() override {
    services.registry.close_all();
    loop.run_until([this] { return registry.count() == 0; }, std::chrono::seconds(5));
  }

  Authenticator::Options options() {
    Authenticator::Options out;
    out.dummy_hash = auth::hash_password("dummy", {64, 1}).value();
    out.verify = [this](const std::string& hash, const std::string& password) {
      {
        const std::lock_guard lock(checks_mutex);
        checks.push_back(hash);
      }
      return auth::verify_password(hash, password);
    };
    return out;
  }

  void connect() {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    client = UniqueFd(pair[0]);
    received.clear();
    serve_http(services, make_fd_stream(loop, UniqueFd(pair[1])), "192.0.2.1");
  }

  void send(const std::string& bytes) {
    ASSERT_EQ(::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  static bool drain(int fd, std::string& into) {
    char part[65536];
    for (;;) {
      const ssize_t got = ::recv(fd, part, sizeof part, 0);
      if (got == 0) return true;
      if (got < 0) return errno != EAGAIN;
      into.append(part, static_cast<std::size_t>(got));
    }
  }

  bool wait(const std::function<bool()>& done) {
    return loop.run_until(done, std::chrono::seconds(20));
  }
  bool wait_text(const std::string& text) {
    return wait([&] {
      drain(client.get(), received);
      return received.find(text) != std::string::npos;
    });
  }
  bool wait_closed() {
    return wait([&] { return drain(client.get(), received); });
  }
  /// Waits for one final answer with its body, takes it and returns it.
  std::string answer() {
    std::string out;
    wait([&] {
      drain(client.get(), received);
      const auto end = received.find("\r\n\r\n");
      const auto length = received.find("Content-Length: ");
      if (end == std::string::npos || length == std::string::npos || length > end) return false;
      const std::size_t total = end + 4 + std::stoul(received.substr(length + 16));
      if (received.size() < total) return false;
      out = received.substr(0, total);
      received.erase(0, total);
      return true;
    });
    return out;
  }
  std::string get(const std::string& target, const std::string& more = kLogin) {
    send("GET " + target + " HTTP/1.1\r\n" + more + "\r\n");
    return answer();
  }
  static bool is(const std::string& answer, int status) {
    return answer.starts_with("HTTP/1.1 " + std::to_string(status) + " ");
  }

  // alice:secret
  static constexpr const char* kLogin = "Authorization: Basic YWxpY2U6c2VjcmV0\r\n";
  static constexpr const char* kConnect =
      "Authorization: Basic YWxpY2U6c2VjcmV0\r\nConnection: Upgrade\r\nUpgrade: QVD/1.0\r\n";

  std::mutex checks_mutex;
  std::vector<std::string> checks;  ///< the hash of each password check
  FakeDatabase db;
  loop::Loop loop;
  LoggerPtr log = Logger::silent();
  Directory directory{loop, [this] { return make_store(); }, log};
  DesktopWatch watch{loop, [this] { return make_store(); }, log};
  FakeNode node{loop};
  Authenticator authenticator{loop, directory, log, options()};
  Registry registry;
  Services services{loop, log, authenticator, directory, watch, node, registry};
  UniqueFd client;
  std::string received;

 private:
  Result<std::unique_ptr<store::Store>> make_store() {
    if (db.down) return fail(ENOTCONN, "fake database");
    return std::make_unique<FakeStore>(db);
  }
};

}  // namespace panal::broker

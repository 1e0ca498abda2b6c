#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/control/message.h"

namespace panal::broker {

/// Answers panald's control socket: every attach succeeds, every open passes one end of a socket
/// pair whose other end is the "nxagent".
class FakePanald {
 public:
  static constexpr const char* kCookie = "00112233445566778899aabbccddeeff";

  static constexpr const char* kMetrics = "# HELP a A.\n# TYPE a counter\na 1\n";

  explicit FakePanald(std::string path) : path_(std::move(path)) {
    ::unlink(path_.c_str());
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), 16) != 0) {
      std::perror("fake panald");
      std::abort();
    }
    ::chmod(path_.c_str(), 0666);
    thread_ = std::thread([this] { serve(); });
  }

  ~FakePanald() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    for (auto& talker : talkers_) talker.join();
    ::unlink(path_.c_str());
  }

  int opens() const { return opens_; }
  nlohmann::json last_attach() {
    const std::lock_guard lock(mutex_);
    return last_attach_;
  }
  /// The agent's end of the newest open; blocking.
  UniqueFd take_agent() {
    const std::lock_guard lock(mutex_);
    return std::move(agent_);
  }

 private:
  void serve() {
    for (;;) {
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      talkers_.emplace_back([this, fd] { talk(UniqueFd(fd)); });
    }
  }

  void talk(UniqueFd fd) {
    for (;;) {
      const auto message = control::receive_message(fd.get());
      if (!message) return;
      const std::string op = message->body.value("op", "");
      if (op == "attach") {
        {
          const std::lock_guard lock(mutex_);
          last_attach_ = message->body;
        }
        static_cast<void>(control::send_message(fd.get(), {{"progress", "nxagent wakes"}}));
        static_cast<void>(
            control::send_message(fd.get(), {{"ok", true}, {"attach", 3}, {"cookie", kCookie}}));
      } else if (op == "open" && message->body.value("attach", 0) == 3) {
        int pair[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return;
        const UniqueFd theirs(pair[1]);
        {
          const std::lock_guard lock(mutex_);
          agent_ = UniqueFd(pair[0]);
        }
        ++opens_;
        static_cast<void>(control::send_message(fd.get(), {{"ok", true}}, theirs.get()));
      } else if (op == "metrics") {
        static_cast<void>(control::send_message(fd.get(), {{"ok", true}, {"text", kMetrics}}));
      } else {
        static_cast<void>(control::send_message(
            fd.get(), {{"error", "The fake does not know that."}, {"status", 400}}));
      }
    }
  }

  std::string path_;
  UniqueFd listener_;
  std::thread thread_;
  std::vector<std::thread> talkers_;
  std::mutex mutex_;
  nlohmann::json last_attach_;
  UniqueFd agent_;
  std::atomic<int> opens_{0};
};

}  // namespace panal::broker

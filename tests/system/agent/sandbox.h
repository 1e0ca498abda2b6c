#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/unique_fd.h"
#include "runtime/agent/protocol.h"

namespace panal::agent::test {

/// Generous: a loaded machine is slow, and nothing here is about speed.
inline constexpr std::chrono::seconds kPatience{60};

/// Runs a program; killed and reaped when it goes.
class Program {
 public:
  Program() = default;
  Program(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
          const std::string& log);
  Program(Program&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Program& operator=(Program&& other) noexcept {
    kill();
    pid_ = std::exchange(other.pid_, -1);
    return *this;
  }
  ~Program() { kill(); }
  void kill();
  /// Waits for its end; its wait status.
  int wait();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

/// A desktop without containers: panal-agent as pid 1 of its own pid, mount and network
/// namespaces, its root a volatile layer over this machine's (which has nxagent and xterm).
class Sandbox {
 public:
  explicit Sandbox(const std::string& directory);
  ~Sandbox();

  /// Accepts the agent's connection and takes its hello.
  Frame accept();
  void hang_up() { link_.reset(); }
  /// Closes every connection as soon as it is there, mostly before hello is sent; how many.
  int turn_away(std::chrono::milliseconds span);
  void send(const Frame& frame);
  void send_raw(std::string_view bytes);
  /// The next frame for which `wanted` holds; frames before it are dropped. An empty frame after
  /// kPatience.
  Frame until(const std::function<bool(const Frame&)>& wanted);
  Frame until(const std::string& verb, const std::string& key = {}, const std::string& value = {});
  void welcome(const std::vector<std::string>& session, const std::string& keyboard = "",
               const std::vector<std::string>& apart = {});
  /// Sends listen with a new number and cookie, plus `fields`; waits for listening.
  bool listen(const Frame& fields);

  [[nodiscard]] std::string cookie() const { return cookie_; }
  [[nodiscard]] std::string attach() const { return std::to_string(attach_); }
  [[nodiscard]] std::string nx_socket() const { return directory_ + "/shared/nx/nx.sock"; }
  /// A path inside, seen from here.
  [[nodiscard]] std::string inside(const std::string& path) const;
  /// The agent's pid, seen from here.
  [[nodiscard]] pid_t init() const { return init_; }
  Program& program() { return program_; }
  [[nodiscard]] std::string log() const;

 private:
  std::string directory_;
  UniqueFd listener_;
  UniqueFd link_;
  Program program_;
  pid_t init_ = -1;
  std::uint64_t attach_ = 0;
  std::string cookie_;
};

/// A user's computer: Xvfb and openbox.
class Computer {
 public:
  Computer(const std::string& directory, int display, const std::string& geometry);
  [[nodiscard]] Program attach(const Sandbox& desktop) const;
  [[nodiscard]] std::vector<std::string> environment() const;

 private:
  std::string directory_;
  int display_;
  Program x_;
  Program manager_;
};

std::string slurp(const std::string& path);
/// True once `holds`, false after kPatience.
bool eventually(const std::function<bool()>& holds);

}  // namespace panal::agent::test

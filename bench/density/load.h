#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/density/bench_node.h"
#include "bench/density/display.h"
#include "bench/density/typist.h"
#include "engine/kernel/cgroup.h"

namespace panal::bench {

/// The load generator: the users' screens and clients, in a cgroup of their own beside the node's.
class Load {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Load>> make(const BenchNode& node);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  /// Starts the user's panal-client, on a screen that has room; `watched`: on the one screen of
  /// those whose picture is looked at.
  [[nodiscard]] Result<void> connect(const Account& account, bool watched = false);
  /// Who types into this user's desktop: opened at the first call for a screen. Errors: ENOENT of
  /// a user whose client was never started; those of Typist::open.
  [[nodiscard]] Result<Typist*> typist_of(const Account& account);
  /// Types a key until it is answered; the last try's time. A window that has just come may take a
  /// while to be there. Errors: those of typist_of() and, after `patience`, of Typist.
  [[nodiscard]] Result<Typed> answer(const Account& account, std::chrono::seconds patience);
  /// Types one key, tried again for up to `patience` only where none could be typed yet. Errors: as
  /// above; ETIMEDOUT of a key that changed nothing.
  [[nodiscard]] Result<Typed> answer_first(const Account& account, std::chrono::seconds patience);
  /// Whether the user has a client that has not ended.
  [[nodiscard]] bool runs(const Account& account) const;
  /// How many clients still run.
  [[nodiscard]] std::size_t running() const;
  void disconnect_all();
  /// Ends these users' clients.
  void disconnect(const std::vector<Account>& accounts);
  /// A screen for measurements of its own.
  [[nodiscard]] Result<std::unique_ptr<Display>> new_display();
  [[nodiscard]] const kernel::Cgroup& group() const { return *group_; }
  [[nodiscard]] const kernel::CgroupRoot& root() const { return *root_; }

 private:
  explicit Load(const BenchNode& node) : node_(node) {}

  struct Screen {
    std::unique_ptr<Display> display;
    std::unique_ptr<Typist> typist;  ///< goes first
    std::size_t windows = 0;         ///< of clients that have not been ended
  };
  struct Client {
    Child process;
    Screen* screen;
  };
  [[nodiscard]] Result<std::unique_ptr<Screen>> new_screen();
  [[nodiscard]] Result<Screen*> screen_with_room();

  const BenchNode& node_;
  std::unique_ptr<kernel::CgroupRoot> root_;
  std::unique_ptr<kernel::Cgroup> group_;
  std::vector<std::unique_ptr<Screen>> screens_;
  std::unique_ptr<Screen> watched_;
  std::map<std::string, Client> clients_;  ///< by login
  int next_display_ = 90;
};

}  // namespace panal::bench

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/density/bench_node.h"
#include "bench/density/display.h"
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
  /// The screen of the watched; null until there is one.
  [[nodiscard]] const Display* watched_screen() const { return watched_.get(); }
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

  const BenchNode& node_;
  std::unique_ptr<kernel::CgroupRoot> root_;
  std::unique_ptr<kernel::Cgroup> group_;
  std::vector<std::unique_ptr<Display>> displays_;
  std::unique_ptr<Display> watched_;
  std::map<std::string, Child> clients_;  ///< by login
  int next_display_ = 90;
  std::size_t unwatched_ = 0;  ///< windows opened so far on `displays_`
};

}  // namespace panal::bench

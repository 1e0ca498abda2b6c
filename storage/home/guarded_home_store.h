#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/home/home_child.h"
#include "storage/home/home_store.h"

namespace panal::storage {

/// Homes on a file system that may hang (NFS, FUSE): everything that touches it is done by
/// panal-home with a time limit, so a server that is gone costs one desktop its start, and the node
/// nothing.
class GuardedHomeStore final : public HomeStore {
 public:
  GuardedHomeStore(std::string homes_dir, HomeRules rules, HomeChildren& children)
      : HomeStore(homes_dir, rules),
        homes_dir_(std::move(homes_dir)),
        rules_(std::move(rules)),
        children_(children) {}

  /// Errors: as HomeStore; ETIMEDOUT "the file system of the homes (/srv/homes) did not answer
  /// within 10 s".
  [[nodiscard]] Result<void> attach(const HomeSpec& spec) override;
  /// Errors: as HomeStore.
  /// A home that does not answer is taken out of sight all the same; its lock stays until
  /// unlock_left(), and does not count once the database has given the home to another desktop of
  /// this node.
  [[nodiscard]] Result<void> detach(const HomeSpec& spec) override;
  [[nodiscard]] Result<void> recover(const std::set<std::string>& live) override;
  [[nodiscard]] Result<void> remove(const std::string& tenant, const std::string& home) override;

  /// How many homes are out of sight and may still be locked by the desktop that had them.
  [[nodiscard]] std::size_t left();
  /// Unlocks those, for when the server answers again; one that does not ends the round. Returns
  /// how many were. No lock of a desktop that has its home again is dropped: a home that was opened
  /// since is not one of those. From any thread, one at a time.
  std::size_t unlock_left();

 private:
  using Home = std::pair<std::string, std::string>;  ///< tenant and name
  [[nodiscard]] Result<void> ask(home_call::Verb verb, const HomeSpec& spec,
                                 std::vector<std::string> words = {});
  [[nodiscard]] Result<void> try_attach(const HomeSpec& spec);

  std::string homes_dir_;
  HomeRules rules_;
  HomeChildren& children_;
  std::mutex mutex_;
  std::condition_variable unlocked_;
  std::map<Home, std::set<std::string>> left_;  ///< and the desktops that may have them locked
  std::multiset<Home> opening_;                 ///< attach() is at them, and unlock_left() is not
  Home unlocking_;                              ///< unlock_left() is at it; "": at none
};

}  // namespace panal::storage

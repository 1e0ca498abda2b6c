#pragma once

#include <set>
#include <string>
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
  /// A home that does not answer is taken out of sight all the same; its lock stays, and does not
  /// count once the database has given the home to the next one.
  [[nodiscard]] Result<void> detach(const HomeSpec& spec) override;
  [[nodiscard]] Result<void> recover(const std::set<std::string>& live) override;
  [[nodiscard]] Result<void> remove(const std::string& tenant, const std::string& home) override;

 private:
  [[nodiscard]] Result<void> ask(home_call::Verb verb, const HomeSpec& spec,
                                 std::vector<std::string> words = {});

  std::string homes_dir_;
  HomeRules rules_;
  HomeChildren& children_;
};

}  // namespace panal::storage

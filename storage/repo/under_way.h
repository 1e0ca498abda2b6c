#pragma once

#include <string>

#include "engine/base/unique_fd.h"

namespace panal::storage {

/// Says in a repository that long work is under way which holds a share of its lock, for who has to
/// wait until all of it has ended: the lock itself does not tell who has it. A file in the
/// repository's tmp, locked as long as its process lives; what a killed one leaves goes with the
/// next gc(). Where it cannot be made there is no such word, and that is all.
class UnderWay {
 public:
  /// `what`: "a pull of icewm 2".
  UnderWay(const std::string& repository, const std::string& what);
  UnderWay(UnderWay&& other) noexcept;
  UnderWay& operator=(UnderWay&& other) = delete;
  ~UnderWay();

 private:
  std::string file_;
  UniqueFd held_;
};

/// What somebody has said so and is still at; of several one of them. Empty: nobody.
[[nodiscard]] std::string work_under_way(const std::string& repository);

}  // namespace panal::storage

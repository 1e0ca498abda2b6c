#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/lint/tree.h"

namespace panal::storage {

/// What can be done about it in a new version of the image.
enum class LintRepair : std::uint8_t {
  kNone,     ///< not in the tree: the rule's advice says what
  kRemove,   ///< without it nothing is missing
  kLink,     ///< equal files become one
  kTrustPyc  ///< compiled Python is taken for its source's without a look
};

/// Who pays.
enum class LintCost : std::uint8_t {
  kOnce,  ///< the version, on disk and in the page cache
  kEach   ///< every desktop, or this one
};

/// One thing that breaks sharing. Tables of these are all that the linter knows.
struct LintRule {
  const char* name;    ///< "stale-bytecode"
  const char* what;    ///< what is wrong, a clause
  const char* advice;  ///< what to do where no repair does it
  LintScope scope;
  LintCost cost;
  LintRepair repair;
};
/// All of them; they live for ever.
[[nodiscard]] std::vector<const LintRule*> lint_rules();

/// What a rule has found, all its files together.
struct LintFinding {
  const LintRule* rule = nullptr;  ///< one of lint_rules()
  std::uint64_t bytes = 0;         ///< that it costs
  bool estimated = false;  ///< it is not there yet: `bytes` is the least it will be, 0: not known
  std::vector<std::string> paths;  ///< in order
};

/// The findings of a tree, the dearest first. Pure.
[[nodiscard]] std::vector<LintFinding> lint_tree(const LintTree& tree);

/// One step of a repair, on a tree that is a copy.
struct LintStep {
  LintRepair repair = LintRepair::kRemove;
  std::string path;
  std::string target;  ///< kLink: what it becomes another name of

  [[nodiscard]] bool operator==(const LintStep&) const = default;
};
/// What can be repaired of what lint_tree() finds in an image, in an order that works. Pure.
[[nodiscard]] std::vector<LintStep> lint_repairs(const LintTree& tree);

}  // namespace panal::storage

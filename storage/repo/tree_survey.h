#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/base/result.h"
#include "storage/repo/repository.h"

namespace panal::storage {

/// What a look at a tree that is to be committed found.
struct TreeSurvey {
  std::uint64_t entries = 0;
  /// Some files may be the repository's own already: it is worth to look.
  bool hard_links = false;
  /// All files' inode numbers fit into 32 bits: libostree 2022.7 looks files up by so many.
  bool short_inodes = true;
  std::map<std::string, std::string> capabilities;  ///< "/usr/bin/ping" -> the attribute
};

/// Looks at all of it before anything is moved, so that a refused tree is still whole; of a tree
/// that is consumed the files' times become 0. Errors: see Repository::commit().
[[nodiscard]] Result<TreeSurvey> survey_tree(const CommitSpec& spec);

/// Puts the repository's own file in the place of every equal one of the tree. libostree moves
/// files of a consumed tree into the repository without looking whether it has them: it would
/// replace objects by equal ones, and versions would no longer share an inode with older ones.
/// `survey` then knows that there are hard links. The tree's content stays the same. An object that
/// is not what its name says is replaced by the tree's file, which is.
[[nodiscard]] Result<void> link_known_files(const Repository::Inner& inner, const CommitSpec& spec,
                                            TreeSurvey& survey, const Work& work);

}  // namespace panal::storage

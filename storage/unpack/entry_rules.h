#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

/// What panal-unpack does, inside the namespace of one import. Nothing here trusts the archive.
namespace panal::storage::unpack {

/// NAME_MAX of Linux's file systems.
inline constexpr std::size_t kLongestName = 255;
/// PATH_MAX without the final zero.
inline constexpr std::size_t kLongestPath = 4095;
/// Levels of directories: walk_tree() goes no deeper.
inline constexpr std::size_t kDeepest = 64;
/// Ids that a desktop has.
inline constexpr std::int64_t kIds = 65536;

enum class EntryType {
  kFile,
  kDirectory,
  kSymlink,
  kHardLink,
  kCharDevice,
  kBlockDevice,
  kFifo,
  kSocket,
  kOther
};

/// One entry of a tarball as it says it is.
struct TarEntry {
  std::string name;  ///< as written, "./usr/bin/" and all
  EntryType type = EntryType::kOther;
  std::string target;      ///< of links
  std::uint32_t mode = 0;  ///< 07777
  std::int64_t uid = 0;
  std::int64_t gid = 0;
  std::uint64_t size_bytes = 0;
  timespec modified{};
  std::vector<std::string> attributes;  ///< names of extended attributes
};

/// "usr/bin" out of "./usr//bin/"; empty for the root itself.
/// Errors: EPERM for "..", an absolute name, a name or path that is too long, too many levels.
[[nodiscard]] Result<std::string> entry_path(std::string_view name);

/// Whether a symbolic link at `path` (in the form of entry_path()) with a relative target climbs
/// above the root. Absolute targets begin at the root of whoever follows them, and do not.
[[nodiscard]] bool leads_out(std::string_view path, std::string_view target);

enum class Action {
  kTake,
  kSkip,      ///< the root itself, or special and left out
  kWhiteout,  ///< of a layer: `path` is deleted from the layers below
  kOpaque,    ///< of a layer: all in the directory `path` is
};

struct Verdict {
  Action action = Action::kTake;
  std::string path;       ///< in the form of entry_path()
  std::string link_path;  ///< of a hard link: its target in that form
  bool left_out = false;  ///< something was, or (with kTake) its file capabilities were
};

struct EntryRules {
  bool layer = false;              ///< `.wh.` names are whiteouts
  bool leave_out_special = false;  ///< instead of refusing it
};

/// Errors: EPERM, a sentence that begins with the entry's name.
[[nodiscard]] Result<Verdict> judge(const TarEntry& entry, const EntryRules& rules);

/// An entry's name for a sentence: quoted, without control characters, not endless.
[[nodiscard]] std::string shown(std::string_view name);
/// fail_errno() with such a name.
[[nodiscard]] Failure failed_at(std::string_view operation, std::string_view name);

}  // namespace panal::storage::unpack

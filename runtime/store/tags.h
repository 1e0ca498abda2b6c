#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::store {

inline constexpr const char* kHeadTag = "head";        ///< the newest version, by itself
inline constexpr const char* kDefaultTag = "default";  ///< what new starts take

/// A name that moves over an image's versions.
struct Tag {
  std::string image, tag, version;
  std::string moved;  ///< ISO 8601
};

enum class TagMoveKind { kCommit, kPublish, kRollback, kTag, kUntag, kRemove };
[[nodiscard]] std::string_view to_string(TagMoveKind kind);
/// Errors: EPROTO for a word that to_string() never gives.
[[nodiscard]] Result<TagMoveKind> parse_tag_move_kind(std::string_view word);

/// One entry of the history that nobody can change.
struct TagMove {
  std::string at;  ///< ISO 8601
  std::string actor;
  TagMoveKind kind = TagMoveKind::kTag;
  std::string image, tag;
  std::string from;  ///< empty: the tag was not there
  std::string to;    ///< empty: it was taken away
};

/// From now on: when those who run a version that the tag has left are to be started again.
/// 0 or more, at most 10 years.
struct Deadlines {
  std::optional<std::chrono::seconds> soft;  ///< once nobody is connected
  std::optional<std::chrono::seconds> hard;  ///< in any case; not before soft
  [[nodiscard]] bool any() const { return soft || hard; }
};

struct TagChange {
  std::string image, tag;
  std::string to;        ///< a version; empty: the tag is taken away
  std::string expected;  ///< where the caller saw the tag; empty: nowhere
  TagMoveKind kind = TagMoveKind::kTag;
  std::string actor;
  /// For all other versions of the image. None: those of an earlier move stay in force.
  Deadlines deadlines = {};
  /// Past which check of the caller's, in words: for the audit log. Empty: past none.
  std::string forced = {};
};

/// A version that was taken away; nodes delete their copies when they look.
struct Removal {
  std::string image, version;
  std::string commit;  ///< empty: it was never committed
  std::string actor;
  std::string at;                    ///< ISO 8601
  std::vector<std::string> done_on;  ///< nodes that have no copy any more
};

/// Where a tag has been before, by its history (oldest first), nearest first and without where it
/// is: what `rollback` may return to. A rollback undoes the move before it, so that a second one
/// goes further back and never forward again. Versions that are gone are not known here.
[[nodiscard]] std::vector<std::string> rollback_targets(const std::vector<TagMove>& moves);

}  // namespace panal::store

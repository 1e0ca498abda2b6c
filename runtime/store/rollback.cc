#include <algorithm>

#include "runtime/store/tags.h"

namespace panal::store {

std::string_view to_string(TagMoveKind kind) {
  switch (kind) {
    case TagMoveKind::kCommit: return "commit";
    case TagMoveKind::kPublish: return "publish";
    case TagMoveKind::kRollback: return "rollback";
    case TagMoveKind::kTag: return "tag";
    case TagMoveKind::kUntag: return "untag";
    case TagMoveKind::kRemove: return "remove";
  }
  return "tag";
}

Result<TagMoveKind> parse_tag_move_kind(std::string_view word) {
  for (const TagMoveKind kind :
       {TagMoveKind::kCommit, TagMoveKind::kPublish, TagMoveKind::kRollback, TagMoveKind::kTag,
        TagMoveKind::kUntag, TagMoveKind::kRemove})
    if (word == to_string(kind)) return kind;
  return fail(EPROTO, "a tag's move of unknown kind");
}

std::vector<std::string> rollback_targets(const std::vector<TagMove>& moves) {
  std::vector<std::string> stack;
  for (const TagMove& move : moves) {
    if (move.to.empty()) {
      stack.clear();  // another tag of that name, or another image, begins after it
      continue;
    }
    const auto before = std::find(stack.rbegin(), stack.rend(), move.to);
    if (move.kind == TagMoveKind::kRollback && before != stack.rend())
      stack.erase(before.base(), stack.end());
    else if (stack.empty() || stack.back() != move.to)
      stack.push_back(move.to);
  }
  std::vector<std::string> targets;
  if (stack.empty()) return targets;
  const std::string now = stack.back();
  for (auto at = std::next(stack.rbegin()); at != stack.rend(); ++at)
    if (*at != now && std::find(targets.begin(), targets.end(), *at) == targets.end())
      targets.push_back(*at);
  return targets;
}

}  // namespace panal::store

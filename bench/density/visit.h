#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/density/programs.h"

namespace panal::bench {

/// Who is visited: those that are up, and of them those whose clients have left.
struct VisitPlan {
  std::vector<Account> stayed;
  std::vector<Account> away;
  ProgramsByDesktop programs;  ///< of all of them when their lot had settled
};

/// The longest time in which who stayed answers the first key, ms.
inline constexpr double kLongestAnswerMs = 1000;

/// Everybody is looked at again: a desktop that died in silence would make the rest look cheap. One
/// key is typed into each of those that stayed; who was away comes back, a few at a time as their
/// screens' memory is the load generator's, answers a key, and leaves. What ran in each is compared
/// with what ran when it had settled, before and after its visit. The result names:
///   stayed, came_back; stayed_answer_ms, returned_answer_ms: count, p50, p99, max;
///   stayed_since_click_ms: see Typed; came_back_{p50,max}_seconds, from its client's start
///     until it is found attached, the others' turns before it included
///   late: of those that stayed, who took longer than kLongestAnswerMs; silent: who did not answer
///   not_attached: why who was away did not come back, or who stayed has no client any more
///   lost_programs: desktop, names, when ("before" the visit, "after")
///   other_programs_ended: helpers that are gone, by name
/// Errors: none of what was seen: see what_is_wrong().
[[nodiscard]] Result<nlohmann::json> visit(const BenchNode& node, Load& load,
                                           const VisitPlan& plan);

/// Why the desktops of a visit were not all well, in words; nothing: they were.
/// `must_answer` false: those that are late or silent are only counted.
[[nodiscard]] std::optional<std::string> what_is_wrong(const nlohmann::json& visit,
                                                       bool must_answer);

}  // namespace panal::bench

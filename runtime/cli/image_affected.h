#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runtime/cli/shell.h"
#include "runtime/store/store.h"

namespace panal::cli {

/// Whom a move of a tag concerns.
struct Affected {
  /// They run another version than the tag is to name: deadlines hold for them.
  std::vector<store::Desktop> running;
  /// They do not run, and take the tag's version at their next start.
  std::size_t at_next_start = 0;
};
[[nodiscard]] Affected affected_by(const std::vector<store::Desktop>& desktops,
                                   const std::string& image, const std::string& tag,
                                   const std::string& to);

/// "soft 1 h, hard 24 h"; "no deadline".
[[nodiscard]] std::string describe(const store::Deadlines& deadlines);

[[nodiscard]] nlohmann::json affected_json(const Affected& affected,
                                           const store::Deadlines& deadlines);
/// A table of those that run, and a sentence for what will become of them.
void print_affected(std::ostream& out, const Affected& affected, const store::Deadlines& deadlines);

}  // namespace panal::cli

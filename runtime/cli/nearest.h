#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace panal::cli {

/// How many letters must be changed, added, taken away or swapped with their neighbour to make one
/// text of the other.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The name of `known` that `word` was probably meant to be; empty where none is near.
[[nodiscard]] std::string nearest_name(std::string_view word,
                                       const std::vector<std::string>& known);

/// "; did you mean icewm?", or empty.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string>& known);

}  // namespace panal::cli

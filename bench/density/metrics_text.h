#pragma once

#include <string_view>

namespace panal::bench {

/// The sum of a metric's values in what `panal metrics` prints, of those whose labels have `label`
/// in them (empty: all); 0 where there is none.
[[nodiscard]] double metric(std::string_view text, std::string_view name,
                            std::string_view label = {});

}  // namespace panal::bench

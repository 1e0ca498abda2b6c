#pragma once

#include <functional>
#include <optional>
#include <string>

#include "bench/density/stored.h"

namespace panal::bench {

/// docs/results.md: a table of all figures, then for each what was run, where and when.
/// `find`: the stored result of a figure, if there is one.
[[nodiscard]] std::string report(
    const std::function<std::optional<Stored>(const std::string& name)>& find);

}  // namespace panal::bench

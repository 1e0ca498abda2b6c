#pragma once

#include <functional>
#include <optional>
#include <string>

#include "bench/density/stored.h"

namespace panal::bench {

/// docs/results.md: a table of all figures, the plots, then for each figure what was run, where and
/// when. `find`: the stored result of a figure, if there is one. `has_plot`: whether there is such
/// a file of scripts/plots, "memory.svg", in docs/plots. `changed`: whether the code that a result
/// measured is another now; none: nothing is said of it.
[[nodiscard]] std::string report(
    const std::function<std::optional<Stored>(const std::string& name)>& find,
    const std::function<bool(const std::string& file)>& has_plot,
    const std::function<bool(const Figure&, const Stored&)>& changed = {});

}  // namespace panal::bench

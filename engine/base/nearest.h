#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace panal {

/// The known word a mistyped one most likely means; empty when none is near.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace panal

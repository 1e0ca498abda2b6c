#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/model/ids.h"
#include "runtime/store/store.h"

namespace panal::cli {

/// Turns two answers of panald's `stats` into what `top` shows: each desktop's CPU time and cost,
/// the five resources (bottleneck.h), and which of them is short. Pure but for what it remembers.
class TopView {
 public:
  /// `stats` as panald answered at `now_ns` (any steady clock); `names` from the store.
  /// A field that is absent or of the wrong type reads as 0.
  [[nodiscard]] nlohmann::json digest(const nlohmann::json& stats, std::uint64_t now_ns,
                                      const std::map<DesktopId, store::Desktop>& names);

 private:
  std::map<DesktopId, std::uint64_t> cpu_before_;  ///< nanoseconds
  nlohmann::json host_before_;
  std::uint64_t before_ns_ = 0;
};

/// The digest as a screen of text of at most `lines` lines, of which desktops get what is left
/// below the host's, three at least.
[[nodiscard]] std::string render_top(const nlohmann::json& digest, std::size_t lines);

}  // namespace panal::cli

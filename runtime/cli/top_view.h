#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/model/ids.h"
#include "runtime/store/store.h"

namespace panal::cli {

/// Turns two answers of panald's `stats` into what `top` shows. Pure but for what it remembers.
class TopView {
 public:
  /// `stats` as panald answered at `now_ns` (any steady clock); `names` from the store.
  /// A field that is absent or of the wrong type reads as 0.
  [[nodiscard]] nlohmann::json digest(const nlohmann::json& stats, std::uint64_t now_ns,
                                      const std::map<DesktopId, store::Desktop>& names);

 private:
  struct Sample {
    std::uint64_t cpu_ns = 0;
  };
  std::map<DesktopId, Sample> before_;
  std::uint64_t before_ns_ = 0;
};

/// The digest as a screen of text, at most `rows` desktops.
[[nodiscard]] std::string render_top(const nlohmann::json& digest, std::size_t rows);

}  // namespace panal::cli

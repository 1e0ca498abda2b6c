#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/redteam/site.h"

namespace panal::bench {

/// How a target fared, attack by attack in the order of all_attacks().
struct Assault {
  struct Outcome {
    std::string topic, name;
    unsigned signs = 0;      ///< of Sign; 0: it came to nothing
    unsigned by_design = 0;  ///< besides: of Sign, as an honest mate has them
  };
  std::string target, means;
  bool ours = false;
  std::vector<Outcome> outcomes;
  double seconds = 0;
  [[nodiscard]] std::size_t passed() const;
};

/// "the victim hears it, somebody answers".
[[nodiscard]] std::string to_string_of_signs(unsigned signs);

/// Builds the target and sends every attack, one at a time, looking after each for what it has
/// done; before and after each topic honest packets must arrive. The calling thread stays on one
/// core meanwhile. Errors: those of building; EIO when honest packets do not arrive.
[[nodiscard]] Result<Assault> assault(const Target& target);

/// Of all targets: attacks (those that some target that is not ours has let pass: the others prove
/// nothing), heard_nowhere (their names), and targets: name, means, ours, passed, seconds, by_topic
/// (attacks, passed, and by_design: those that did nothing but what an honest mate does), and, of
/// ours, which have passed.
[[nodiscard]] nlohmann::json redteam_report(const std::vector<Assault>& assaults);

/// All of it. A target that cannot be had here is an error.
[[nodiscard]] Result<nlohmann::json> run_redteam();
/// A report as a table of Markdown, for docs/network.md; "0 + 12": 12 by design.
[[nodiscard]] std::string redteam_table(const nlohmann::json& report);

}  // namespace panal::bench

#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace panal::bench {

/// What a command that measures in a lab is told: its own options, and what all such have.
template <typename Options>
struct Words {
  Options options;
  std::string json_file = {};  ///< see may_keep()
  std::string memory = {};     ///< LabNeeds::memory

  /// Adds what all have, last.
  void add_common(CLI::App& parser) {
    parser.add_option("--json", json_file, "where the result goes (not below /tmp)");
    parser.add_option("--memory", memory, "limit of the lab, e.g. 14G");
  }
};

}  // namespace panal::bench

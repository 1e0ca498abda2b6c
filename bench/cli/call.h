#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

/// What panal-bench exits with.
enum Exit { kPass = 0, kFail = 1, kNotMeasured = 2 };

/// A call of panal-bench, as main() has it.
struct Call {
  int argc = 0;
  char** argv = nullptr;

  /// Its words, for what says how it was measured.
  [[nodiscard]] std::string words() const;
};

/// $PANAL_SOURCE_DIR, else where this program was built from.
[[nodiscard]] std::string source_directory();

struct LabNeeds {
  std::string memory = {};  ///< as scripts/lab has it; empty: its default
  bool machine_settings = false;
  bool many_tasks = false;
};
/// Outside of a lab: becomes `scripts/lab ... this call`. Returns only inside of one; ends the
/// process where there can be none.
void enter_lab(const Call& call, const LabNeeds& needs);

/// Says why on stderr. kNotMeasured.
[[nodiscard]] int not_measured(const Error& error);
/// kPass, or not_measured().
[[nodiscard]] int told(const Result<void>& done);

/// Where a result is to go that a lab makes; empty: nowhere. Errors: code 0 with a sentence, as
/// check_result_file() has it.
[[nodiscard]] Result<void> may_keep(const std::string& file);
/// Writes a result there. Errors: those of write_file().
[[nodiscard]] Result<void> keep_result(const nlohmann::json& result, const std::string& file);
/// Notes in the result of `run` which `code` was measured, and how; prints it by `table` and keeps
/// it in `file`. An exit code.
[[nodiscard]] int run_and_keep(const Call& call, const std::vector<std::string>& code,
                               const std::function<Result<nlohmann::json>()>& run,
                               std::string (*table)(const nlohmann::json&),
                               const std::string& file);

}  // namespace panal::bench

#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "runtime/cli/shell.h"
#include "storage/image/trial_record.h"

namespace panal::cli {

/// Of which version the talk is.
struct TriedVersion {
  std::string image, version;
  std::string commit;  ///< a trial of another commit does not count; empty: it has none
};

/// What this node knows of a version's trial start.
struct TrialVerdict {
  bool good = false;
  bool failed = false;  ///< it was tried, and did not start as it should
  std::string why;      ///< why it is not good, to be put behind a colon; empty: it is
  std::optional<storage::TrialRecord> record;  ///< of a trial of this commit
  std::string picture;                         ///< its file; empty: there is none
};

/// The last trial of the version on this node.
[[nodiscard]] TrialVerdict last_trial(const config::Config& config, const TriedVersion& version);
/// Has panald try it, whatever is known. `show`: tells on shell.out what is done.
[[nodiscard]] TrialVerdict try_version(Shell& shell, const TriedVersion& version, bool show);
/// Tries it unless the last trial was good.
[[nodiscard]] TrialVerdict ensure_trial(Shell& shell, const TriedVersion& version, bool show);

/// "good on 2026-11-27T04:00:00Z, 3 windows after 3.4 s"; of another one why it is not.
[[nodiscard]] std::string describe(const TrialVerdict& verdict);
/// "; its picture is FILE", or why there is none, or nothing.
[[nodiscard]] std::string picture_words(const TrialVerdict& verdict);
[[nodiscard]] nlohmann::json trial_json(const TrialVerdict& verdict);

/// `panal image trial`.
void add_image_trial_command(CLI::App& family, Action& action);

}  // namespace panal::cli

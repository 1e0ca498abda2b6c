#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace panal::storage {

/// How a version's last trial start on this node went. Kept beside its tree and manifest as
/// trial.json and trial.png, which go with the version: other nodes try it themselves.
struct TrialRecord {
  std::string commit;  ///< of the version, when it was tried; empty: it had none
  std::int64_t began_unix_s = 0;
  std::int64_t took_ms = 0;
  bool good = false;
  std::string reason;         ///< why it is not good, a sentence; empty: it is
  std::uint32_t windows = 0;  ///< that people could see, by the agent's word
  bool pictured = false;      ///< there is a picture
};

/// trial.json's text, and back. Errors: EPROTO that names `file`.
[[nodiscard]] std::string print_trial(const TrialRecord& record);
[[nodiscard]] Result<TrialRecord> parse_trial(std::string_view text, const std::string& file);

/// Where the picture of a version's trial is, if there is one.
[[nodiscard]] std::string trial_picture(const std::string& images_dir, const std::string& image,
                                        const std::string& version);
/// None: it was not tried here. Errors: EINVAL for names that are none, EPROTO, EACCES.
[[nodiscard]] Result<std::optional<TrialRecord>> read_trial(const std::string& images_dir,
                                                            const std::string& image,
                                                            const std::string& version);
/// Takes the place of what was known before. `png`: empty where none was taken.
/// Errors: ENOENT when the version is gone, ENOSPC.
[[nodiscard]] Result<void> write_trial(const std::string& images_dir, const std::string& image,
                                       const std::string& version, const TrialRecord& record,
                                       const std::string& png);

}  // namespace panal::storage

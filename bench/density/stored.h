#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/density/figure.h"
#include "engine/base/result.h"

namespace panal::bench {

/// Git's names for the contents of some paths of the source tree.
using Trees = std::map<std::string, std::string>;

/// Where and when something was measured.
struct Provenance {
  std::string date;  ///< UTC, ISO 8601
  std::string machine;
  std::string kernel;
  std::string commit;
  bool uncommitted = false;  ///< the measured code differed from the commit
  double load_before = 0;    ///< one-minute load average before the run began
  std::string command;
  Trees trees;
};

/// One figure's last measured value.
struct Stored {
  std::string name;
  double value = 0;
  Provenance provenance;
  std::string details;  ///< JSON object: what the value was made of
};

/// A machine on which more than this waited for the CPUs was not quiet.
inline constexpr double kQuietLoad = 1.0;

[[nodiscard]] nlohmann::json to_json(const Provenance& provenance);
/// The text of a file of bench/results.
[[nodiscard]] std::string print_stored(const Figure& figure, const Stored& stored);
/// Errors: EPROTO with `file` and what is wrong.
[[nodiscard]] Result<Stored> parse_stored(const std::string& text, const std::string& file);

/// The same with the trees of these paths alone, and whether they were uncommitted.
[[nodiscard]] Provenance of_code(Provenance provenance, const std::vector<std::string>& paths);

/// The paths whose contents are not what was measured.
[[nodiscard]] std::vector<std::string> changed_since(const Stored& stored, const Trees& now);

/// The same of this figure's code alone, of a tree of which `now` names more.
[[nodiscard]] std::vector<std::string> changed_code(const Figure& figure, const Stored& stored,
                                                    const Trees& now);

/// The paths' tree names at HEAD of the repository at `source`; a path with uncommitted changes has
/// "uncommitted" appended. Errors: those of running git.
[[nodiscard]] Result<Trees> current_trees(const std::string& source,
                                          const std::vector<std::string>& paths);
/// Adds to `stored` those of `paths` that are part of a path it has noted, as they were in its
/// commit: a figure may come to ask for less than it did when it was measured.
void note_parts(const std::string& source, const std::vector<std::string>& paths, Stored& stored);
[[nodiscard]] Result<Provenance> provenance_now(const std::string& source,
                                                const std::vector<std::string>& paths,
                                                const std::string& command);

/// bench/results/NAME.json below `source`. Errors: ENOENT when nothing is stored; EPROTO.
[[nodiscard]] Result<Stored> load_stored(const std::string& source, const std::string& name);
[[nodiscard]] Result<void> save_stored(const std::string& source, const Figure& figure,
                                       const Stored& stored);
/// Before hours of measuring: whether what comes of it can be written to that file from within a
/// lab; an empty name is none. Errors, whole sentences: EINVAL for one below the host's /tmp, which
/// a lab does not see; of its directory.
[[nodiscard]] Result<void> check_result_file(const std::string& file);
/// Writes a file by temporary name and rename.
[[nodiscard]] Result<void> write_file(const std::string& path, const std::string& text);

}  // namespace panal::bench

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "runtime/config/config.h"
#include "runtime/desktop/desktop.h"

namespace panal::desktop {

/// Where the parts of one desktop are.
struct Places {
  std::string run;    ///< config.desktop_run_dir(): vanishes with the desktop
  std::string root;   ///< composed root
  std::string home;   ///< mounted home
  std::string host;   ///< shared tmpfs
  std::string saved;  ///< print_saved()'s text
  std::string state;  ///< config.desktop_state_dir(): stays
  std::string upper;
  std::string log;
};

[[nodiscard]] Places places_of(const config::Config& config, DesktopId id);
/// Makes the directories. Those on the way to what is mounted inside are searchable by all: the
/// container's root, an ordinary user of the host, walks there. Logs are root's alone.
[[nodiscard]] Result<void> make_places(const config::Config& config, const Places& places);
/// Removes the run directory; mount points must be empty: a directory that still has content is
/// an error (EBUSY, ENOTEMPTY), never deleted recursively, as a user's home may be in it.
[[nodiscard]] Result<void> remove_run_dir(const Places& places);
/// "d7" -> 7; nothing for other names.
[[nodiscard]] std::optional<DesktopId> parse_kernel_name(std::string_view name);
/// Desktops that have a run directory.
[[nodiscard]] Result<std::vector<DesktopId>> ids_with_run_dir(const config::Config& config);

}  // namespace panal::desktop

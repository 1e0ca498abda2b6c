#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "runtime/desktop/backend.h"
#include "runtime/desktop/guest_files.h"

namespace panal::desktop::lxc {

/// What a container's configuration is rendered from besides its spec.
struct ConfigSite {
  std::string agent_program;     ///< the static panal-agent on the host; becomes init
  std::string cgroup_parent;     ///< path below each hierarchy's root, without slashes at its ends
  std::string seccomp_profile;   ///< file with render_seccomp_list()'s text
  std::string empty_dir;         ///< stands over what is masked; one for all desktops, so that a
                                 ///< mask costs no file system of its own
  std::string apparmor_profile;  ///< apparmor_profile(); empty: AppArmor is off
  std::vector<GuestFile> guest_files = {};  ///< in spec.run_dir; their texts are not looked at
};

/// Names of the logs in ContainerSpec::log_dir.
inline constexpr const char* kLxcLog = "lxc.log";
inline constexpr const char* kConsoleLog = "console.log";

/// Ours: panal-desktop.apparmor, installed as /etc/apparmor.d/panal-desktop.
inline constexpr const char* kAppArmorProfile = "panal-desktop";

/// What lxc.apparmor.profile is to say: nothing where AppArmor is off; ours where it is loaded;
/// else "unconfined", in words: liblxc's own default is a profile that need not be loaded, and
/// without it no container starts.
[[nodiscard]] std::string apparmor_profile(const Tree& tree);

/// Where the container monitor's own group is: outside the desktop's, so that killing, freezing and
/// limiting a desktop does not touch it. "<parent>-monitor".
[[nodiscard]] std::string monitor_parent(std::string_view cgroup_parent);

/// A desktop's user-chosen name as a host name: [a-z0-9-], at most 63 characters, never empty.
[[nodiscard]] std::string host_name(std::string_view name, DesktopId id);

/// Directories of the root, without the slash before them, that something is mounted on because of
/// the desktop's guest settings.
[[nodiscard]] std::vector<std::string_view> scratch_targets(const DesktopSpec& desktop);

/// The liblxc configuration (lxc.container.conf(5)). It has no lxc.namespace.share.user: the
/// spawner adds the user namespace it has made. Both cgroup versions' keys are there: liblxc
/// ignores those of the version that is not in use. Errors: EINVAL for a value that would change
/// the file's meaning.
[[nodiscard]] Result<std::string> render_config(const ContainerSpec& spec, const ConfigSite& site);

}  // namespace panal::desktop::lxc

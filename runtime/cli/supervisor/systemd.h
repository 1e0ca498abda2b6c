#pragma once

#include <string>

#include "engine/base/result.h"

namespace panal::supervisor {

/// Where systemd is met; tests have places of their own.
struct SystemdSite {
  std::string booted = "/run/systemd/system";  ///< there when systemd is init (sd_booted(3))
  std::string systemctl = "/usr/bin/systemctl";
  std::string units;  ///< unit files to link where none are installed; default: those of the build
};

/// Whether systemd is to keep the node: it is init, and the configuration is the one its unit
/// reads. `config_file` may be empty; a node for trials, with a file of its own, is its caller's.
[[nodiscard]] bool systemd_keeps(const std::string& config_file, const SystemdSite& site = {});

/// Starts panal.service. Where no such unit is installed, those of the build directory are linked
/// until the next boot. Errors: EPROTO with systemctl's words; ENOENT.
[[nodiscard]] Result<void> start_unit(const SystemdSite& site = {});

}  // namespace panal::supervisor

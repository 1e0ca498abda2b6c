#pragma once

#include <string>

namespace panal::tuning {

/// Whether this is a lab (scripts/lab), whose records of the machine's settings go with it.
[[nodiscard]] bool in_lab();
/// Whether this lab may change what is the machine's, as it puts that back in the end.
[[nodiscard]] bool lab_may_change_machine();

/// Where former values of the machine's settings are kept: profile::kMachineStateDir, or the lab's
/// own directory.
[[nodiscard]] std::string machine_state_dir();

}  // namespace panal::tuning

#pragma once

#include <string>

#include "runtime/cli/doctor.h"
#include "runtime/cli/shell.h"

namespace panal::cli {

/// Puts KSM's former settings back where a panald that is gone has left its own, of whatever node
/// of this machine; those of one that lives are left alone. False: they could not be put back,
/// which was told.
[[nodiscard]] bool put_ksm_back(Shell& shell);

/// The same for --dry-run: a line with its newline, empty where nothing would be done.
[[nodiscard]] std::string put_ksm_back_plan(Shell& shell);

/// For doctor: whether ksmd goes on at the pace of a panald that is gone. `machine_state_dir`:
/// where its record lies.
[[nodiscard]] Check check_ksm(const Tree& tree, const std::string& machine_state_dir);

}  // namespace panal::cli

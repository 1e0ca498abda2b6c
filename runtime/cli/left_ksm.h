#pragma once

#include <map>
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

/// What the settings that a governor turns (optimiser::kGovernedSettings) were before it, by name
/// and in the kernel's words; empty: nobody turns them. Also of a governor that is gone: what it
/// left is put back before a profile is applied. A record that is damaged or of an earlier boot is
/// none.
[[nodiscard]] std::map<std::string, std::string> ksm_before_governor(
    const Tree& tree, const std::string& machine_state_dir);

/// For doctor: whether ksmd goes on at the pace of a panald that is gone. `machine_state_dir`:
/// where its record lies.
[[nodiscard]] Check check_ksm(const Tree& tree, const std::string& machine_state_dir);

}  // namespace panal::cli

#include "runtime/tuning/machine_state.h"

#include <unistd.h>

#include <cstdlib>

#include "engine/profile/saved.h"

namespace panal::tuning {
namespace {

/// scripts/lab makes it, in a /run of the lab's own.
constexpr const char* kLabDir = "/run/panal-lab";

}  // namespace

bool in_lab() { return std::getenv("PANAL_LAB") != nullptr || ::access(kLabDir, F_OK) == 0; }

bool lab_may_change_machine() {
  return ::access((std::string(kLabDir) + "/machine-settings").c_str(), F_OK) == 0;
}

std::string machine_state_dir() {
  return in_lab() ? std::string(kLabDir) + "/machine" : profile::kMachineStateDir;
}

}  // namespace panal::tuning

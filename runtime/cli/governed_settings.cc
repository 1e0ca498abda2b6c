#include <unistd.h>

#include <fstream>
#include <iterator>

#include "runtime/cli/node_state.h"
#include "runtime/cli/supervisor/services.h"
#include "runtime/cli/tuning_state.h"
#include "runtime/optimiser/ksm_keeper.h"

namespace panal::cli {
namespace {

/// The record that panald makes before it turns anything, and removes once all is put back. A
/// living panald leaves none of an earlier boot there, and governs nothing beside a damaged one.
bool has_record(const std::string& path) {
  std::ifstream file(path);
  // Only root may read it: to others it must do that it is there.
  if (!file) return ::access(path.c_str(), F_OK) == 0;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return optimiser::parse_saved_ksm(text).has_value();
}

}  // namespace

std::vector<std::string> governed_settings(const config::Config& config) {
  if (!has_record(config.state_dir + "/ksm.former") ||
      !service_process(config, supervisor::kPanald))
    return {};
  return {optimiser::kGovernedSettings.begin(), optimiser::kGovernedSettings.end()};
}

}  // namespace panal::cli

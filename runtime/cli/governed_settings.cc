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
  if (!file) return false;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return optimiser::parse_saved_ksm(text).has_value();
}

}  // namespace

std::vector<std::string> governed_settings(const config::Config& config,
                                           const std::string& machine_state_dir) {
  const std::string record = optimiser::ksm_record_file(machine_state_dir);
  if (!has_record(record)) return {};
  const auto governed = optimiser::ksm_is_governed(record);
  if (governed ? !*governed : !service_process(config, supervisor::kPanald)) return {};
  return {optimiser::kGovernedSettings.begin(), optimiser::kGovernedSettings.end()};
}

}  // namespace panal::cli

#include <nlohmann/json.hpp>

#include "bench/density/measure.h"
#include "bench/redteam/redteam.h"

namespace panal::bench {

using nlohmann::json;

Result<Measured> measure_attacks(const std::string& figure) {
  PANAL_ASSIGN(const json report, run_redteam());
  json details = {{"heard_nowhere", report["heard_nowhere"].size()}, {"all", report}};
  double passed = 0;
  for (const json& target : report["targets"]) {
    details["passed_" + target["name"].get<std::string>()] = target["passed"];
    if (target["ours"].get<bool>()) passed += target["passed"].get<double>();
  }
  return of_one_run(
      figure, {{"net.attacks", report["attacks"].get<double>()}, {"net.attacks_passed", passed}},
      details.dump());
}

}  // namespace panal::bench

#include "bench/density/density.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "bench/density/say.h"
#include "bench/density/scenario.h"
#include "bench/density/stopwatch.h"

namespace panal::bench {

using nlohmann::json;

Result<json> run_density(const DensityOptions& options) {
  say("panal up");
  PANAL_ASSIGN(auto node, BenchNode::up({.prewarm = options.prewarm,
                                         .parallel_starts = options.parallel_starts,
                                         .profile = options.profile}));
  auto result = run_scenario(node, options);
  if (!result) say("{}", result.error().message());
  const auto begin = Clock::now();
  const auto down = node.down();
  if (!result) return result;
  if (!down) return prefixed("afterwards", down.error());
  (*result)["down_seconds"] = seconds_since(begin);
  return result;
}

Result<void> check_sound(const json& result, bool all) {
  std::string wrong;
  const json failures = result.value("failures", json::array());
  if (!failures.empty())
    wrong = failures.front().get<std::string>();
  else if (all && result.at("up") < result.at("count"))
    wrong = fmt::format("only {} of {} desktops are up: {}", result["up"].dump(),
                        result["count"].dump(), result.value("ended", ""));
  if (wrong.empty()) return {};
  say("what was seen all the same: {}", result.dump());
  return fail(EPROTO, wrong);
}

}  // namespace panal::bench

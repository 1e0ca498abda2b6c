#include "bench/density/density.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "bench/density/say.h"
#include "bench/density/scenario.h"
#include "bench/density/stopwatch.h"

namespace panal::bench {

using nlohmann::json;

namespace {

constexpr std::string_view kStock = "stock";
constexpr std::string_view kStockEnding = "-stock";

}  // namespace

void choose(DensityOptions& options, const std::string& image, const std::string& profile) {
  options.image = image;
  options.profile = profile == kStock ? "off" : profile;
  if (profile == kStock && !image.ends_with(kStockEnding)) options.image += kStockEnding;
  if (options.image.ends_with(kStockEnding)) options.must_answer = false;
}

const Figure* figure_like(const DensityOptions& options) {
  std::string image = options.image;
  std::string_view arm = options.profile == "off" ? "off" : "dense";
  if (image.ends_with(kStockEnding)) {
    image.resize(image.size() - kStockEnding.size());
    if (options.profile == "off") arm = kStock;
  }
  return find_figure(fmt::format("density.{}.{}.marginal_mib", image, arm));
}

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

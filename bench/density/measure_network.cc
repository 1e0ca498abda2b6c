#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/density/measure.h"
#include "bench/network/network.h"

namespace panal::bench {

using nlohmann::json;

namespace {

/// The named arm of a part; it must have been measured.
Result<json> network_arm(const json& result, const std::string& part, const std::string& arm) {
  const json& one = result["parts"][part][arm];
  if (one.contains("skipped")) return fail(ENODEV, arm + ": " + one["skipped"].get<std::string>());
  return one;
}

/// The largest of a value over the arms that were measured; there must be one.
Result<double> most_of_arms(const json& part, const char* key) {
  double most = -1;
  for (const auto& [arm, one] : part.items())
    if (one.contains(key)) most = std::max(most, one[key].get<double>());
  if (most >= 0) return most;
  return fail(ENODEV, "neither nftables nor iptables is to be had here");
}

Result<Measured> measured_flatness() {
  NetworkOptions options;
  options.parts = {"cost"};
  PANAL_ASSIGN(const json result, run_network(options));
  PANAL_ASSIGN(const json nft, network_arm(result, "cost", "nftables"));
  json details = {{"pairs", options.rounds}};
  for (const auto& [arm, one] : result["parts"]["cost"].items()) {
    if (one.contains("skipped")) {
      details[arm] = one["skipped"];
      continue;
    }
    for (const auto& [way, ratio] : one["flatness"].items())
      details[arm + " " + way] = ratio["median"];
    for (const json& node : one["nodes"])
      details[arm + " " + node["desktops"].dump() + " out ns"] =
          node["ways"]["out"]["cpu_ns"]["p50"];
  }
  details["all"] = result;
  return Measured{worst_flatness(nft), details.dump()};
}

Result<Measured> measured_changes(const std::string& figure) {
  NetworkOptions options;
  options.parts = {"changes"};
  PANAL_ASSIGN(const json result, run_network(options));
  PANAL_ASSIGN(const json nft, network_arm(result, "changes", "nftables"));
  const auto worse = [&](const char* one, const char* other) {
    return std::max(nft[one]["p50"].get<double>(), nft[other]["p50"].get<double>());
  };
  json details = {{"cycles", nft["add_ms"]["count"]}, {"lots of 400", nft["add_400_ms"]["count"]}};
  for (const auto& [arm, one] : result["parts"]["changes"].items()) {
    if (one.contains("skipped")) continue;
    for (const char* key : {"add_ms", "remove_ms", "add_400_ms", "remove_400_ms"}) {
      if (!one.contains(key)) continue;
      details[arm + " " + key + " p50"] = one[key]["p50"];
      details[arm + " " + key + " p99"] = one[key]["p99"];
    }
  }
  details["all"] = result;
  return of_one_run(figure,
                    {{"net.add_p50_ms_1000", worse("add_ms", "remove_ms")},
                     {"net.add_400_ms", worse("add_400_ms", "remove_400_ms")}},
                    details.dump());
}

Result<Measured> measured_swap() {
  NetworkOptions options;
  options.parts = {"swap"};
  PANAL_ASSIGN(const json result, run_network(options));
  json details = {{"swaps", options.swaps}, {"all", result}};
  std::uint64_t lost = 0;
  for (const auto& [arm, one] : result["parts"]["swap"].items()) {
    if (one.contains("skipped")) continue;
    if (one["leaked"] != 0)
      return fail(EPROTO, arm + " has let " + one["leaked"].dump() + " forbidden packets through");
    lost += one["lost"].get<std::uint64_t>();
    for (const char* key : {"sent", "lost"}) details[arm + " " + key] = one[key];
    details[arm + " swap p50 ms"] = one["swap_ms"]["p50"];
  }
  PANAL_ASSIGN(const double any, most_of_arms(result["parts"]["swap"], "sent"));
  (void)any;
  return Measured{static_cast<double>(lost), details.dump()};
}

Result<Measured> measured_repair() {
  NetworkOptions options;
  options.parts = {"repair"};
  PANAL_ASSIGN(const json result, run_network(options));
  PANAL_ASSIGN(const double longest, most_of_arms(result["parts"]["repair"], "longest_seconds"));
  json details = {{"repairs of each kind", options.repairs}, {"all", result}};
  for (const auto& [arm, one] : result["parts"]["repair"].items()) {
    if (one.contains("skipped")) continue;
    for (const auto& [kind, spread] : one["seconds"].items())
      details[arm + " " + kind] = spread["most"];
  }
  return Measured{longest, details.dump()};
}

}  // namespace

Result<Measured> measure_network(const std::string& figure) {
  if (figure == "net.flatness_1000") return measured_flatness();
  if (figure == "net.swap_lost") return measured_swap();
  if (figure == "net.repair_seconds") return measured_repair();
  return measured_changes(figure);
}

}  // namespace panal::bench

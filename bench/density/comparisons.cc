#include "bench/density/comparisons.h"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/density/stored.h"

namespace panal::bench {
namespace {

using nlohmann::json;

Result<void> keep(const json& result, const std::string& file) {
  if (file.empty()) return {};
  return write_file(file, result.dump(2) + "\n");
}

}  // namespace

Result<void> compare_ksm(const KsmOptions& options, const std::string& file) {
  PANAL_ASSIGN(const json result, run_ksm(options));
  for (const auto& [key, value] : result.items())
    if (!value.is_structured()) std::cout << key << ": " << value.dump() << '\n';
  return keep(result, file);
}

Result<void> compare_reconnects(const ReconnectOptions& options, const std::string& file) {
  PANAL_ASSIGN(const json result, run_reconnect(options));
  for (const auto& [treatment, times] : result["first_picture_ms"].items())
    fmt::print("{:9} first picture p50 {:.0f} ms, p99 {:.0f} ms, {} tries\n", treatment,
               times["p50"].get<double>(), times["p99"].get<double>(),
               times["tries"].get<std::size_t>());
  for (const auto& round : result["resident"]) std::cout << "resident " << round.dump() << '\n';
  return keep(result, file);
}

Result<void> compare_effects(const EffectsOptions& options, const std::string& file) {
  PANAL_ASSIGN(const json result, run_effects(options));
  fmt::print("{:12} {:>9} {:>9} {:>9} {:>9} {:>9}  saved by each desktop\n", "setting", "own MiB",
             "CPU ppm", "KiB out", "start ms", "start KiB");
  for (const auto& [name, one] : result["effects"].items())
    fmt::print("{:12} {:9.1f} {:9.0f} {:9.0f} {:9.0f} {:9.0f}  {}\n", name,
               one["own_mib"]["median"].get<double>(), one["cpu_ppm"]["median"].get<double>(),
               one["written_kib"]["median"].get<double>(),
               one["start_cpu_ms"]["median"].get<double>(),
               one["start_written_kib"]["median"].get<double>(), one["what"].get<std::string>());
  return keep(result, file);
}

Result<void> compare_takers(const TakersOptions& options, const std::string& file) {
  PANAL_ASSIGN(const json result, run_takers(options));
  std::cout << takers_table(result) << "merge_first: " << result["merge_first"].dump() << '\n';
  return keep(result, file);
}

}  // namespace panal::bench

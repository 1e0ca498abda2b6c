#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/policy/ksm_trace.h"
#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {

using nlohmann::json;

namespace {

std::string word(SessionClass session) { return std::string(to_string(session)); }

}  // namespace

json Optimiser::report() const {
  const MonotonicNs now_ns = monotonic_ns();
  const std::lock_guard lock(mutex_);
  const bool governed = settings_.governs_ksm() && !ksm_taken_over_;
  json ksm = {{"governed", governed}, {"taken_over", ksm_taken_over_}};
  if (const auto& domain = places_.holder()) {
    ksm["domain"] = domain->tenant + "/" + domain->trust;
    ksm["draining"] = places_.draining();
  }
  if (!totals_.enlist_refused.empty()) ksm["not_merged"] = totals_.enlist_refused;
  if (host_.ksm) {
    if (!ksm_taken_over_) {
      ksm["phase"] = to_string(ksm_decision_.phase);
      ksm["pages_to_scan"] = ksm_decision_.pages_to_scan;
      ksm["sleep_ms"] = ksm_decision_.sleep_ms;
    }
    ksm["profit_bytes"] = host_.ksm->general_profit_bytes;
    ksm["pages_sharing"] = host_.ksm->pages_sharing;
    ksm["full_scans"] = host_.ksm->full_scans_total;
    ksm["cow_total"] = host_.vm.cow_ksm;
    if (host_.ksm->ksmd_cpu_ns) ksm["ksmd_cpu_ns"] = *host_.ksm->ksmd_cpu_ns;
  }
  if (governed && host_.at_ns > 0 && ksm_sample_.at_ns == host_.at_ns) {
    // A row of a trace: `panal-bench ksm --trace` writes them down.
    json row = json::array();
    for (const auto& value : policy::ksm_trace_row(host_, ksm_sample_, ksm_decision_))
      row.push_back(value ? json(*value) : json(nullptr));
    ksm["trace_row"] = std::move(row);
  }
  json desktops = json::object();
  std::map<std::string, std::size_t> classes;
  for (const auto& [id, desk] : desks_) {
    json one = {{"class", word(desk->last.session)},
                {"enlisted", desk->enlisted},
                {"frozen", desk->frozen},
                {"watched", desk->watching.now(now_ns)},
                {"taken_bytes", desk->taken_bytes},
                {"verdict", to_string(desk->verdict.reason)}};
    if (desk->io.last())
      one.update({{"read_bytes", desk->io.last()->read_bytes},
                  {"written_bytes", desk->io.last()->written_bytes},
                  {"read_bytes_per_second", std::llround(desk->io.read_bytes_per_second())},
                  {"written_bytes_per_second", std::llround(desk->io.written_bytes_per_second())}});
    if (!desk->limits_wait.empty()) one["limits"] = desk->limits_wait;
    if (!desk->limits_refused.empty()) one["limits_refused"] = desk->limits_refused;
    desktops[std::to_string(id)] = std::move(one);
    ++classes[word(desk->last.session)];
  }
  const kernel::CgroupMount* memory = parts_.cgroups.layout().with("memory");
  return {{"ksm", std::move(ksm)},
          {"zram",
           {{"original_bytes", host_.zram.original},
            {"used_bytes", host_.zram.used},
            {"limit_bytes", host_.zram.limit}}},
          {"zswap",
           {{"original_bytes", host_.memory.zswap_original},
            {"used_bytes", host_.memory.zswap_pool},
            {"charged_to_groups", memory != nullptr && memory->version == 2},
            {"swapped_bytes", host_.memory.swap_total - host_.memory.swap_free}}},
          {"shaver",
           {{"on", settings_.shave},
            {"by", taker_->name()},
            {"by_why", taker_->why()},
            {"takes", totals_.takes},
            {"asked_bytes", totals_.asked_bytes},
            {"taken_bytes", totals_.taken_bytes},
            {"cpu_ns", totals_.take_cpu_ns},
            {"cooled", totals_.cools},
            {"cool_cpu_ns", totals_.cool_cpu_ns},
            {"drops", totals_.drops},
            {"dropped_bytes", totals_.dropped_bytes},
            {"drop_cpu_ns", totals_.drop_cpu_ns},
            {"monitors", totals_.monitors},
            {"monitor_bytes", totals_.monitor_bytes},
            {"freezes", totals_.freezes},
            {"thaws", totals_.thaws},
            {"verdicts", totals_.verdicts}}},
          {"wakes",
           {{"count", totals_.wakes},
            {"fetched_bytes", totals_.fetched_bytes},
            {"cpu_ns", totals_.fetch_cpu_ns},
            {"by_ranges", totals_.wakes_by_ranges},
            {"waited_ns", totals_.waited_ns},
            {"records", totals_.records},
            {"record_cpu_ns", totals_.record_cpu_ns},
            {"hot_bytes", totals_.hot_bytes},
            {"hot_ranges", totals_.hot_ranges}}},
          {"looks", {{"count", totals_.looks}, {"cpu_ns", totals_.look_cpu_ns}}},
          {"errors", totals_.errors},
          {"classes", classes},
          {"desktops", std::move(desktops)}};
}

}  // namespace panal::optimiser

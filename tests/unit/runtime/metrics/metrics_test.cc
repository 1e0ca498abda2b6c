#include "runtime/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/metrics_text.h"

namespace panal::metrics {
namespace {

using optimiser::index_of;
using test::MetricsText;
using test::read_metrics;
using testing::HasSubstr;
using testing::IsEmpty;

/// A node that has everything a kernel can have, so that no family is missing.
NodeFigures everything() {
  NodeFigures figures;
  figures.node = "n1";
  figures.version = "0.1";
  figures.cpu_ns = 2'500'000'000;
  figures.states = {{"running", 3}, {"failed", 1}};
  figures.tenants = {{"school", 2}, {"a \"b\"\\\n", 1}};
  figures.desktops.emplace();
  figures.desktops->usage_bytes = 5 << 20;
  figures.starts.let_through = 4;
  figures.starts.made_to_wait["window"] = 2;
  figures.starts.refused["memory"] = 1;
  figures.starts.took.add(std::chrono::milliseconds(80));
  figures.room = {{"memory", "MiB", policy::ResourceKind::kMemory, 10, 100, 5, {}},
                  {"open files", "", policy::ResourceKind::kKernelObjects, 0, 1'000, 0, {}},
                  {"terminals", "", policy::ResourceKind::kKernelObjects, 5, 5, 0, {}, "why"}};
  figures.room[0].cost.each = 5;
  figures.room[0].cost.measured = true;
  figures.room[1].cost.each = figures.room[2].cost.each = 40;
  optimiser::Figures& all = figures.optimiser;
  all.desktops[index_of(SessionClass::kIdle)] = 2;
  all.governs_ksm = true;
  all.ksm = {true, 1000, 20, KsmPhase::kBurst};
  all.host.at_ns = 1;
  all.host.memory.total = std::uint64_t{24} << 30;
  all.host.pressure.cpu.emplace();
  all.host.pressure.memory.emplace();
  all.host.pressure.memory->some.avg10_percent = 12.5;
  all.host.pressure.memory->full.emplace();
  all.host.pressure.memory->full->total_us = 1'500'000;
  all.host.ksm.emplace();
  all.host.ksm->general_profit_bytes = -4096;
  all.host.ksm->ksmd_cpu_ns = 7'000'000'000;
  all.domain_held = all.domain_drains = true;
  all.programs.left_out = 3;
  all.tally.takes = 9;
  all.tally.verdicts["at_floor"] = 6;
  all.zram_written_back_bytes = 8192;
  all.host.memory.zswap_original = 4096;
  all.host.memory.swap_total = 16384;
  all.host.memory.swap_free = 4096;
  all.tally.io_written_bytes = 4096;
  all.tally.io_writes = 2;
  all.tally.errors_by_step["take"] = 1;
  all.tally.errors_by_step["a_new_one"] = 2;
  all.tally.class_changes[index_of(SessionClass::kActive)][index_of(SessionClass::kIdle)] = 5;
  figures.resort.looks = 5;
  figures.resort.danger = policy::Danger::kTight;
  figures.resort.closed = true;
  figures.resort.steps["freeze"] = 2;
  figures.resort.killed_processes = 3;
  figures.resort.fences = 4;
  figures.network.drops["denied"] = 4;
  figures.network.audits["repaired"] = 1;
  figures.warm.hot_bytes = 8192;
  figures.warm.runs["touch"] = 2;
  for (const int ms : {1, 40, 90, 90, 70'000}) all.tally.waking.add(std::chrono::milliseconds(ms));
  return figures;
}

MetricsText good(const NodeFigures& figures) {
  MetricsText read = read_metrics(text(figures));
  EXPECT_EQ(read.error, "") << text(figures);
  return read;
}

/// What a name must end in: base units, or the things that are counted.
const std::regex kName(
    "panal_[a-z]+(_[a-z]+)*_(seconds|bytes|pages|ratio|desktops|programs|state|info|pages_per_"
    "second|"
    "total)");

TEST(Metrics, EveryFamilyIsNamedByAreaThingAndUnit) {
  const MetricsText read = good(everything());
  for (const auto& [name, family] : read.families) {
    EXPECT_TRUE(std::regex_match(name, kName)) << name;
    EXPECT_EQ(name.ends_with("_total"), family.type == "counter") << name;
    EXPECT_FALSE(family.samples.empty()) << name;
    EXPECT_TRUE(family.help.ends_with(".")) << name << ": " << family.help;
    EXPECT_TRUE(family.type != "histogram" || name.ends_with("_seconds")) << name;
  }
}

TEST(Metrics, ValuesAreInBaseUnits) {
  const MetricsText read = good(everything());
  EXPECT_EQ(read.value("panal_node_cpu_seconds_total"), 2.5);
  EXPECT_EQ(read.value("panal_node_desktops", {{"state", "running"}}), 3);
  EXPECT_EQ(read.value("panal_node_desktops", {{"state", "stopping"}}), 0);
  EXPECT_EQ(read.value("panal_node_tenant_desktops", {{"tenant", "a \"b\"\\\n"}}), 1);
  EXPECT_EQ(read.value("panal_memory_size_bytes"), 25769803776.0);
  EXPECT_EQ(read.value("panal_pressure_waited_ratio", {{"resource", "memory"}, {"tasks", "some"}}),
            0.125);
  EXPECT_EQ(read.value("panal_pressure_waited_seconds_total",
                       {{"resource", "memory"}, {"tasks", "full"}}),
            1.5);
  EXPECT_EQ(read.value("panal_ksm_profit_bytes"), -4096);
  EXPECT_EQ(read.value("panal_ksm_cpu_seconds_total"), 7);
  EXPECT_EQ(read.value("panal_ksm_setting_pages_per_second"), 50'000);
  EXPECT_EQ(read.value("panal_ksm_governor_state", {{"phase", "burst"}}), 1);
  EXPECT_EQ(read.value("panal_ksm_governor_state", {{"phase", "off"}}), 0);
  EXPECT_EQ(read.value("panal_ksm_domain_state", {{"state", "draining"}}), 1);
  EXPECT_EQ(read.value("panal_ksm_domain_state", {{"state", "held"}}), 0);
  EXPECT_EQ(read.value("panal_ksm_left_out_programs"), 3);
  EXPECT_EQ(read.value("panal_ksm_taken_over_state"), 0);
  EXPECT_EQ(read.value("panal_class_changes_total", {{"from", "active"}, {"to", "idle"}}), 5);
  EXPECT_EQ(
      read.value("panal_starts_room_desktops", {{"by", "measurement"}, {"resource", "memory"}}),
      17);
  EXPECT_EQ(read.value("panal_zram_written_back_bytes_total"), 8192);
  EXPECT_EQ(read.value("panal_zswap_original_bytes"), 4096);
  EXPECT_EQ(read.value("panal_swap_used_bytes"), 12288);
  EXPECT_EQ(read.value("panal_io_read_bytes_total"), 0);
  EXPECT_EQ(read.value("panal_io_written_bytes_total"), 4096);
  EXPECT_EQ(read.value("panal_io_operations_total", {{"operation", "write"}}), 2);
  EXPECT_EQ(read.value("panal_warm_hot_bytes"), 8192);
  EXPECT_EQ(read.value("panal_net_dropped_packets_total", {{"reason", "denied"}}), 4);
  EXPECT_EQ(read.value("panal_net_audits_total", {{"outcome", "repaired"}}), 1);
  EXPECT_EQ(read.value("panal_net_audits_total", {{"outcome", "cut_off"}}), 0);
  EXPECT_EQ(read.value("panal_warm_runs_total", {{"act", "touch"}}), 2);
  EXPECT_EQ(read.value("panal_warm_failures_total", {{"act", "cool"}}), 0);
}

TEST(Metrics, TheRoomIsToldOfEachResourceThatIsKnown) {
  const auto each = good(everything()).families.at("panal_starts_resource_room_desktops");
  EXPECT_EQ(each.samples.size(), 2U) << "of terminals nothing is known";
  EXPECT_EQ(each.value({{"by", "measurement"}, {"resource", "memory"}, {"what", "memory"}}), 17);
  EXPECT_EQ(each.value({{"by", "estimate"}, {"resource", "kernel"}, {"what", "open files"}}), 25);
}

TEST(Metrics, AKsmThatSomebodyElseTookOverIsSaidAndHasNoPhase) {
  NodeFigures figures = everything();
  figures.optimiser.governs_ksm = false;
  figures.optimiser.ksm_taken_over = true;
  const MetricsText read = good(figures);
  EXPECT_EQ(read.value("panal_ksm_taken_over_state"), 1);
  EXPECT_FALSE(read.families.contains("panal_ksm_governor_state"));
}

TEST(Metrics, EveryDecisionTakenAndRefusedIsThereBeforeItEverHappened) {
  const MetricsText read = good(NodeFigures{});
  for (const char* name :
       {"panal_starts_let_through_total", "panal_shaver_steps_total", "panal_freezer_freezes_total",
        "panal_freezer_thaws_total", "panal_wake_wakes_total", "panal_ksm_enlistments_total",
        "panal_ksm_setting_changes_total", "panal_ksm_domain_changes_total",
        "panal_node_expired_total"})
    EXPECT_EQ(read.value(name), 0) << name;
  for (const std::string_view resource : optimiser::kStartWaits)
    EXPECT_EQ(read.value("panal_starts_refused_total", {{"resource", std::string(resource)}}), 0);
  for (const char* verdict : {"taken", "refaults", "no_yield", "not_needed", "too_soon"})
    EXPECT_EQ(read.value("panal_shaver_verdicts_total", {{"verdict", verdict}}), 0);
  for (const std::string_view reason : optimiser::kFreezeRefusals)
    EXPECT_EQ(read.value("panal_freezer_refused_total", {{"reason", std::string(reason)}}), 0);
  EXPECT_EQ(read.value("panal_ksm_enlistments_refused_total", {{"reason", "other_domain"}}), 0);
  EXPECT_EQ(read.value("panal_ksm_enlistments_refused_total", {{"reason", "taken_over"}}), 0);
  EXPECT_EQ(read.value("panal_ksm_program_verdicts_total", {{"verdict", "left_out"}}), 0);
  EXPECT_EQ(read.value("panal_class_limits_set_total", {{"class", "active"}}), 0);
  EXPECT_EQ(read.value("panal_node_exits_total", {{"verdict", "give_up"}}), 0);
  EXPECT_EQ(read.value("panal_attach_answers_total", {{"answer", "in_use"}}), 0);
}

TEST(Metrics, TheLastResortIsThereBeforeItIsNeeded) {
  const MetricsText calm = good(NodeFigures{});
  for (int i = 1; i <= static_cast<int>(LastResort::kKillDesktop); ++i) {
    const std::string word(to_string(static_cast<LastResort>(i)));
    EXPECT_EQ(calm.value("panal_resort_steps_total", {{"step", word}}), 0) << word;
  }
  EXPECT_EQ(calm.value("panal_resort_fences_total"), 0);
  EXPECT_EQ(calm.value("panal_resort_danger_state", {{"danger", "none"}}), 1);
  EXPECT_EQ(calm.value("panal_resort_admission_state", {{"admission", "open"}}), 1);
  EXPECT_EQ(calm.families.count("panal_resort_available_bytes"), 0U) << "nothing was looked at";
  const MetricsText read = good(everything());
  EXPECT_EQ(read.value("panal_resort_fences_total"), 4);
  EXPECT_EQ(read.value("panal_resort_steps_total", {{"step", "freeze"}}), 2);
  EXPECT_EQ(read.value("panal_resort_kills_total", {{"victim", "process"}}), 3);
  EXPECT_EQ(read.value("panal_resort_kills_total", {{"victim", "desktop"}}), 0);
  EXPECT_EQ(read.value("panal_resort_danger_state", {{"danger", "tight"}}), 1);
  EXPECT_EQ(read.value("panal_resort_danger_state", {{"danger", "none"}}), 0);
  EXPECT_EQ(read.value("panal_resort_admission_state", {{"admission", "closed"}}), 1);
}

TEST(Metrics, AllVerdictsOfTheShaverAreKnown) {
  const MetricsText read = good(NodeFigures{});
  for (int i = 0; i <= static_cast<int>(ShaveReason::kQuiet); ++i) {
    const std::string word(to_string(static_cast<ShaveReason>(i)));
    EXPECT_EQ(read.value("panal_shaver_verdicts_total", {{"verdict", word}}), 0) << word;
  }
}

TEST(Metrics, AWordThatNobodyKnewIsThereToo) {
  const MetricsText read = good(everything());
  EXPECT_EQ(read.value("panal_optimiser_errors_total", {{"step", "a_new_one"}}), 2);
  EXPECT_EQ(read.value("panal_optimiser_errors_total", {{"step", "take"}}), 1);
  EXPECT_EQ(read.value("panal_optimiser_errors_total", {{"step", "freeze"}}), 0);
}

TEST(Metrics, WhatTheKernelLacksIsLeftOut) {
  const MetricsText read = good(NodeFigures{});
  for (const char* name :
       {"panal_ksm_profit_bytes", "panal_ksm_governor_state", "panal_memory_available_bytes",
        "panal_pressure_waited_ratio", "panal_memory_limit_bytes", "panal_starts_room_desktops",
        "panal_starts_resource_room_desktops"})
    EXPECT_EQ(read.families.count(name), 0U) << name;
}

TEST(Metrics, HistogramsCountByUpperBound) {
  const auto family = good(everything()).families.at("panal_wake_duration_seconds");
  const auto at = [&family](const std::string& le) { return family.value({{"le", le}}); };
  EXPECT_EQ(at("0.001"), 1);
  EXPECT_EQ(at("0.05"), 2);
  EXPECT_EQ(at("0.1"), 4);
  EXPECT_EQ(at("60"), 4);
  EXPECT_EQ(at("+Inf"), 5);
  EXPECT_NEAR(family.samples[0].name == "panal_wake_duration_seconds_sum" ? family.samples[0].value
                                                                          : family.samples[1].value,
              70.221, 1e-9);
}

TEST(Metrics, JsonHoldsTheSame) {
  const NodeFigures figures = everything();
  const MetricsText read = good(figures);
  const nlohmann::json list = families(figures);
  ASSERT_EQ(list.size(), read.families.size());
  for (const auto& family : list) {
    const auto& same = read.families.at(family["name"]);
    EXPECT_EQ(family["type"], same.type);
    EXPECT_EQ(family["help"], same.help);
    for (const auto& sample : family["samples"]) {
      if (!sample.contains("value")) {
        EXPECT_EQ(sample["buckets"].size(), optimiser::Durations::kBounds.size());
        continue;
      }
      EXPECT_DOUBLE_EQ(sample["value"], same.value(sample["labels"])) << family["name"];
    }
  }
}

/// Rows of docs/metrics.md: | `name` | type | labels | meaning |
struct Row {
  std::string type;
  std::set<std::string> labels;
};

std::map<std::string, Row> documented() {
  std::ifstream file(PANAL_SOURCE_DIR "/docs/metrics.md");
  std::map<std::string, Row> rows;
  const std::regex pattern("\\| `(panal_[a-z_]+)` \\| ([a-z]+) \\| ?([^|]*) \\| ([^|]+) \\|");
  const std::regex label("`([a-z]+)`");
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, pattern)) continue;
    EXPECT_EQ(rows.count(match[1]), 0U) << match[1];
    Row& row = rows[match[1]];
    row.type = match[2];
    const std::string labels = match[3];
    for (auto at = std::sregex_iterator(labels.begin(), labels.end(), label);
         at != std::sregex_iterator(); ++at)
      row.labels.insert((*at)[1]);
  }
  return rows;
}

TEST(Metrics, TheManualListsAllOfThemAndNoOthers) {
  const auto rows = documented();
  const MetricsText read = good(everything());
  for (const auto& [name, family] : read.families) {
    const auto row = rows.find(name);
    if (row == rows.end()) {
      ADD_FAILURE() << name << " is not in docs/metrics.md";
      continue;
    }
    EXPECT_EQ(row->second.type, family.type) << name;
    std::set<std::string> labels;
    for (const auto& [label, value] : family.samples.front().labels)
      if (label != "le") labels.insert(label);
    EXPECT_EQ(row->second.labels, labels) << name;
  }
  for (const auto& [name, row] : rows) EXPECT_EQ(read.families.count(name), 1U) << name;
}

struct Malformed {
  const char* text;
  const char* said;
};

TEST(Metrics, TheCheckerOfTheseTestsDoesSeeWhatIsWrong) {
  const std::string head = "# HELP a A.\n# TYPE a counter\n";
  for (const Malformed& one : std::vector<Malformed>{
           {"a 1", "no end"},
           {"a 1\n", "outside"},
           {"b 1\n", "does not belong"},
           {"a\n", "no sample"},
           {"a  1\n", "no value"},
           {"a one\n", "no value"},
           {"a 1 5\n", "no value"},
           {"a -1\n", "below 0"},
           {"a 1\na 2\n", "twice"},
           {"a{x=\"1\" 1\n", "comma"},
           {"a{x=\"1\",x=\"2\"} 1\n", "label twice"},
           {"a{x=\"\\t\"} 1\n", "escape"},
           {"a{9=\"1\"} 1\n", "name of a label"},
           {"a{x=\"1} 1\n", "without an end"},
           {"\n", "no sample"},
           {"# TYPE a counter\n", "TYPE without HELP"},
           {"# HELP a A.\n", "twice"},
           {"# HELP b B.\n# TYPE b summary\n", "no type"},
           {"# HELP b B.\n", "no TYPE"},
           {"# HELP b B.\n# TYPE b histogram\nb_count 0\n", "no whole histogram"},
           {"# HELP b B.\n# TYPE b histogram\nb_bucket{le=\"2\"} 1\nb_bucket{le=\"1\"} 1\n",
            "grow"},
       }) {
    const bool bare = std::string(one.said) == "outside";
    const MetricsText read = read_metrics(bare ? one.text : head + one.text);
    EXPECT_THAT(read.error, HasSubstr(one.said)) << one.text;
  }
  EXPECT_THAT(read_metrics(head + "a{x=\"\\\\\\\"\\n,}\"} 1.5e3\n").error, IsEmpty());
}

}  // namespace
}  // namespace panal::metrics

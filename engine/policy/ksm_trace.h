#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/policy/ksm_governor.h"
#include "engine/policy/trace.h"

/// What the KSM governor saw and decided, as rows of a trace.
namespace panal::policy {

/// The host's columns, those of the enlisted (enlisted_desktops, enlisted_starts,
/// enlisted_bytes), and what the governor decided then (decision_phase, a number of KsmPhase;
/// decision_pages; decision_sleep_ms).
[[nodiscard]] std::vector<std::string> ksm_trace_columns();

/// One row of those columns. `host`: what the sample was made of.
[[nodiscard]] std::vector<std::optional<std::int64_t>> ksm_trace_row(const Snapshot& host,
                                                                     const KsmSample& sample,
                                                                     const KsmDecision& decision);

/// What the governor saw, row by row. An absent column reads as nothing.
[[nodiscard]] std::vector<KsmSample> ksm_samples_of(const Trace& trace);
/// What it decided then: of the version that was recorded, not of this one. Empty for a trace
/// without decisions.
[[nodiscard]] std::vector<KsmDecision> ksm_decisions_of(const Trace& trace);

}  // namespace panal::policy

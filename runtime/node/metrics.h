#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/metrics/figures.h"
#include "runtime/node/attach_desk.h"
#include "runtime/node/host.h"
#include "runtime/node/image_warmer.h"
#include "runtime/node/node_optimiser.h"
#include "runtime/node/reconciler.h"

namespace panal::node {

struct MetricSources {
  const std::string& node;
  const Host& host;
  const Reconciler& reconciler;
  const AttachDesk& attaches;
  const NodeOptimiser& optimiser;
  const ImageWarmer* warmer = nullptr;  ///< none: images are not warmed
  bool disk_full = false;
};

/// Gathers them, on the loop's thread. What others hold is copied; of the kernel only the charge of
/// all desktops together is read, whatever their number.
[[nodiscard]] metrics::NodeFigures figures(const MetricSources& sources);

/// The answer to `metrics`: {"text"} for a scraper, or {"families"}.
[[nodiscard]] nlohmann::json metrics_answer(const MetricSources& sources, bool as_families);

}  // namespace panal::node

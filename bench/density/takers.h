#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

struct TakersOptions {
  bool synthetic = false;  ///< processes of our own in place of desktops
  std::string image = "xfce";
  std::size_t count = 4;               ///< desktops, or processes
  unsigned mib = 64;                   ///< of each process
  unsigned rounds = 5;                 ///< of all ways and orders, in turns
  unsigned settle_seconds = 90;        ///< of desktops, before anything is done to them
  std::vector<std::string> ways = {};  ///< of reclaim, madvise, poke; empty: all that work here
};

/// Each way to take memory back that works here, in each order with KSM's merging: what it brings a
/// CPU millisecond, what is left to pay for, what comes back and how when it is touched again.
/// Yields are what groups and smaps say. Inside a lab that may change machine-wide settings.
///
/// "ways": which were offered, and why; "cells": each one, in order; "medians"; "merge_first": by
/// way, whether that leaves less (TakersEvaluation). Errors: those of whatever did not work.
[[nodiscard]] Result<nlohmann::json> run_takers(const TakersOptions& options);

/// The medians as a table of Markdown, for docs/optimiser.md. `result`: of run_takers().
[[nodiscard]] std::string takers_table(const nlohmann::json& result);

}  // namespace panal::bench

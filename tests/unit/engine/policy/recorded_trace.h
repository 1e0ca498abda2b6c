#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "engine/policy/trace.h"

namespace panal::policy {

/// Four IceWM desktops started, lived, one of them was stopped and started again, on a host of 24
/// GiB with enough memory, no swap, and compilers beside.
inline constexpr const char* kIcewmTrace = "ksm-governor-icewm.trace";

/// A recording of tests/fixtures/traces. Where it cannot be read the test fails, and it is empty.
[[nodiscard]] inline Trace recorded_trace(const std::string& name) {
  std::ifstream file(std::string(PANAL_SOURCE_DIR) + "/tests/fixtures/traces/" + name);
  std::stringstream text;
  text << file.rdbuf();
  auto trace = parse_trace(text.str());
  if (trace) return std::move(*trace);
  ADD_FAILURE() << name << ": " << trace.error().message();
  return {};
}

}  // namespace panal::policy

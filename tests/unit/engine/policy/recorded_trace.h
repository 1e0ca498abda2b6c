#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "engine/policy/ksm_trace.h"
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

/// A test on the recording's hosts and what KSM's law saw of them, a row a second each.
class RecordedHosts : public ::testing::Test {
 protected:
  void SetUp() override {
    const Trace trace = recorded_trace(kIcewmTrace);
    hosts_ = snapshots_of(trace);
    samples_ = ksm_samples_of(trace);
    ASSERT_EQ(hosts_.size(), samples_.size());
    ASSERT_GT(hosts_.size(), 60U);
  }

  std::vector<Snapshot> hosts_;
  std::vector<KsmSample> samples_;
};

}  // namespace panal::policy

#include "runtime/cli/bottleneck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace panal::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr std::size_t kRam = 0, kIo = 1, kCpu = 2, kNetwork = 3, kKernel = 4;
constexpr double kBytesOfGib = 1024.0 * 1024 * 1024;

/// `seconds` after a host began: half of its memory, one and a half of two cores, a disk that is
/// busy a fifth of the time, a link at a quarter of its speed one way.
json host_at(double seconds) {
  return {{"mem_total_bytes", 8 * kBytesOfGib},
          {"mem_available_bytes", 4 * kBytesOfGib},
          {"psi_cpu", 3.0},
          {"psi_memory", 0.5},
          {"psi_io", 1.0},
          {"cpu_busy_ns", 1.5e9 * seconds},
          {"cores", 2},
          {"disks",
           {{{"name", "sda"},
             {"busy_ms", 200 * seconds},
             {"read_bytes", 1048576 * seconds},
             {"written_bytes", 1048576 * seconds}},
            {{"name", "sdb"}, {"busy_ms", 1}, {"read_bytes", 0}, {"written_bytes", 0}}}},
          {"links",
           {{{"name", "eth0"},
             {"received_bytes", 1e6 * seconds},
             {"sent_bytes", 31.25e6 * seconds},
             {"dropped", 3 * seconds},
             {"speed_bits_per_second", 1e9}},
            {{"name", "veth"}, {"received_bytes", 0}, {"sent_bytes", 0}, {"dropped", 0}}}},
          {"objects",
           {{{"name", "terminals"}, {"used", 100}, {"limit", 4096}},
            {{"name", "processes and threads"}, {"used", 16384}, {"limit", 32768}}}}};
}

TEST(Resources, AreToldFromTwoLooks) {
  const auto loads = resource_loads(host_at(10), host_at(14), 4);
  ASSERT_EQ(loads.size(), 5U);
  EXPECT_EQ(loads[kRam].name, "RAM");
  EXPECT_DOUBLE_EQ(*loads[kRam].used, 0.5);
  EXPECT_DOUBLE_EQ(*loads[kRam].waited, 0.005);
  EXPECT_THAT(loads[kRam].detail, HasSubstr("4.0 GiB of 8.0 GiB"));
  EXPECT_NEAR(*loads[kIo].used, 0.2, 1e-9);
  EXPECT_THAT(loads[kIo].detail, HasSubstr("sda busiest, 2.0 MiB/s"));
  EXPECT_NEAR(*loads[kCpu].used, 0.75, 1e-9);
  EXPECT_THAT(loads[kCpu].detail, HasSubstr("1.5 of 2 cores"));
  EXPECT_NEAR(*loads[kNetwork].used, 0.25, 1e-9);
  EXPECT_FALSE(loads[kNetwork].waited);
  EXPECT_THAT(loads[kNetwork].detail, HasSubstr("eth0 fullest"));
  EXPECT_THAT(loads[kNetwork].detail, HasSubstr("12 packets dropped"));
  EXPECT_DOUBLE_EQ(*loads[kKernel].used, 0.5);
  EXPECT_THAT(loads[kKernel].detail, HasSubstr("processes and threads: 16384 of 32768"));
  EXPECT_EQ(bottleneck_of(loads).resource, "") << "nothing is short";
}

TEST(Resources, OneLookKnowsNoRates) {
  for (const auto& loads : {resource_loads(json(), host_at(1), 0),
                            resource_loads(host_at(9), host_at(1), 4)}) {  // it began anew
    EXPECT_TRUE(loads[kRam].used);
    EXPECT_FALSE(loads[kCpu].used);
    EXPECT_FALSE(loads[kNetwork].used);
    EXPECT_TRUE(loads[kCpu].waited);
  }
}

TEST(Resources, NonsenseIsNotKnown) {
  for (const char* text :
       {"null", "[]", "{}", R"({"disks": 7, "links": [1, null], "objects": {"a": 1}})",
        R"({"mem_total_bytes": 0, "mem_available_bytes": "x", "psi_cpu": [], "cores": -1})",
        R"({"objects": [{"name": 7, "used": 1, "limit": 0}], "disks": [{"name": "a"}]})"}) {
    const json host = json::parse(text);
    const auto loads = resource_loads(host, host, 1);
    for (const auto& load : loads) EXPECT_FALSE(load.used && *load.used > 0) << text;
    EXPECT_EQ(bottleneck_of(loads).resource, "") << text;
    EXPECT_EQ(to_json(loads).size(), 5U);
  }
  EXPECT_EQ(bottleneck_of({}).resource, "");
}

std::vector<ResourceLoad> loads_of(double ram_waits, double io_waits, double cpu_waits,
                                   double kernel_used = 0, double cpu_used = 0) {
  return {{"RAM", 0.5, ram_waits, ""},
          {"I/O", 0.1, io_waits, ""},
          {"CPU", cpu_used, cpu_waits, ""},
          {"network", std::nullopt, std::nullopt, ""},
          {"kernel", kernel_used, std::nullopt, ""}};
}

TEST(TheBottleneck, IsWhatTasksWaitForMost) {
  EXPECT_EQ(bottleneck_of(loads_of(0.01, 0.05, 0.09)).resource, "");
  EXPECT_EQ(bottleneck_of(loads_of(0.05, 0.05, 0.4)).resource, "CPU");
  EXPECT_THAT(bottleneck_of(loads_of(0.05, 0.05, 0.4)).why, HasSubstr("40 % of the last 10 s"));
  EXPECT_EQ(bottleneck_of(loads_of(0.05, 0.3, 0.2)).resource, "I/O");
  EXPECT_EQ(bottleneck_of(loads_of(0.2, 0.3, 0.1)).resource, "RAM")
      << "short memory makes tasks wait for the disk";
  EXPECT_EQ(bottleneck_of(loads_of(0.11, 0.6, 0.1)).resource, "I/O") << "not all of that";
}

TEST(TheBottleneck, IsTheFullestWhereNobodyWaits) {
  EXPECT_EQ(bottleneck_of(loads_of(0, 0, 0, 0.95)).resource, "kernel");
  EXPECT_EQ(bottleneck_of(loads_of(0, 0, 0, 0.95, 0.97)).resource, "CPU");
  EXPECT_THAT(bottleneck_of(loads_of(0, 0, 0, 0.95)).why, HasSubstr("95 % of it are in use"));
  EXPECT_EQ(bottleneck_of(loads_of(0, 0, 0.2, 0.95)).resource, "CPU") << "waiting comes first";
  EXPECT_EQ(bottleneck_of(loads_of(0, 0, 0, 0.89)).resource, "");
}

}  // namespace
}  // namespace panal::cli

#include "engine/policy/admission.h"

#include <gtest/gtest.h>

namespace panal::policy {
namespace {

Resource resource(std::string name, std::string unit, ResourceKind kind, double used, double limit,
                  double reserve, double each) {
  Resource one{std::move(name), std::move(unit), kind, used, limit, reserve, {}};
  one.cost.each = each;
  one.cost.measured = true;
  return one;
}

struct Refusal {
  Resource full;
  const char* said;
};

TEST(Admission, RefusalsHaveTheNumbersOfWhatRanOut) {
  const Resource memory = resource("memory", "MiB", ResourceKind::kMemory, 100, 24000, 2000, 36);
  for (const Refusal& one : std::vector<Refusal>{
           {resource("memory", "MiB", ResourceKind::kMemory, 21980, 24000, 2000, 36),
            "it takes 36.0 MiB of memory (measured), 20.0 MiB of 24000 MiB are left beside the "
            "reserve of 2000 MiB"},
           {resource("the busiest disk's time", "%", ResourceKind::kIo, 89.5, 100, 10, 0.7),
            "it takes 0.7000 % of the busiest disk's time (measured), 0.5000 % of 100 % are left "
            "beside the reserve of 10.0 %"},
           {resource("CPU", "cores", ResourceKind::kCpu, 1.95, 2, 0.1, 0.002),
            "it takes 0.0020 cores of CPU (measured), 0.0000 cores of 2.0 cores are left beside "
            "the reserve of 0.1000 cores"},
           {resource("link eth0", "Mbit/s", ResourceKind::kNetwork, 899.5, 1000, 100, 1.25),
            "it takes 1.2 Mbit/s of link eth0 (measured), 0.5000 Mbit/s of 1000 Mbit/s are left "
            "beside the reserve of 100 Mbit/s"},
           {resource("terminals", "", ResourceKind::kKernelObjects, 3072, 4096, 1024, 0.5),
            "it takes 0.5 of terminals (measured), 0 of 4096 are left beside the reserve of 1024"},
           {resource("open files", "", ResourceKind::kKernelObjects, 9'400, 10'000, 500, 320),
            "it takes 320 of open files (measured), 100 of 10000 are left beside the reserve of "
            "500"}}) {
    EXPECT_EQ(refusal("xfce", {memory, one.full}),
              std::string("no room for another desktop of image xfce: ") + one.said);
    EXPECT_EQ(fits(one.full), 0U);
    EXPECT_EQ(capacity({memory, one.full}).first_out, 1U);
  }
}

TEST(Admission, WhatIsNotKnownOrCostsNothingNeverEndsIt) {
  Resource unknown = resource("open files", "", ResourceKind::kKernelObjects, 10, 10, 0, 100);
  unknown.unknown = "not measured yet";
  const Resource free = resource("keys", "", ResourceKind::kKernelObjects, 10, 10, 0, 0);
  EXPECT_EQ(fits(unknown), kNoEnd);
  EXPECT_EQ(fits(free), kNoEnd);
  const Capacity now = capacity({unknown, free});
  EXPECT_EQ(now.more, kNoEnd);
  EXPECT_EQ(now.first_out, SIZE_MAX);
  EXPECT_EQ(refusal("xfce", {unknown, free}), "");
  EXPECT_EQ(room("xfce", {unknown, free}), "nothing is known to limit desktops of image xfce");
  const Resource memory = resource("memory", "MiB", ResourceKind::kMemory, 0, 100, 0, 50);
  EXPECT_EQ(capacity({unknown, free, memory}).more, 2U);
}

TEST(Admission, TheFewestWins) {
  const Resource memory = resource("memory", "MiB", ResourceKind::kMemory, 0, 1000, 0, 10);
  const Resource cpu = resource("CPU", "cores", ResourceKind::kCpu, 1, 2, 0.1, 0.03);
  EXPECT_EQ(capacity({memory, cpu}).more, 30U);
  EXPECT_EQ(room("icewm", {memory, cpu}),
            "30 more desktops of image icewm fit; CPU runs out first");
}

}  // namespace
}  // namespace panal::policy

#include "engine/kernel/process_status.h"

#include <gtest/gtest.h>

namespace panal::kernel {
namespace {

constexpr const char* kGood =
    "Name:\tpcmanfm (x)\\nPPid:\t1\n"
    "Umask:\t0022\n"
    "State:\tS (sleeping)\n"
    "Pid:\t4711\n"
    "PPid:\t4700\n"
    "NSpid:\t4711\t31\n"
    "NSsid:\t4705\t25\n"
    "VmPeak:\t  999999 kB\n"
    "VmRSS:\t   12000 kB\n"
    "VmSwap:\t     300 kB\n"
    "Seccomp_filters:\t2\n";

TEST(ProcessStatus, TellsWhoItIsAndWhatItHolds) {
  const auto status = parse_process_status(kGood);
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_EQ(status->name, "pcmanfm (x)\\nPPid:\t1");
  EXPECT_TRUE(status->alive);
  EXPECT_EQ(status->parent, 4700);
  EXPECT_EQ(status->inner_pid, 31);
  EXPECT_EQ(status->inner_session, 25);
  EXPECT_EQ(status->depth, 1U);
  EXPECT_EQ(status->rss_bytes, 12000U * 1024);
  EXPECT_EQ(status->swap_bytes, 300U * 1024);
  EXPECT_EQ(status->seccomp_filters, 2U);
}

TEST(ProcessStatus, AZombieHoldsNothing) {
  const auto status = parse_process_status("Name:\tsh\nState:\tZ (zombie)\nPPid:\t1\nNSpid:\t9\n");
  ASSERT_TRUE(status);
  EXPECT_FALSE(status->alive);
  EXPECT_EQ(status->depth, 0U);
  EXPECT_EQ(status->rss_bytes, 0U);
  EXPECT_EQ(status->seccomp_filters, std::nullopt) << "a kernel that does not say";
}

TEST(ProcessStatus, RefusesWhatIsNone) {
  const char* const wrong[] = {
      "",
      "no colon\n",
      "Name:\tsh\nState:\tS\nPPid:\t1\n",
      "Name:\tsh\nState:\nPPid:\t1\nNSpid:\t9\n",
      "Name:\tsh\nState:\tS\nPPid:\t-1\nNSpid:\t9\n",
      "Name:\tsh\nState:\tS\nPPid:\t1\nNSpid:\t\n",
      "Name:\tsh\nState:\tS\nPPid:\t1\nNSpid:\t99999999999\n",
      "Name:\tsh\nState:\tS\nPPid:\t1\nNSpid:\t9\nVmRSS:\t12\n",
      "Name:\tsh\nState:\tS\nPPid:\t1\nNSpid:\t9\nVmRSS:\t12 MB\n",
      "Name:\tsh\nState:\tS\nPPid:\t1\nNSpid:\t9\nVmSwap:\t99999999999999999999 kB\n",
      "Name:\tsh\nState:\tS\nPPid:\t1\nNSpid:\t9\nVmSwap:\t18446744073709551615 kB\n",
      "Name:\tsh\nState:\tS\nPPid:\t1\nNSpid:\t9\nSeccomp_filters:\tx\n",
      "Name:\tsh\nState:\tS\nPPid:\t1\nNSpid:\t9\nSeccomp_filters:\t4294967296\n",
  };
  for (const char* text : wrong) {
    const auto status = parse_process_status(text);
    ASSERT_FALSE(status) << text;
    EXPECT_EQ(status.error().code, EPROTO);
  }
}

}  // namespace
}  // namespace panal::kernel

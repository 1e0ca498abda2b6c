#include "runtime/optimiser/long_rates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/runtime/optimiser/fake_machine.h"

namespace panal::optimiser {
namespace {

using policy::fits;
using policy::kNoEnd;
using ::testing::HasSubstr;

/// Ten desktops at rest, looked at each half minute.
class LongRatesTest : public ::testing::Test {
 protected:
  LongRatesTest() {
    machine_.desktops = 10;
    look(0);
  }
  void look(double seconds) {
    machine_.pass(seconds);
    rates_.flowed(static_cast<std::uint64_t>(machine_.flowed_bytes));
    rates_.look(&groups_.back(), {{"xfce", machine_.desktops}}, machine_.now_ns());
  }
  void rest(double minutes) {
    for (double seconds = 0; seconds < minutes * 60; seconds += 30) look(30);
  }
  policy::Resource cpu() const { return rates_.cpu(machine_.desktops); }

  FakeMachine machine_;
  std::vector<kernel::Cgroup> groups_ = machine_.groups();
  LongRates rates_{machine_.tree};
};

TEST_F(LongRatesTest, IsNotKnownBeforeTenMinutesAtRest) {
  rest(9.5);
  EXPECT_THAT(cpu().unknown, HasSubstr("ten minutes"));
  EXPECT_EQ(fits(cpu()), kNoEnd);
  EXPECT_THAT(rates_.link(10).unknown, HasSubstr("ten minutes"));
  rest(0.5);
  EXPECT_EQ(cpu().unknown, "");
  EXPECT_NEAR(cpu().cost.each, 0.001, 1e-6);
  EXPECT_EQ(cpu().limit, 2);
  EXPECT_THAT(rates_.disk(10).unknown, HasSubstr("three numbers"));
}

TEST_F(LongRatesTest, TimesWithStartsInThemDoNotCount) {
  machine_.cpu_waits = 1;
  rest(5);
  for (int storm = 0; storm < 20; ++storm) {
    machine_.other_cores = 2;
    look(60);  // nobody looks while something starts
    machine_.desktops += 1;
    look(30);
  }
  EXPECT_NE(cpu().unknown, "");
  machine_.other_cores = 0.1;
  rest(5);
  ASSERT_EQ(cpu().unknown, "");
  EXPECT_NEAR(cpu().used, 0.1 + 0.001 * 30, 0.005);
}

TEST_F(LongRatesTest, MinutesOfWorkRefuseNobodyAndALongLackDoes) {
  machine_.cpu_waits = 1;
  rest(12);
  machine_.other_cores = 2;
  rest(15);
  EXPECT_GT(fits(cpu()), 0U) << "a build of a quarter of an hour";
  rest(30);
  EXPECT_EQ(fits(cpu()), 0U);
  EXPECT_THAT(policy::refusal("xfce", {cpu()}),
              HasSubstr("cores of CPU in the mean of minutes (measured), 0.0000 cores of 2.0 cores "
                        "are left"));
  machine_.other_cores = 0;
  rest(2);
  EXPECT_GT(fits(cpu()), 0U);
}

TEST_F(LongRatesTest, OthersCountAsFarAsDesktopsWaitForThem) {
  machine_.other_cores = 1.9;
  rest(10);
  EXPECT_NEAR(cpu().used, 0.01, 0.001) << "they give way";
  machine_.cpu_waits = 0.5;
  rest(60);
  EXPECT_NEAR(cpu().used, 0.96, 0.01);
  std::filesystem::remove(machine_.at.path() + "/proc/pressure/cpu");
  std::filesystem::remove(machine_.at.path() + "/cgroup/panal/cpu.pressure");
  const LongRates without = [this] {
    LongRates rates(machine_.tree);
    for (int i = 0; i < 30; ++i) {
      machine_.pass(30);
      std::filesystem::remove(machine_.at.path() + "/cgroup/panal/cpu.pressure");
      rates.look(&groups_.back(), {{"xfce", 10}}, machine_.now_ns());
    }
    return rates;
  }();
  EXPECT_NEAR(without.cpu(10).used, 1.91, 0.01) << "without pressure all of it";
}

TEST_F(LongRatesTest, DesktopsThemselvesCountWhateverWaits) {
  machine_.cores = 0.195;
  rest(11);
  EXPECT_EQ(fits(cpu()), 0U);
  EXPECT_EQ(fits(rates_.cpu(8)), 1U) << "with two less";
}

TEST_F(LongRatesTest, KsmdGivesWay) {
  machine_.other_cores = 1;
  machine_.cpu_waits = 1;
  double ksmd_seconds = 0;
  for (int i = 0; i < 25; ++i) {
    ksmd_seconds += 0.9 * 30;
    rates_.gives_way(static_cast<std::uint64_t>(ksmd_seconds * 1e9));
    look(30);
  }
  EXPECT_NEAR(cpu().used, 0.11, 0.01);
}

TEST_F(LongRatesTest, OneMoreIsReckonedWithBeforeItIsMeasured) {
  machine_.cores = 0.05;
  rest(15);
  EXPECT_NEAR(rates_.cpu(10).used, 0.5, 0.001);
  EXPECT_NEAR(rates_.cpu(30).used, 1.5, 0.001);
  EXPECT_EQ(fits(rates_.cpu(38)), 0U);
}

TEST_F(LongRatesTest, ADiskIsShortWhereItIsBusyAndADesktopWaits) {
  machine_.disk_percent = 2;
  for (const double desktops : {10, 15, 20, 25}) {
    machine_.desktops = desktops;
    rest(5);
  }
  ASSERT_EQ(rates_.disk(25).unknown, "");
  EXPECT_NEAR(rates_.disk(25).cost.each, 2, 0.01);
  EXPECT_NEAR(rates_.disk(25).used, 51, 0.1);
  EXPECT_EQ(fits(rates_.disk(25)), 19U);
  machine_.other_disk_percent = 100;
  machine_.io_waits = 0.01;
  rest(60);
  EXPECT_GT(fits(rates_.disk(25)), 0U) << "busy all the time, and nobody waits";
}

TEST_F(LongRatesTest, ADiskThatDesktopsDoNotUseNeverEndsThem) {
  machine_.other_disk_percent = 80;
  for (const double desktops : {10, 15, 20, 25}) {
    machine_.desktops = desktops;
    rest(5);
  }
  EXPECT_NEAR(rates_.disk(25).cost.each, 0, 1e-9);
  EXPECT_EQ(fits(rates_.disk(25)), kNoEnd);
}

TEST_F(LongRatesTest, TheFullestLinkAndWhatGoesToClients) {
  machine_.link_mbit = 100;
  machine_.sent_mbit = 1;
  machine_.other_mbit = 20;
  rest(15);
  const policy::Resource link = rates_.link(10);
  EXPECT_EQ(link.unknown, "");
  EXPECT_EQ(link.name, "link eth0 in the mean of minutes");
  EXPECT_NEAR(link.used, 30, 0.1);
  EXPECT_NEAR(link.cost.each, 1, 0.01);
  EXPECT_EQ(fits(link), 60U);
  machine_.at.write("proc/net/dev", "");
  machine_.at.write("sys/class/net/eth0/speed", "-1\n");
  LongRates none(machine_.tree);
  EXPECT_EQ(none.link(10).unknown, "no link tells its speed");
}

TEST_F(LongRatesTest, WhatTheHostLacksIsNotKnown) {
  for (const char* file : {"proc/stat", "proc/diskstats", "proc/net/dev"})
    std::filesystem::remove(machine_.at.path() + "/" + file);
  LongRates rates(machine_.tree);
  for (int i = 0; i < 40; ++i) rates.look(nullptr, {{"xfce", 10}}, i * 30'000'000'000LL);
  EXPECT_NE(rates.cpu(10).unknown, "");
  EXPECT_NE(rates.disk(10).unknown, "");
  EXPECT_NE(rates.link(10).unknown, "");
}

}  // namespace
}  // namespace panal::optimiser

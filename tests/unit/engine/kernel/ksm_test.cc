#include "engine/kernel/ksm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/unit/engine/kernel/fixture_tree.h"
#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

const std::string kKnobs = "sys/kernel/mm/ksm/";

std::map<std::string, std::string> knobs_of_6_18() {
  std::map<std::string, std::string> files;
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"run", "0"},
                                          {"pages_to_scan", "100"},
                                          {"sleep_millisecs", "20"},
                                          {"max_page_sharing", "256"},
                                          {"use_zero_pages", "0"},
                                          {"smart_scan", "1"},
                                          {"advisor_mode", "[none] scan-time"},
                                          {"pages_shared", "10"},
                                          {"pages_sharing", "200"},
                                          {"pages_unshared", "30"},
                                          {"pages_volatile", "4"},
                                          {"pages_skipped", "5"},
                                          {"pages_scanned", "600"},
                                          {"full_scans", "7"},
                                          {"ksm_zero_pages", "8"},
                                          {"general_profit", "-4096"}})
    files[kKnobs + name] = value + "\n";
  return files;
}

TEST(Ksm, ReadsCountersAndSettings) {
  const FixtureTree fixture(knobs_of_6_18());
  const Tree tree = fixture.tree();
  const auto counters = read_ksm_counters(tree);
  ASSERT_TRUE(counters) << counters.error().message();
  EXPECT_EQ(*counters, (KsmCounters{.pages_shared = 10,
                                    .pages_sharing = 200,
                                    .pages_unshared = 30,
                                    .pages_volatile = 4,
                                    .pages_skipped_total = 5,
                                    .pages_scanned_total = 600,
                                    .full_scans_total = 7,
                                    .zero_pages = 8,
                                    .general_profit_bytes = -4096,
                                    .ksmd_cpu_ns = {}}));
  const auto settings = read_ksm_settings(tree);
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(*settings, KsmSettings{}) << "the kernel's defaults";
}

TEST(Ksm, ReckonsTheProfitWhereAnOlderKernelDoesNot) {
  auto files = knobs_of_6_18();
  for (const char* name : {"general_profit", "smart_scan", "advisor_mode", "ksm_zero_pages",
                           "pages_scanned", "pages_skipped"})
    files.erase(kKnobs + name);
  const FixtureTree fixture(files);
  const Tree tree = fixture.tree();
  const auto counters = read_ksm_counters(tree);
  ASSERT_TRUE(counters) << counters.error().message();
  EXPECT_EQ(counters->general_profit_bytes, 200 * 4096 - (10 + 200 + 30 + 4) * 64);
  EXPECT_EQ(counters->pages_scanned_total, 0U);
  const auto settings = read_ksm_settings(tree);
  ASSERT_TRUE(settings);
  EXPECT_FALSE(settings->smart_scan) << "it has none";
  KsmSettings wanted = *settings;
  wanted.pages_to_scan = 500;
  EXPECT_TRUE(write_ksm_settings(tree, wanted)) << "no missing knob has to move";
  wanted.smart_scan = true;
  EXPECT_EQ(code(write_ksm_settings(tree, wanted)), ENOTSUP);
}

TEST(Ksm, SaysThatAKernelHasNone) {
  const FixtureTree fixture({});
  const Tree tree = fixture.tree();
  EXPECT_EQ(code(read_ksm_counters(tree)), ENOENT);
  EXPECT_EQ(code(read_ksm_settings(tree)), ENOENT);
  EXPECT_EQ(code(write_ksm_settings(tree, {})), ENOENT);
}

TEST(Ksm, RefusesMalformedKnobs) {
  using Knob = std::pair<std::string, std::string>;
  for (const auto& [name, value] : std::vector<Knob>{{"run", "3"},
                                                     {"pages_to_scan", "x"},
                                                     {"pages_to_scan", "4294967296"},
                                                     {"sleep_millisecs", "-1"},
                                                     {"advisor_mode", "none scan-time"},
                                                     {"use_zero_pages", ""},
                                                     {"max_page_sharing", "1 2"}}) {
    auto files = knobs_of_6_18();
    files[kKnobs + name] = value;
    const FixtureTree fixture(files);
    const Tree tree = fixture.tree();
    EXPECT_EQ(code(read_ksm_settings(tree)), EPROTO) << name << " = " << value;
  }
  for (const auto& [name, value] : std::vector<Knob>{{"pages_shared", "-1"},
                                                     {"pages_sharing", "x"},
                                                     {"general_profit", "99999999999999999999"},
                                                     {"full_scans", ""}}) {
    auto files = knobs_of_6_18();
    files[kKnobs + name] = value;
    const FixtureTree fixture(files);
    const Tree tree = fixture.tree();
    EXPECT_EQ(code(read_ksm_counters(tree)), EPROTO) << name << " = " << value;
  }
}

TEST(Ksm, WritesWhatDiffersAndLeavesPagesToScanToAnAdvisor) {
  const FixtureTree fixture(knobs_of_6_18());
  const Tree tree = fixture.tree();
  KsmSettings wanted;
  wanted.run = KsmRun::kRunning;
  wanted.pages_to_scan = 999;
  wanted.use_zero_pages = true;
  fixture.write(kKnobs + "sleep_millisecs", "20 ");  // untouched: it keeps its odd text
  ASSERT_TRUE(write_ksm_settings(tree, wanted));
  EXPECT_EQ(fixture.read(kKnobs + "run"), "1\n");
  EXPECT_EQ(fixture.read(kKnobs + "pages_to_scan"), "999\n");
  EXPECT_EQ(fixture.read(kKnobs + "use_zero_pages"), "1\n");
  EXPECT_EQ(fixture.read(kKnobs + "sleep_millisecs"), "20 ");
  EXPECT_EQ(read_ksm_settings(tree).value(), wanted);

  fixture.write(kKnobs + "advisor_mode", "none [scan-time]\n");
  wanted.advisor = KsmAdvisor::kScanTime;
  wanted.pages_to_scan = 5;
  ASSERT_TRUE(write_ksm_settings(tree, wanted));
  EXPECT_EQ(fixture.read(kKnobs + "pages_to_scan"), "999\n");
}

TEST(KsmProcess, ReadsTheStatOfNewAndOldKernels) {
  const auto now = parse_ksm_stat(
      "ksm_rmap_items 100\nksm_zero_pages 3\nksm_merging_pages 20\nksm_process_profit -640\n"
      "ksm_merge_any: yes\nksm_mergeable: yes\n",
      "");
  ASSERT_TRUE(now) << now.error().message();
  EXPECT_EQ(*now, (KsmProcess{100, 20, 3, -640, true}));
  const auto old = parse_ksm_stat("ksm_rmap_items 100\n", "20\n");
  ASSERT_TRUE(old) << old.error().message();
  EXPECT_EQ(*old, (KsmProcess{100, 20, 0, 20 * 4096 - 100 * 64, false}));
  KsmProcess sum = *now;
  add(sum, *old);
  EXPECT_EQ(sum, (KsmProcess{200, 40, 3, -640 + 20 * 4096 - 6400, true}));
}

TEST(KsmProcess, RefusesMalformedText) {
  const std::string fine = "ksm_merging_pages 1\n";
  EXPECT_EQ(code(parse_ksm_stat(fine + "new_line 1\n", "")), 0);
  for (const char* rest :
       {"ksm_rmap_items", "ksm_rmap_items x", "ksm_rmap_items -1",
        "ksm_rmap_items 18446744073709551615", "ksm_merge_any: maybe", "ksm_process_profit --1",
        "ksm_process_profit 9223372036854775807", "a b c"})
    EXPECT_EQ(code(parse_ksm_stat(fine + rest, "")), EPROTO) << rest;
  for (const char* merging : {"", "x", "-1", "1 2", "99999999999999999999"})
    EXPECT_EQ(code(parse_ksm_stat("ksm_rmap_items 1\n", merging)), EPROTO) << merging;
}

TEST(Ksmd, IsFoundAmongProcessesByNameAndParent) {
  const FixtureTree fixture({{"proc/9/stat", "9 (ksmd) S 1 0 0\n"},
                             {"proc/71/stat", "71 (x) ksmd) S 2 0 0\n"},
                             {"proc/72/stat", "72 (ksmd) S 2 0 0\n"},
                             {"proc/72/schedstat", "123456 7 8\n"},
                             {"proc/stat", "72 (ksmd) S 2\n"}});
  const Tree tree = fixture.tree();
  const auto ksmd = Ksmd::find(tree);
  ASSERT_TRUE(ksmd) << ksmd.error().message();
  EXPECT_EQ(ksmd->cpu_ns().value(), 123456U);
  fixture.write("proc/72/schedstat", "x");
  EXPECT_EQ(code(ksmd->cpu_ns()), EPROTO);
  fixture.write("proc/72/stat", "72 (ksmd) S 20 0 0\n");
  EXPECT_EQ(code(Ksmd::find(tree)), ENOENT);
  for (const char* stat : {"", "72 ksmd S 2", "72 )ksmd( S 2", "72 (ksmd)", "72 (ksmd) S"})
    EXPECT_FALSE(is_kernel_thread(stat, "ksmd")) << stat;
  for (const char* text : {"", "\n", "-1 2 3"}) EXPECT_EQ(code(parse_schedstat(text)), EPROTO);
}

}  // namespace
}  // namespace panal::kernel

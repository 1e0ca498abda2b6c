#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/cli/names.h"
#include "runtime/cli/password_input.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/table.h"
#include "runtime/cli/top_view.h"

namespace panal::cli {
namespace {

using testing::HasSubstr;

TEST(Names, Logins) {
  for (const char* good : {"a", "_x", "alice", "a-b_c9", "abcdefghijklmnopqrstuvwxyzabcdef"}) {
    EXPECT_TRUE(check_login(good)) << good;
  }
  for (const char* bad : {"", "A", "9a", "-a", "a b", "a.b", "a/b", "año", "a\n", "a:b",
                          "abcdefghijklmnopqrstuvwxyzabcdefg"}) {
    EXPECT_FALSE(check_login(bad)) << bad;
  }
}

TEST(Names, Desktops) {
  for (const char* good : {"a", "alice-desk", "d-1", "1a"}) {
    EXPECT_TRUE(check_desktop_name(good)) << good;
  }
  for (const char* bad : {"", "12", "-a", "a-", "A", "a_b", "a.b", "a b", "../x"}) {
    EXPECT_FALSE(check_desktop_name(bad)) << bad;
  }
  EXPECT_FALSE(check_desktop_name(std::string(64, 'a')));
}

TEST(Names, Numbering) {
  EXPECT_EQ(*expand_names("d-%d", 3), (std::vector<std::string>{"d-1", "d-2", "d-3"}));
  EXPECT_EQ(*expand_names("x", 1), std::vector<std::string>{"x"});
  EXPECT_EQ(*expand_names("x%dy", 1), std::vector<std::string>{"x1y"});
  for (const char* bad : {"%s", "%d%d", "x%", "100%", "%n%d"}) {
    EXPECT_FALSE(expand_names(bad, 2)) << bad;
  }
  EXPECT_FALSE(expand_names("x", 2));
  EXPECT_FALSE(expand_names("%d", 2));
}

TEST(Names, Groups) {
  EXPECT_EQ(parse_group("audio:29")->second, 29U);
  for (const char* bad :
       {"audio", ":29", "audio:", "audio:0", "audio:65534", "audio:29x", "audio:-1", "a b:29"}) {
    EXPECT_FALSE(parse_group(bad)) << bad;
  }
}

TEST(Table, AlignsUtf8AndEscapes) {
  Table table({"NAME", ">N"});
  table.add_row({"año", "5"});
  table.add_row({"b\x1b", "1234", "surplus"});
  table.add_row({"short"});
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(),
            "NAME      N\n"
            "año       5\n"
            "b\\x1b  1234\n"
            "short\n");
}

TEST(Table, HumanFigures) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes((std::uint64_t{1} << 20U) - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(~std::uint64_t{0}), "16384.0 PiB");
  EXPECT_EQ(human_duration(0), "0 s");
  EXPECT_EQ(human_duration(61'000), "1 min");
  EXPECT_EQ(human_duration(3'700'000), "1 h 1 min");
  EXPECT_EQ(human_duration(200'000'000), "2 d 7 h");
}

TEST(Progress, PlainLinesForStepsAndTenths) {
  std::ostringstream out;
  Progress bar(out, false);
  for (int i = 0; i <= 100; ++i) bar.update(i / 100.0, i < 50 ? "first" : "second\n");
  const std::string text = out.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);
  EXPECT_THAT(out.str(), HasSubstr("  0 %  first\n"));
  EXPECT_THAT(out.str(), HasSubstr("100 %  second\\x0a\n"));
  EXPECT_EQ(out.str().find('\r'), std::string::npos);
}

TEST(Progress, OneLineForStepsOfOneKind) {
  std::ostringstream out;
  Progress bar(out, false);
  bar.update(0.11, "unpacking a");
  bar.update(0.12, "unpacking b");
  bar.update(0.13, "setting up a");
  bar.update(0.21, "setting up b");
  EXPECT_EQ(out.str(), " 11 %  unpacking a\n 13 %  setting up a\n 21 %  setting up b\n");
}

TEST(Progress, BarStaysOnOneLineOfTheTerminalAndGoesAway) {
  std::ostringstream out;
  {
    Progress bar(out, true, 50);
    bar.update(0.5, "ñandú " + std::string(100, 'x'));
    const std::string line = out.str().substr(1, out.str().find("\x1b[K") - 1);
    EXPECT_EQ(display_width(line), 49U);
    EXPECT_THAT(line, HasSubstr("[############............]  50 %"));
    const auto before = out.str().size();
    bar.update(0.5, "ñandú " + std::string(100, 'x'));
    EXPECT_EQ(out.str().size(), before) << "nothing changed, nothing drawn";
    bar.say("a line");
    EXPECT_THAT(out.str(), HasSubstr("a line\n"));
  }
  EXPECT_TRUE(out.str().ends_with("\r\x1b[K"));
}

TEST(Progress, NonsenseFractionsAreClamped) {
  std::ostringstream out;
  Progress bar(out, false);
  bar.update(std::nan(""), "nan");
  bar.update(-3, "below");
  bar.update(7, "above");
  bar.update(HUGE_VAL, "infinite");
  EXPECT_EQ(out.str(), "  0 %  nan\n  0 %  below\n100 %  above\n100 %  infinite\n");
}

TEST(Password, GeneratedOnesDifferAndAreTyped) {
  const auto one = generate_password();
  const auto two = generate_password();
  ASSERT_TRUE(one && two);
  EXPECT_NE(*one, *two);
  EXPECT_EQ(one->size(), 19U);
  EXPECT_EQ(one->find_first_not_of("abcdefghijkmnpqrstuvwxyz23456789-"), std::string::npos);
}

nlohmann::json stats(std::uint64_t cpu_ns) {
  return {
      {"desktops",
       {{{"id", 1}, {"memory_bytes", 10}, {"cpu_ns", cpu_ns}, {"session", "connected"}},
        {{"id", 2}, {"memory_bytes", 20}, {"cpu_ns", 0}}}},
      {"host", {{"mem_total_bytes", 4096}, {"mem_available_bytes", 1024}, {"psi_memory", 1.5}}}};
}

TEST(Top, CpuIsTheDifferenceOfTwoLooksAndMemorySorts) {
  TopView view;
  std::map<DesktopId, store::Desktop> names;
  names[1].name = "alice\x1b-desk";
  auto first = view.digest(stats(1'000'000'000), 1'000'000'000, names);
  EXPECT_EQ(first["desktops"][0]["id"], 2);
  EXPECT_EQ(first["desktops"][1]["cpu_percent"], 0.0);
  auto second = view.digest(stats(1'500'000'000), 2'000'000'000, names);
  EXPECT_DOUBLE_EQ(second["desktops"][1]["cpu_percent"].get<double>(), 50.0);
  const std::string text = render_top(second, 10);
  EXPECT_THAT(text, HasSubstr("alice\\x1b-desk"));
  EXPECT_THAT(text, HasSubstr("1.0 KiB of 4.0 KiB available"));
  EXPECT_THAT(text, HasSubstr("75.0"));
  EXPECT_THAT(text, HasSubstr("nothing is short"));
  EXPECT_EQ(view.digest(stats(5), 3'000'000'000, names)["desktops"][1]["cpu_percent"], 0.0)
      << "a restarted desktop counts from nothing";
}

TEST(Top, SaysWhatEachReadsAndWritesWhereItIsCounted) {
  nlohmann::json answer = stats(0);
  answer["desktops"][0]["read_bytes_per_second"] = 3 << 20;
  answer["desktops"][0]["written_bytes_per_second"] = 0;
  const std::string text = render_top(TopView().digest(answer, 1, {}), 40);
  EXPECT_THAT(text, HasSubstr("READ/S"));
  EXPECT_THAT(text, testing::ContainsRegex("\n *1 .* 3.0 MiB +0 B +10 B"));
  EXPECT_THAT(text, testing::ContainsRegex("\n *2 .* - +- +20 B")) << "not counted";
}

TEST(Top, SaysWhatDesktopsTrulyCostAsFarAsItIsKnown) {
  auto answer = stats(0);
  answer["desktops"][0]["cost"] = {{"total_bytes", 40 << 20},     {"pss_bytes", 30 << 20},
                                   {"shared_bytes", 50 << 20},    {"merged_bytes", 7 << 20},
                                   {"compressed_bytes", 6 << 20}, {"kernel_bytes", 4 << 20}};
  TopView view;
  const auto digest = view.digest(answer, 1, {});
  EXPECT_EQ(digest["costs"]["desktops"], 1);
  EXPECT_EQ(digest["costs"]["pss_bytes"], 30 << 20);
  const std::string text = render_top(digest, 40);
  EXPECT_THAT(text, HasSubstr("1 of 2 desktops looked at: 40.0 MiB in all, 40.0 MiB each: PSS 30.0 "
                              "MiB, compressed 6.0 MiB, kernel 4.0 MiB"));
  EXPECT_THAT(text, HasSubstr("saved: shared 50.0 MiB; merged by KSM 7.0 MiB"));
  for (const char* heading : {"COST", "PSS", "SHARED", "MERGED", "COMPRESSED", "KERNEL"})
    EXPECT_THAT(text, HasSubstr(heading));
  EXPECT_THAT(text, testing::ContainsRegex("\n *2 .* - +- +- +- +- +-\n")) << "not looked at yet";
  EXPECT_EQ(render_top(view.digest(stats(0), 2, {}), 40).find("looked at"), std::string::npos);
}

TEST(Top, NamesTheBottleneckAndKeepsToTheScreen) {
  auto answer = stats(0);
  answer["host"]["psi_cpu"] = 42;
  for (int id = 3; id < 60; ++id) answer["desktops"].push_back({{"id", id}});
  TopView view;
  const auto digest = view.digest(answer, 1, {});
  EXPECT_EQ(digest["bottleneck"]["resource"], "CPU");
  EXPECT_EQ(digest["resources"].size(), 5U);
  const std::string text = render_top(digest, 24);
  EXPECT_THAT(text, HasSubstr("bottleneck: CPU, tasks waited for it 42 % of the last 10 s"));
  EXPECT_THAT(text, HasSubstr("*  CPU"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 24);
  const std::string low = render_top(digest, 5);
  EXPECT_THAT(low, HasSubstr("\n 2 ")) << "three desktops all the same";
}

TEST(Top, SaysWhoseMemoryIsMerged) {
  auto answer = stats(0);
  auto& ksm = answer["optimiser"]["ksm"];
  ksm = {{"profit_bytes", 1024}, {"governed", true}, {"phase", "rest"}};
  const auto shown = [&] { return render_top(TopView().digest(answer, 1, {}), 5); };
  EXPECT_THAT(shown(), HasSubstr("merged 1.0 KiB (KSM rest)"));
  ksm["domain"] = "school/guests";
  ksm["draining"] = false;
  EXPECT_THAT(shown(), HasSubstr("(KSM rest, of school/guests)"));
  ksm["draining"] = true;
  EXPECT_THAT(shown(), HasSubstr("waits until the last merged desktop is gone: school/guests"));
  ksm = {{"profit_bytes", 1024}, {"governed", false}, {"taken_over", true}};
  EXPECT_THAT(shown(), HasSubstr("(KSM taken over by somebody else, nobody joins)"));
}

TEST(Top, SaysWhereWhatIsPagedOutIs) {
  auto answer = stats(0);
  const auto shown = [&] { return render_top(TopView().digest(answer, 1, {}), 5); };
  answer["optimiser"]["zswap"] = {
      {"original_bytes", 0}, {"used_bytes", 0}, {"swapped_bytes", 4096}};
  EXPECT_EQ(shown().find("swapped out"), std::string::npos)
      << "nothing of ours is before that swap";
  answer["optimiser"]["zswap"] = {
      {"original_bytes", 3 << 20}, {"used_bytes", 1 << 20}, {"swapped_bytes", 9 << 20}};
  EXPECT_THAT(shown(), HasSubstr("swapped out 9.0 MiB, 3.0 MiB of them compressed into 1.0 MiB"));
}

TEST(Top, SaysHowManyMoreFitAndWhatEndsIt) {
  auto answer = stats(0);
  auto& room = answer["optimiser"]["room"];
  const auto shown = [&] { return render_top(TopView().digest(answer, 1, {}), 30); };
  room = {{"more", nullptr}};
  EXPECT_EQ(shown().find("room:"), std::string::npos) << "not known yet";
  room = {{"more", 99}, {"first_out", "memory"}, {"by", "estimate"}};
  EXPECT_THAT(shown(), HasSubstr("room: 99 more by memory (an estimate)\n"));
  room = {{"more", 12}, {"first_out", "memory"}, {"by", "measurement"}};
  room["images"]["xfce"] = {{"more", 12}, {"first_out", "memory"}};
  EXPECT_THAT(shown(), HasSubstr("room: 12 more by memory\n")) << "one image is the mean";
  room["images"]["icewm"] = {{"more", 40}, {"first_out", "terminals"}};
  EXPECT_THAT(shown(), HasSubstr("room: 12 more by memory; of icewm 40 more by terminals; of xfce "
                                 "12 more by memory\n"));
}

TEST(Top, SaysWhyStartsWait) {
  auto answer = stats(0);
  const auto shown = [&] { return render_top(TopView().digest(answer, 1, {}), 30); };
  answer["optimiser"]["room"] = {{"more", 12}, {"first_out", "memory"}, {"by", "measurement"}};
  EXPECT_EQ(shown().find("starts wait"), std::string::npos);
  answer["optimiser"]["room"]["waits"] = "as many desktops start (4) as the host bears (4 at once)";
  EXPECT_THAT(shown(),
              HasSubstr("room: 12 more by memory\nstarts wait: as many desktops start (4)"));
}

TEST(Top, AnswersOfAnyShapeAreSurvived) {
  for (const char* text :
       {"{}", R"({"desktops":7})", R"({"desktops":[1,null,{"id":"x","memory_bytes":-5}]})",
        R"({"optimiser":{"room":{"more":"x","images":{"a":1,"b":2}}}})",
        R"({"optimiser":{"room":{"more":1,"images":{"a":1,"b":{"more":[]}}}}})",
        R"({"host":[],"desktops":[{"id":1.5,"memory_bytes":"many","session":3,"cpu_ns":-1}]})"}) {
    TopView view;
    EXPECT_NE(render_top(view.digest(nlohmann::json::parse(text), 1, {}), 5), "") << text;
  }
}

}  // namespace
}  // namespace panal::cli

#include "bench/density/programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/density/visit.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Programs xfce() {
  return {{"nxagent", {10}}, {"xfce4-panel", {11}}, {"mousepad", {12}}, {"xterm", {13}},
          {"cat", {14}},     {"sh", {15, 16}},      {"xfconfd", {17}}};
}

TEST(Programs, OneThatRenamesItselfIsTheSame) {
  // Five of fifty XFCE desktops were said to have lost their file manager for it.
  EXPECT_EQ(program_name("thunar\n"), program_name("Thunar\n"));
  EXPECT_TRUE(is_missed(program_name("Thunar\n")));
  EXPECT_EQ(program_name("xfce4-panel\n"), "xfce4-panel");
  EXPECT_EQ(program_name(""), "");
}

TEST(Programs, AreIntactWhileOneOfTheirProcessesIsLeft) {
  Programs after = xfce();
  after["sh"] = {16};
  after["thunar-later"] = {20};
  const LostPrograms lost = lost_programs(xfce(), after);
  EXPECT_THAT(lost.missed, IsEmpty());
  EXPECT_THAT(lost.others, IsEmpty());
}

TEST(Programs, ALostPanelOrEditorIsNamedAndHelpersApart) {
  Programs after = xfce();
  after.erase("xfce4-panel");
  after.erase("mousepad");
  after.erase("xfconfd");
  const LostPrograms lost = lost_programs(xfce(), after);
  EXPECT_THAT(lost.missed, ElementsAre("mousepad", "xfce4-panel"));
  EXPECT_THAT(lost.others, ElementsAre("xfconfd"));
  EXPECT_THAT(lost_programs(xfce(), {}).missed, Not(IsEmpty())) << "a desktop that is gone";
}

TEST(Programs, OneThatWasStartedAgainIsLostButForNxagent) {
  Programs after = xfce();
  after["mousepad"] = {40};
  after["nxagent"] = {41};  // it resumes in a copy of itself
  EXPECT_THAT(lost_programs(xfce(), after).missed, ElementsAre("mousepad"));
}

TEST(Programs, WhatMostHaveIsExpectedOfEach) {
  Programs bare = xfce();
  bare.erase("xfce4-panel");
  const Programs expected = expected_programs({{1, xfce()}, {2, xfce()}, {3, bare}});
  EXPECT_TRUE(expected.contains("xfce4-panel"));
  EXPECT_FALSE(expected.contains("xfconfd")) << "helpers come and go";
  EXPECT_THAT(lost_programs(expected, bare).missed, ElementsAre("xfce4-panel"));
  EXPECT_THAT(lost_programs(expected, xfce()).missed, IsEmpty());
}

json visit_of(json more) {
  json out = {{"late", json::array()},
              {"silent", json::array()},
              {"not_attached", json::array()},
              {"lost_programs", json::array()}};
  out.update(more);
  return out;
}

TEST(Visits, SayWhatIsWrong) {
  EXPECT_EQ(what_is_wrong(visit_of(json::object()), true), std::nullopt);
  const json lost =
      json::array({{{"desktop", "desk007"}, {"names", {"mousepad"}}, {"when", "before"}}});
  EXPECT_THAT(what_is_wrong(visit_of({{"lost_programs", lost}}), false).value_or(""),
              HasSubstr("desk007 (before the visit) mousepad"));
  EXPECT_THAT(what_is_wrong(visit_of({{"late", {"desk003 after 1200 ms"}}}), true).value_or(""),
              HasSubstr("1, the first: desk003 after 1200 ms"));
  EXPECT_THAT(what_is_wrong(visit_of({{"silent", {"desk003", "desk004"}}}), true).value_or(""),
              HasSubstr("2, the first: desk003"));
  EXPECT_EQ(what_is_wrong(visit_of({{"silent", {"desk003"}}, {"late", {"desk004"}}}), false),
            std::nullopt)
      << "they are counted";
  EXPECT_TRUE(what_is_wrong(visit_of({{"not_attached", {"desk003"}}}), false));
}

}  // namespace
}  // namespace panal::bench

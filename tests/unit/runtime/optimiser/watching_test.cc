#include "runtime/optimiser/watching.h"

#include <gtest/gtest.h>

#include <vector>

namespace panal::optimiser {
namespace {

using std::chrono::milliseconds;
constexpr MonotonicNs kOneSecond = 1'000'000'000;
constexpr std::uint64_t kLeast = 16'384;  // a second
constexpr std::uint64_t kFilm = 200 * 1024;

struct Report {
  MonotonicNs at_s;
  std::uint64_t bytes;
  std::int64_t over_ms = 10'000;
};

bool watched(const std::vector<Report>& reports, MonotonicNs at_s, std::uint64_t least = kLeast) {
  Watching watching;
  for (const Report& one : reports)
    watching.flowed(one.bytes, milliseconds(one.over_ms), least, one.at_s * kOneSecond);
  return watching.now(at_s * kOneSecond);
}

TEST(Watching, WhatFlowsAllTheTimeIsWatchedAndWhatIsOverAtOnceIsNot) {
  std::vector<Report> clock, slides, film;
  for (MonotonicNs at = 100; at <= 1000; at += 60) {
    clock.push_back({at, 6 * 1024});
    slides.push_back({at, 900 * 1024});
  }
  for (MonotonicNs at = 100; at <= 1000; at += 10) film.push_back({at, 10 * kFilm});
  struct Case {
    const char* what;
    std::vector<Report> reports;
    MonotonicNs at_s;
    bool expected;
  };
  const Case cases[] = {
      {"nothing was ever told", {}, 100, false},
      {"one report", {{100, 10 * kFilm}}, 101, false},
      {"two of them", {{100, 10 * kFilm}, {110, 10 * kFilm}}, 111, true},
      {"a film", film, 1001, true},
      {"a film has ended", film, 1029, true},
      {"some time ago", film, 1030, false},
      {"a clock that is painted once a minute", clock, 1001, false},
      {"a picture once a minute, of any size", slides, 1001, false},
      {"a terminal that scrolls now and then",
       {{100, 40'000}, {110, 40'000}, {120, 40'000}},
       121,
       false},
      {"just enough", {{100, 163'840}, {110, 163'840}}, 111, true},
      {"just not", {{100, 163'839}, {110, 163'839}}, 111, false},
      {"it stutters", {{100, 10 * kFilm}, {110, 100}, {120, 10 * kFilm}}, 121, true},
      {"a second film begins anew",
       {{100, 10 * kFilm}, {110, 10 * kFilm}, {200, 10 * kFilm}},
       201,
       false},
      {"one report of a long time", {{100, 3600 * kFilm, 3'600'000}}, 101, false},
      {"reports of no time", {{100, kFilm, 0}, {116, kFilm, 0}}, 117, false},
      {"the most there can be", {{100, UINT64_MAX}, {110, UINT64_MAX}}, 111, true},
  };
  for (const Case& one : cases) EXPECT_EQ(watched(one.reports, one.at_s), one.expected) << one.what;
}

TEST(Watching, AProfileMaySayThatOnlyInputCounts) {
  EXPECT_FALSE(watched({{100, 10 * kFilm}, {110, 10 * kFilm}}, 111, 0));
}

}  // namespace
}  // namespace panal::optimiser

#include "bench/density/figure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "bench/density/density.h"
#include "bench/density/living.h"
#include "bench/density/report.h"
#include "bench/density/stored.h"

namespace panal::bench {
namespace {

TEST(Figures, HaveOneNameEachAndMeasureWhatExists) {
  std::set<std::string> names;
  for (const auto& figure : figures()) {
    EXPECT_TRUE(names.insert(figure.name).second) << figure.name;
    EXPECT_FALSE(figure.code.empty()) << figure.name;
    for (const auto& path : figure.code)
      EXPECT_TRUE(std::filesystem::exists(std::string(PANAL_SOURCE_DIR) + "/" + path)) << path;
    EXPECT_EQ(find_figure(figure.name), &figure);
  }
  EXPECT_EQ(find_figure("no.such"), nullptr);
}

TEST(Figures, SayTheirVerdict) {
  const Figure limited{"a.ms", "ms", 150, "", {"x"}};
  EXPECT_EQ(verdict_line(limited, 150), "a.ms 150 ms <=150 pass");
  EXPECT_EQ(verdict_line(limited, 151.4), "a.ms 151 ms <=150 fail");
  const Figure enough{"c.ratio", "ratio", std::nullopt, "", {"x"}, true, false, 0.9};
  EXPECT_EQ(verdict_line(enough, 0.9), "c.ratio 0.9 ratio >=0.9 pass");
  EXPECT_EQ(verdict_line(enough, 0.89), "c.ratio 0.89 ratio >=0.9 fail");
  const Figure report{"b.mib", "MiB", std::nullopt, "", {"x"}};
  EXPECT_EQ(verdict_line(report, 14.26), "b.mib 14.3 MiB report pass");
  EXPECT_EQ(verdict_line(report, 0.012345), "b.mib 0.0123 MiB report pass");
}

Stored example() {
  Stored stored;
  stored.name = "connect.running_p50_ms";
  stored.value = 93.5;
  stored.provenance.date = "2026-11-23T21:30:00Z";
  stored.provenance.machine = "a machine";
  stored.provenance.kernel = "6.18";
  stored.provenance.commit = "0123456789abcdef";
  stored.provenance.load_before = 3.5;
  stored.provenance.command = "panal-bench figure x";
  stored.provenance.trees = {{"netconfine", "aa"}, {"runtime/node", "bb"}};
  stored.details = R"({"connections": 15, "steps": [1, 2]})";
  return stored;
}

TEST(Stored, ComesBackAsItWas) {
  const Figure& figure = *find_figure("connect.running_p50_ms");
  const std::string text = print_stored(figure, example());
  const auto back = parse_stored(text, "f.json");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(print_stored(figure, *back), text);
  EXPECT_EQ(back->provenance.trees, example().provenance.trees);
  EXPECT_FALSE(nlohmann::json::parse(text)["measured"]["quiet"].get<bool>());
}

TEST(Stored, RefusesWhatIsNoResult) {
  for (const char* text : {"", "[]", "{", R"({"figure": "x"})", R"({"figure": 3, "value": 1})",
                           R"({"figure": "x", "value": "1", "measured": {"trees": {}}})",
                           R"({"figure": "x", "value": 1, "measured": []})",
                           R"({"figure": "x", "value": 1, "measured": {}})",
                           R"({"figure": "x", "value": 1, "measured": {"trees": {"a": 1}}})"}) {
    const auto parsed = parse_stored(text, "f.json");
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, EPROTO);
    EXPECT_NE(parsed.error().context.find("f.json"), std::string::npos);
  }
}

TEST(Stored, KnowsWhatHasChanged) {
  const Stored stored = example();
  EXPECT_TRUE(changed_since(stored, stored.provenance.trees).empty());
  EXPECT_EQ(changed_since(stored, {{"netconfine", "aa"}, {"runtime/node", "cc"}}),
            std::vector<std::string>{"runtime/node"});
  EXPECT_EQ(changed_since(stored, {{"netconfine", "aa"}, {"storage", "dd"}}),
            std::vector<std::string>{"storage"});
}

TEST(Stored, OfAllThatHasChangedOnlyAFiguresOwnCodeCounts) {
  const Figure figure{"a.ms", "ms", 150, "", {"netconfine", "runtime/node"}};
  const Stored stored = example();
  Trees now = stored.provenance.trees;
  now["storage"] = "new";
  EXPECT_TRUE(changed_code(figure, stored, now).empty());
  now["netconfine"] = "aa uncommitted";
  EXPECT_EQ(changed_code(figure, stored, now), std::vector<std::string>{"netconfine"});
}

TEST(Stored, ThePlaceOfAResultIsLookedAtBeforeTheRun) {
  EXPECT_TRUE(check_result_file(""));
  EXPECT_TRUE(check_result_file("/var/tmp/result.json"));
  for (const char* file : {"/tmp/result.json", "/var/../tmp/result.json"}) {
    const auto refused = check_result_file(file);
    ASSERT_FALSE(refused) << file;
    EXPECT_NE(refused.error().context.find("a lab does not see the host's /tmp"),
              std::string::npos);
  }
  const auto absent = check_result_file("/no/such/place/result.json");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ENOENT);
  EXPECT_NE(absent.error().context.find("/no/such/place"), std::string::npos);
}

TEST(Stored, AFigureThatComesAlongKeepsWhatItMeasures) {
  Provenance all = example().provenance;
  all.trees["docs"] = "cc uncommitted";
  all.uncommitted = true;
  const Provenance mine = of_code(all, {"netconfine", "absent"});
  EXPECT_EQ(mine.trees, (Trees{{"netconfine", "aa"}}));
  EXPECT_FALSE(mine.uncommitted) << "what changed is no part of it";
  EXPECT_TRUE(of_code(all, {"docs"}).uncommitted);
  for (const auto& figure : figures())
    for (const auto& path : figure.code)
      EXPECT_TRUE(std::ranges::count(all_code(), path) == 1) << path;
}

TEST(Report, ShowsAllFiguresAndMarksABusyMachine) {
  const auto find = [](const std::string& name) -> std::optional<Stored> {
    if (name == "connect.running_p50_ms") return example();
    return std::nullopt;
  };
  const std::string text = report(find, [](const std::string&) { return false; });
  EXPECT_NE(text.find("| connect.running_p50_ms | 93.5 ms (busy) | <=150 | pass |"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("| readopt.seconds | not measured |"), std::string::npos);
  EXPECT_NE(text.find("connections: 15"), std::string::npos);
  EXPECT_EQ(text.find("steps"), std::string::npos);
  EXPECT_EQ(text.find("svg"), std::string::npos) << "there is no plot";
}

TEST(Report, MarksWhatWasMeasuredOnOtherCode) {
  const auto find = [](const std::string& name) -> std::optional<Stored> {
    if (name != "connect.running_p50_ms" && name != "readopt.seconds") return std::nullopt;
    Stored stored = example();
    stored.provenance.load_before = 0;
    return stored;
  };
  const std::string text = report(
      find, [](const std::string&) { return false; },
      [](const Figure& figure, const Stored&) { return figure.name == "connect.running_p50_ms"; });
  EXPECT_NE(text.find("| connect.running_p50_ms | 93.5 ms (older code) | <=150 | pass |"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("| readopt.seconds | 93.5 s | <=2 |"), std::string::npos) << text;
}

TEST(Report, ShowsThePlotsThatExistBelowTheTable) {
  const auto none = [](const std::string&) { return std::optional<Stored>(); };
  const std::string text = report(none, [](const std::string& file) { return file == "ksm.svg"; });
  const auto at = text.find("![Memory won by merging, by law](plots/ksm.svg)");
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_GT(at, text.find("| readopt.seconds |"));
  EXPECT_EQ(text.find("memory.svg"), std::string::npos);
}

TEST(DensityCommand, StockIsOffWithDebiansImage) {
  DensityOptions options;
  choose(options, "xfce", "stock");
  EXPECT_EQ(options.image, "xfce-stock");
  EXPECT_EQ(options.profile, "off");
  EXPECT_FALSE(options.must_answer);
  EXPECT_EQ(figure_like(options), find_figure("density.xfce.stock.marginal_mib"));
  choose(options, "xfce-stock", "stock");
  EXPECT_EQ(options.image, "xfce-stock");
  DensityOptions plain;
  choose(plain, "icewm", "off");
  EXPECT_EQ(plain.image, "icewm");
  EXPECT_TRUE(plain.must_answer);
  EXPECT_EQ(figure_like(plain), find_figure("density.icewm.off.marginal_mib"));
  choose(plain, "xfce", "balanced");
  EXPECT_EQ(plain.profile, "balanced");
  EXPECT_EQ(figure_like(plain), find_figure("density.xfce.dense.marginal_mib")) << "the laws count";
  choose(plain, "mine", "off");
  EXPECT_EQ(figure_like(plain), nullptr);
}

TEST(LivingSession, IsRelativeToTheHome) {
  for (const auto& file : living_session("user001")) {
    EXPECT_NE(file.path.front(), '/');
    EXPECT_FALSE(file.text.empty());
  }
}

}  // namespace
}  // namespace panal::bench

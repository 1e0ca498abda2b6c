#include "bench/density/confinement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <nlohmann/json.hpp>

#include "bench/confinement/open_firewall.h"
#include "bench/density/confinement_ratios.h"
#include "bench/density/figure.h"
#include "bench/network/full_policies.h"
#include "netconfine/policy/text.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

LotCost lot(bool confined, double start_ms, double cpu_ms, double mib) {
  LotCost out;
  out.confined = confined;
  out.start_ms = start_ms;
  out.cpu_ms = cpu_ms;
  out.mib = mib;
  out.charged_mib = mib;
  return out;
}

/// Pairs in turns, the confined ones dearer by these factors, on a machine that gets slower.
std::vector<LotCost> lots(unsigned pairs, double start, double cpu, double mib) {
  std::vector<LotCost> out;
  for (unsigned pair = 0; pair < pairs; ++pair) {
    const double slow = 1 + pair;
    for (const bool confined : {confined_first(pair), !confined_first(pair)})
      out.push_back(lot(confined, 100 * slow * (confined ? start : 1), 500 * (confined ? cpu : 1),
                        40 * (confined ? mib : 1)));
  }
  return out;
}

TEST(Confinement, IsComparedPairByPairWhoeverCameFirst) {
  const auto ratios = confinement_ratios(lots(10, 2, 1.5, 0.5));
  EXPECT_EQ(ratios.start.pairs, 10U);
  EXPECT_DOUBLE_EQ(ratios.start.median, 2);
  EXPECT_DOUBLE_EQ(ratios.start.low, 2);
  EXPECT_DOUBLE_EQ(ratios.cpu.median, 1.5);
  EXPECT_DOUBLE_EQ(ratios.mib.high, 0.5);
  EXPECT_DOUBLE_EQ(ratios.charged_mib.median, 0.5);
}

TEST(Confinement, ALotWithoutACounterpartIsLeftOut) {
  auto all = lots(3, 1.1, 1, 1);
  all.pop_back();
  EXPECT_EQ(confinement_ratios(all).start.pairs, 2U);
  EXPECT_EQ(confinement_ratios({}).start.pairs, 0U);
}

TEST(Confinement, FailsOnlyWhereTheLowerBoundIsPastTheTarget) {
  const Figure& start = *find_figure("net.start_ratio_400");
  const Figure& cost = *find_figure("net.cost_ratio_1000");
  // Dear in most pairs, and not in some: that may be noise.
  auto noisy = lots(12, 1.2, 1, 1);
  for (std::size_t i = 0; i < 8; ++i)
    if (noisy[i].confined) noisy[i].start_ms /= 1.2;
  const auto unsure = confinement_ratios(noisy);
  EXPECT_GT(unsure.start.median, 1.05);
  EXPECT_TRUE(passes(start, start_figure(unsure)));
  EXPECT_FALSE(passes(start, start_figure(confinement_ratios(lots(12, 1.06, 1, 1)))));
  EXPECT_TRUE(passes(cost, cost_figure(confinement_ratios(lots(12, 9, 1.04, 0.9)))));
  EXPECT_FALSE(passes(cost, cost_figure(confinement_ratios(lots(12, 1, 1.06, 0.9)))));
  EXPECT_FALSE(passes(cost, cost_figure(confinement_ratios(lots(12, 1, 0.9, 1.06)))))
      << "one does not make good for the other";
}

TEST(Confinement, NoPairBeginsThatWouldNotEndInTime) {
  EXPECT_TRUE(another_fits(0, 0, 3300)) << "nobody knows yet how long one takes";
  EXPECT_TRUE(another_fits(3100, 200, 3300));
  EXPECT_FALSE(another_fits(3101, 200, 3300));
}

TEST(Confinement, TheTableSaysBothArms) {
  const auto all = lots(10, 1.5, 1.02, 1.01);
  json result = {{"lot", 40},
                 {"background", 360},
                 {"pairs", 10},
                 {"lots", json::array()},
                 {"ratios", to_json(confinement_ratios(all))}};
  for (const LotCost& one : all) result["lots"].push_back(to_json(one));
  const std::string table = confinement_table(result);
  EXPECT_THAT(table, HasSubstr("lots of 40 beside 360 desktops, 10 pairs"));
  EXPECT_THAT(table, HasSubstr("| CPU until it has rested, ms | 500.0 | 510.0 | 1.020 (1.020 to "
                               "1.020) |"));
  EXPECT_THAT(table, HasSubstr("| memory (MemAvailable), MiB | 40.0 | 40.4 | 1.010"));
}

TEST(Confinement, RefusesALotThatIsNone) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{11}}) {
    ConfinementOptions options;
    options.count = 10;
    options.lot = size;
    const auto result = run_confinement(options);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, EINVAL);
  }
}

TEST(Confinement, ItsPoliciesCanBeReadBack) {
  const auto all = full_policies();
  const auto read = netconfine::parse_policies(netconfine::print_policies(all), "n.toml");
  ASSERT_TRUE(read) << read.error().context;
  EXPECT_EQ(read->policies, all.policies);
  EXPECT_EQ(read->services.size(), all.services.size());
}

TEST(OpenFirewall, LetsEverythingBeAndCannotCutOff) {
  OpenFirewall firewall(UniqueFd(::eventfd(0, EFD_CLOEXEC)));
  EXPECT_TRUE(firewall.load({}, {}));
  EXPECT_TRUE(firewall.put({}));
  EXPECT_TRUE(firewall.remove({}));
  EXPECT_TRUE(firewall.links()->empty());
  EXPECT_TRUE(firewall.drops()->empty());
  EXPECT_TRUE(firewall.audit()->empty());
  ASSERT_GE(firewall.changes(), 0);
  pollfd idle{firewall.changes(), POLLIN, 0};
  EXPECT_EQ(::poll(&idle, 1, 0), 0) << "nobody is asked to look";
  EXPECT_FALSE(firewall.cut_off()) << "so that links are taken down";
}

}  // namespace
}  // namespace panal::bench

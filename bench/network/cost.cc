#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/backends/spread.h"
#include "bench/density/say.h"
#include "bench/network/network.h"
#include "bench/network/node.h"
#include "bench/network/paired.h"

namespace panal::bench {
namespace {

using nlohmann::json;

/// One lane of a node and what its turns have said.
struct Course {
  Lane lane;
  std::vector<double> cpu_ns = {}, wall_ns = {};
  std::size_t late = 0;
};

struct NodeTurns {
  std::unique_ptr<MeasuredNode> node;
  std::vector<Course> courses;
};

/// A batch by a lane whose packets each open a connection begins with none.
Result<Batch> send_one(NodeTurns& one, Course& course) {
  if (course.lane.opens_connections()) PANAL_TRY(one.node->forget_connections());
  return course.lane.send();
}

/// One batch that nobody times (what the other nodes' turns have put out of the caches comes back,
/// a connection that was forgotten begins again), then those that count.
Result<void> take_turn(NodeTurns& one, unsigned batches, bool counts) {
  for (Course& course : one.courses) {
    PANAL_ASSIGN(const Batch warm, send_one(one, course));
    (void)warm;
    std::vector<double> cpu, wall;
    for (unsigned i = 0; i < batches; ++i) {
      PANAL_ASSIGN(const Batch batch, send_one(one, course));
      if (!batch.at_once) {
        ++course.late;
        continue;
      }
      cpu.push_back(batch.cpu_ns);
      wall.push_back(batch.wall_ns);
    }
    if (!counts) continue;
    // A turn without any value keeps its place: turns are compared by their numbers.
    course.cpu_ns.push_back(median_of(std::move(cpu)));
    course.wall_ns.push_back(median_of(std::move(wall)));
  }
  return {};
}

const Course* find_course(const NodeTurns& one, const std::string& way) {
  const auto found = std::find_if(one.courses.begin(), one.courses.end(),
                                  [&](const Course& course) { return course.lane.way() == way; });
  return found == one.courses.end() ? nullptr : &*found;
}

json way_json(const Course& course) {
  const Spread wall = spread_of(course.wall_ns);
  return {{"cpu_ns", to_json(spread_of(course.cpu_ns))},
          {"wall_ns", to_json(wall)},
          {"packets_per_second", wall.p50 > 0 ? 1e9 / wall.p50 : 0},
          {"late", course.late}};
}

/// `nodes`: of one arm, by size.
json arm_json(const std::vector<const NodeTurns*>& nodes) {
  json out = {{"nodes", json::array()}, {"flatness", json::object()}};
  std::map<std::string, const Course*> smallest;
  for (const NodeTurns* one : nodes) {
    json ways = json::object();
    for (const Course& course : one->courses) {
      ways[course.lane.way()] = way_json(course);
      smallest.try_emplace(course.lane.way(), &course);
    }
    out["nodes"].push_back({{"desktops", one->node->desktops()}, {"ways", std::move(ways)}});
  }
  for (const auto& [way, base] : smallest) {
    const Course* largest = find_course(*nodes.back(), way);
    if (largest == nullptr || largest == base) continue;
    out["flatness"][way] = to_json(ratio_of(base->cpu_ns, largest->cpu_ns));
  }
  return out;
}

}  // namespace

Result<json> network_cost(const NetworkOptions& options, const std::vector<std::string>& arms) {
  json result = json::object();
  std::vector<NodeTurns> all;
  std::map<std::string, std::vector<std::size_t>> of_arm;
  for (const auto& arm : arms) {
    for (const std::size_t size : options.sizes) {
      say("{}: {} desktops", arm, size);
      auto node = MeasuredNode::make(arm, size);
      if (!node && node.error().code == EPROTONOSUPPORT) {
        result[arm] = {{"skipped", node.error().message()}};
        break;
      }
      if (!node) return tl::make_unexpected(node.error());
      NodeTurns one;
      one.node = std::move(*node);
      PANAL_ASSIGN(auto lanes, one.node->lanes());
      for (Lane& lane : lanes) one.courses.push_back({std::move(lane)});
      of_arm[arm].push_back(all.size());
      all.push_back(std::move(one));
    }
    if (result.contains(arm)) of_arm.erase(arm);
  }
  const OnOneCore here;
  say("{} turns of {} nodes", options.rounds, all.size());
  constexpr unsigned kWarmRounds = 2;
  for (unsigned round = 0; round < options.rounds + kWarmRounds; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      // Forth and back: what drifts is not taken for a difference.
      NodeTurns& one = all[round % 2 == 0 ? i : all.size() - 1 - i];
      if (auto done = take_turn(one, options.batches, round >= kWarmRounds); !done)
        return prefixed(fmt::format("{} with {} desktops", one.node->arm(), one.node->desktops()),
                        done.error());
    }
  }
  for (const auto& [arm, numbers] : of_arm) {
    std::vector<const NodeTurns*> nodes;
    for (const std::size_t number : numbers) nodes.push_back(&all[number]);
    result[arm] = arm_json(nodes);
  }
  return result;
}

double worst_flatness(const json& arm) {
  double worst = 0;
  if (!arm.contains("flatness")) return worst;
  for (const auto& [way, ratio] : arm["flatness"].items())
    worst = std::max(worst, ratio["median"].get<double>());
  return worst;
}

}  // namespace panal::bench

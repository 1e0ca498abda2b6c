#include "netconfine/qos/shape_diff.h"

#include <algorithm>
#include <utility>

namespace panal::netconfine {
namespace {

// How far below the root; a tree is three deep, so a chain that is longer is a circle or a
// stranger's, and any order is as good.
unsigned depth(const std::map<Minor, ShapeClass>& tree, Minor minor) {
  constexpr unsigned kDeepest = 8;
  unsigned steps = 0;
  for (auto at = tree.find(minor); at != tree.end() && steps < kDeepest; ++steps) {
    at = tree.find(at->second.parent);
  }
  return steps;
}

}  // namespace

void parents_first(std::vector<ShapeClass>& shapes) {
  const auto rank = [](const ShapeClass& shape) {
    if (shape.parent == 0) return 0;
    return shape.queue_bytes == 0 ? 1 : 2;
  };
  // (std::stable_sort of GCC 12 does not compile with a newer clang.)
  std::sort(shapes.begin(), shapes.end(), [&](const auto& a, const auto& b) {
    return std::pair(rank(a), a.minor) < std::pair(rank(b), b.minor);
  });
}

TreeDifference compare_trees(const std::map<Minor, ShapeClass>& meant,
                             const std::vector<FoundClass>& found) {
  std::map<Minor, ShapeClass> is;
  for (const auto& one : found) is[one.shape.minor] = one.shape;
  TreeDifference difference;
  for (const auto& [minor, shape] : is) {
    const auto wanted = meant.find(minor);
    if (wanted == meant.end() || wanted->second.parent != shape.parent) {
      difference.gone.push_back(minor);
    }
  }
  // A class cannot go while it has children: those of one that goes are made anew.
  for (bool more = true; more;) {
    more = false;
    for (const auto& [minor, shape] : is) {
      const auto goes = [&](Minor one) {
        return std::find(difference.gone.begin(), difference.gone.end(), one) !=
               difference.gone.end();
      };
      if (!goes(minor) && goes(shape.parent)) {
        difference.gone.push_back(minor);
        more = true;
      }
    }
  }
  std::sort(difference.gone.begin(), difference.gone.end(), [&](Minor a, Minor b) {
    return std::pair(depth(is, b), a) < std::pair(depth(is, a), b);
  });
  for (const auto& [minor, shape] : meant) {
    const auto has = is.find(minor);
    const bool made_anew =
        std::find(difference.gone.begin(), difference.gone.end(), minor) != difference.gone.end();
    if (has == is.end() || made_anew || !same_shape(shape, has->second)) {
      difference.put.push_back(shape);
    }
  }
  parents_first(difference.put);
  return difference;
}

bool same_queue(const ShapeClass& shape, LeafQueue meant, const FoundQdisc& found) {
  if (found.handle != queue_handle(shape.minor)) return false;
  if (meant == LeafQueue::kFqCodel) return found.kind == "fq_codel";
  return found.kind == "bfifo" && found.fifo_bytes == shape.queue_bytes;
}

}  // namespace panal::netconfine

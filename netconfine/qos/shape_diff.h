#pragma once

#include <map>
#include <vector>

#include "netconfine/qos/tc_parse.h"

namespace panal::netconfine {

/// How the kernel's tree becomes the one that is meant.
struct TreeDifference {
  std::vector<Minor> gone;      ///< to be deleted first; children before parents
  std::vector<ShapeClass> put;  ///< then these; parents before children
};

/// `found` may be in any order, as the kernel lists it.
[[nodiscard]] TreeDifference compare_trees(const std::map<Minor, ShapeClass>& meant,
                                           const std::vector<FoundClass>& found);

/// Sorts classes so that each comes after its parent.
void parents_first(std::vector<ShapeClass>& shapes);

/// True when the queue of `shape` is the one meant.
[[nodiscard]] bool same_queue(const ShapeClass& shape, LeafQueue meant, const FoundQdisc& found);

}  // namespace panal::netconfine

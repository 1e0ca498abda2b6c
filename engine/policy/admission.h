#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/policy/cost_model.h"

namespace panal::policy {

enum class ResourceKind : std::uint8_t { kMemory, kIo, kCpu, kNetwork, kKernelObjects };
[[nodiscard]] std::string_view to_string(ResourceKind kind);

/// One thing desktops use up, and what one more desktop of the image in question takes of it.
/// Kernel objects are a resource each: processes, inotify instances, ptys, keys, neighbours...
struct Resource {
  std::string name;  ///< as in the refusal: "memory", "inotify instances"
  std::string unit;  ///< "MiB", "cores"; empty for things that are counted
  ResourceKind kind = ResourceKind::kMemory;
  double used = 0;
  double limit = 0;    ///< of all there is
  double reserve = 0;  ///< of that, kept for the host and for what desktops will still grow
  MarginalCost cost;   ///< where not measured, `each` is the recipe's own estimate
};

struct Capacity {
  std::uint32_t more = 0;  ///< desktops that fit besides those that are here
  std::size_t first_out =
      SIZE_MAX;           ///< index of the resource that ends it; SIZE_MAX: none is known
  bool measured = false;  ///< `first_out` has a measured cost
};

/// How many more fit, and what runs out first. A resource that costs nothing never ends it.
/// `more` is 1,000,000 where nothing does.
[[nodiscard]] Capacity capacity(const std::vector<Resource>& resources);

/// "no room for another desktop of image xfce: it takes 36.0 MiB of memory (measured), 20.5 MiB of
/// 24105 MiB are left beside the reserve of 2411 MiB". Empty where one more fits.
[[nodiscard]] std::string refusal(std::string_view image, const std::vector<Resource>& resources);

/// "12 more desktops of image xfce fit; memory runs out first"
[[nodiscard]] std::string room(std::string_view image, const std::vector<Resource>& resources);

/// What the active may still grow by: the 95th percentile of how much a desktop grew within the
/// last minutes, for each active one.
[[nodiscard]] double growth_reserve(std::vector<double> growths, std::size_t active);

}  // namespace panal::policy

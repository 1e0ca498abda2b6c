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
  double reserve = 0;  ///< of that, kept for the host
  MarginalCost cost;   ///< where not measured, `each` is an estimate
  /// Why it does not count: "not measured yet". Empty: it does.
  std::string unknown = {};
};

/// As many as fit where nothing ends it.
inline constexpr std::uint32_t kNoEnd = 1'000'000;

/// How many more fit into this one; kNoEnd where it never ends or does not count.
[[nodiscard]] std::uint32_t fits(const Resource& resource);

struct Capacity {
  std::uint32_t more = 0;  ///< desktops that fit besides those that are here
  std::size_t first_out =
      SIZE_MAX;           ///< index of the resource that ends it; SIZE_MAX: none is known
  bool measured = false;  ///< `first_out` has a measured cost
};

/// How many more fit, and what runs out first. A resource that costs nothing, or of which nothing
/// is known, never ends it.
/// `more` is kNoEnd where nothing does.
[[nodiscard]] Capacity capacity(const std::vector<Resource>& resources);

/// "no room for another desktop of image xfce: it takes 36.0 MiB of memory (measured), 20.5 MiB of
/// 24105 MiB are left beside the reserve of 2411 MiB". Empty where one more fits.
[[nodiscard]] std::string refusal(std::string_view image, const std::vector<Resource>& resources);

/// "12 more desktops of image xfce fit; memory runs out first"
[[nodiscard]] std::string room(std::string_view image, const std::vector<Resource>& resources);

}  // namespace panal::policy

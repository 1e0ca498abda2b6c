#include "runtime/optimiser/ksmd.h"

#include <cstdlib>
#include <utility>

namespace panal::optimiser {

std::optional<kernel::Ksmd> find_ksmd(const Tree& tree) {
  if (auto found = kernel::Ksmd::find(tree)) return std::move(*found);
  const char* shown = std::getenv(kKsmdVariable);
  if (shown == nullptr) return std::nullopt;
  auto directory = Dir::open(shown);
  if (!directory) return std::nullopt;
  kernel::Ksmd ksmd(std::move(*directory));
  if (!ksmd.cpu_ns()) return std::nullopt;
  return ksmd;
}

}  // namespace panal::optimiser

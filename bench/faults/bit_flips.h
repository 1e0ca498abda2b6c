#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "storage/image/image_store.h"
#include "storage/repo/repository.h"

namespace panal::bench {

/// What came of flipping bits in objects of a repository.
struct BitFlips {
  unsigned objects = 0;                 ///< in which a bit was flipped
  unsigned manifests = 0;               ///< the same
  unsigned names = 0;                   ///< the same
  std::vector<std::string> complaints;  ///< damage that was not found, or not mended
};

/// Flips one random bit in each of `count` random objects (their content; of an empty file or a
/// link its owner), of which verify() must name each, with the version and the path it is seen at,
/// and repair() fetch each from `sound`; then in as many at once. Then, `count` times, one in the
/// manifest of a random version and one in the name that the repository has for it, which repair()
/// must write anew. Each time gc() must delete nothing that is needed. Ends with all as it was.
[[nodiscard]] Result<BitFlips> flip_bits(storage::ImageStore& store,
                                         const storage::Repository& sound, unsigned count,
                                         std::uint64_t seed);

}  // namespace panal::bench

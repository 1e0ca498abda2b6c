#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "storage/compose/facts.h"

namespace panal::storage {

/// The word for "the best that this node has".
inline constexpr std::string_view kAutoBackend = "auto";

/// What an image's desktop is to have.
struct Wish {
  std::string backend = std::string(kAutoBackend);
  bool persistent = false;
  bool layers = false;  ///< the image has some beside its version
  /// The backend that the desktop's persistent root is of; "" without one.
  std::string kept_by = {};
  bool limit = false;  ///< what it writes is to be held to one
};

struct Choice {
  std::string backend;
  /// Sentences, the first about what was chosen, then one for each that was passed over.
  std::vector<std::string> reasons;
};

/// The backends there are, best first; all that a configuration may name besides "auto".
[[nodiscard]] const std::vector<std::string>& backend_names();

/// Why a backend cannot be had on such a node, a sentence with what to do; "": it can. Names that
/// were once one's way to do this and are none here (aufs, unionfs, union-mount) have their
/// sentence too. Errors: EINVAL for other names.
[[nodiscard]] Result<std::string> why_not(std::string_view backend, const ComposeFacts& facts);

/// The same, for who only tries and measures: it leaves out what is wrong with a backend
/// everywhere.
[[nodiscard]] Result<std::string> why_absent(std::string_view backend, const ComposeFacts& facts);

/// Pure: from the facts and the wish to a backend and why. A persistent root stays with the backend
/// that it is of, whatever is wished: its files are there. Errors: EINVAL for an unknown name;
/// EOPNOTSUPP with a sentence when what was named, or all of "auto", cannot be had.
[[nodiscard]] Result<Choice> choose_backend(const Wish& wish, const ComposeFacts& facts);

}  // namespace panal::storage

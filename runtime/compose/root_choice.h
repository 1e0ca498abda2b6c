#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "runtime/config/config.h"
#include "storage/compose/choice.h"
#include "storage/compose/composer.h"
#include "storage/compose/facts.h"

namespace panal::compose {

/// How roots are made on a node: [compose] of its configuration, over what was found on it.
///
/// A backend is the node's to choose and not the farm's: it depends on the node's kernel, programs
/// and disks. So it stands in the node's configuration, image by image, and in no recipe and no
/// database.
class RootChoice {
 public:
  /// Looks around (storage::probe_compose), and makes the directory of desktops' layers if it is
  /// not there. Errors: EINVAL naming the key of [compose] with a backend that is none; those of
  /// looking.
  [[nodiscard]] static Result<RootChoice> open(const config::Config& config, const Tree& tree);
  RootChoice(const config::Config& config, storage::ComposeFacts facts);

  /// For an image's desktops in general. Errors: those of storage::choose_backend().
  [[nodiscard]] Result<storage::Choice> for_image(const std::string& image, bool persistent) const;
  /// For one: a persistent one stays with the backend that has its root.
  [[nodiscard]] Result<storage::Choice> for_desktop(const std::string& image, bool persistent,
                                                    const std::string& upper_dir) const;
  /// The trees over the image's versions, the lowest first.
  [[nodiscard]] std::vector<std::string> layers_of(const std::string& image) const;
  [[nodiscard]] const storage::ComposeFacts& facts() const { return facts_; }

 private:
  [[nodiscard]] storage::Wish wish_for(const std::string& image, bool persistent) const;

  config::Config config_;
  storage::ComposeFacts facts_;
};

/// What the configuration says to the backends.
[[nodiscard]] storage::ComposerOptions composer_options(const config::Config& config);

}  // namespace panal::compose

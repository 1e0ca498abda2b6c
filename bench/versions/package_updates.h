#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

/// An installed Debian package of an image, by what dpkg says of it.
struct Package {
  std::string name;                ///< of its list: "bash", "libc6:amd64"
  std::vector<std::string> files;  ///< below the root, of all kinds
};

/// The paths in the text of a dpkg list (var/lib/dpkg/info/NAME.list), below the root and as they
/// lie in a merged /usr: "usr/lib/x" for "/lib/x". Lines that are no absolute path, name the root
/// itself, or lead upwards are passed over.
[[nodiscard]] std::vector<std::string> parse_package_list(std::string_view text);

/// All packages of the tree `root`, by name. Errors: ENOENT where dpkg has no lists there.
[[nodiscard]] Result<std::vector<Package>> packages_of(const std::string& root);

/// Which of `all` packages get a new version in week `week`, at most `each` of them: another draw
/// each week, the same one each time. Indices, ascending.
[[nodiscard]] std::vector<std::size_t> draw_packages(std::size_t all, std::size_t each,
                                                     unsigned week);

/// What dpkg wrote into a tree in one week.
struct WeeklyUpdate {
  std::vector<std::string> packages;
  std::vector<std::string> written;  ///< files, below the root
  std::uint64_t written_bytes = 0;
  std::size_t changed = 0;  ///< of the files: those with another content
  std::uint64_t changed_bytes = 0;
};

/// Installs new versions of these packages in the tree `root`, whose files may be hard links to
/// files of others: each is replaced, never written to. Debian's archive of other days is not at
/// hand, so what a new version changes is a model: all programs and libraries (ELF) and compressed
/// files (changelogs), which a rebuild makes anew, one in ten of the others, dpkg's own records,
/// the linker's cache. A changed file differs in eight bytes of each 4 KiB; all others of the
/// package are written again as they were, as dpkg does. Errors: those of reading and writing.
[[nodiscard]] Result<WeeklyUpdate> update_packages(const std::string& root,
                                                   const std::vector<Package>& packages,
                                                   const std::vector<std::size_t>& chosen,
                                                   unsigned week);

}  // namespace panal::bench

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/recipe/recipe.h"

/// What mmdebstrap is told, and what it says: pure functions of the recipe and of its output.
namespace panal::storage::mmdebstrap {

/// Where things are inside the build's mount namespace.
inline constexpr const char* kBuildDir = "/tmp/build";
inline constexpr const char* kRootDir = "/tmp/build/root";
inline constexpr const char* kInputDir = "/tmp/build/input";
inline constexpr const char* kScript = "finalise.sh";              ///< below kInputDir
inline constexpr const char* kFilesDir = "files";                  ///< below kInputDir
inline constexpr const char* kDebsDir = "var/cache/apt/archives";  ///< below kRootDir

/// Packages to ask for: the recipe's, and those its locales need. Sorted.
[[nodiscard]] std::vector<std::string> packages(const Recipe& recipe);

/// Where packages come from.
struct Sources {
  std::string mirror = "http://deb.debian.org/debian";
  std::string security_mirror = "http://deb.debian.org/debian-security";
  std::string proxy;  ///< for the build only; not left in the image
};

/// The command line.
[[nodiscard]] std::vector<std::string> arguments(const Recipe& recipe, const Sources& sources);

/// The shell script that mmdebstrap runs, with the image's directory as $1, once all packages are
/// in: copies the recipe's files, makes locales, and removes what no desktop needs.
[[nodiscard]] std::string finalise_script(const Recipe& recipe);

/// Follows mmdebstrap's output (--verbose) line by line.
class Progress {
 public:
  /// Takes a line; true if fraction or what() changed.
  bool feed(std::string_view line);
  /// 0..1, never falls.
  [[nodiscard]] double fraction() const { return fraction_; }
  /// In words for people: "unpacking libgtk-3-0".
  [[nodiscard]] const std::string& what() const { return what_; }

 private:
  bool step(double begin, double end, unsigned done, unsigned total, std::string what);

  double fraction_ = 0;
  std::string what_;
  unsigned round_ = 0;  ///< 1: the essential packages, 2: all others
  unsigned total_ = 0;  ///< packages of this round
  unsigned fetched_ = 0;
  unsigned unpacked_ = 0;
  unsigned configured_ = 0;
};

/// Installed packages and their versions out of dpkg's status file, sorted by name. The file may be
/// a stranger's: what is no package name or no version (Debian policy 5.6.1, 5.6.12; at most 128
/// bytes each) is left out, and what is past 100,000 packages.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> parse_dpkg_status(
    std::string_view text);

}  // namespace panal::storage::mmdebstrap

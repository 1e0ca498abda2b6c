#include "bench/density/freshness.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "bench/density/command.h"
#include "runtime/config/config.h"

namespace panal::bench {
namespace {

/// The path in the first line of `git status --porcelain`: two letters, a blank, the path.
std::string first_path(const std::string& status) {
  return status.substr(3, status.find('\n') - 3);
}

Result<void> check_committed(const std::string& source) {
  PANAL_ASSIGN(const auto changes,
               output_of({"git", "-C", source, "status", "--porcelain", "--", ".",
                          ":(exclude)bench/results", ":(exclude)docs/results.md"}));
  if (changes.empty()) return {};
  const auto count = std::count(changes.begin(), changes.end(), '\n');
  return fail(EPROTO, fmt::format("{} has uncommitted changes ({}{}): a result could not say "
                                  "what was measured; commit them, build, measure again",
                                  source, first_path(changes),
                                  count > 1 ? fmt::format(", {} more", count - 1) : ""));
}

/// CMake keeps where it was told to build from.
Result<void> check_configured(const std::string& source, const std::string& build) {
  std::ifstream cache(build + "/CMakeCache.txt");
  for (std::string line; std::getline(cache, line);) {
    constexpr std::string_view kKey = "CMAKE_HOME_DIRECTORY:INTERNAL=";
    if (!line.starts_with(kKey)) continue;
    std::error_code error;
    if (std::filesystem::equivalent(line.substr(kKey.size()), source, error)) return {};
    return fail(EPROTO, build + " was built from " + line.substr(kKey.size()) + ", not from " +
                            source + "; run the panal-bench that was built there");
  }
  return fail(EPROTO, build + " is no build directory: nothing says which code its programs are");
}

}  // namespace

Result<void> check_fresh(const std::string& source, const std::string& build,
                         const std::vector<std::string>& programs) {
  PANAL_TRY(check_committed(source));
  PANAL_TRY(check_configured(source, build));
  // CMake's files look for new sources at every run, and a dry run ends at that. So this is done
  // for good (it builds no program), and the plan is made from the same file by its other name,
  // which ninja does not know as one that it must make first.
  PANAL_TRY(output_of({"ninja", "-C", build, "build.ninja"}));
  std::vector<std::string> words = {"ninja", "-C", build, "-f", build + "/build.ninja", "-n"};
  words.insert(words.end(), programs.begin(), programs.end());
  PANAL_ASSIGN(const auto plan, output_of(words));
  if (plan.find("no work to do") != std::string::npos) return {};
  return fail(EPROTO, "the programs in " + build +
                          "/bin are older than the commit that the result would name; build them "
                          "(ninja -C " +
                          build + ") and measure again");
}

const std::vector<std::string>& measured_programs() {
  static const std::vector<std::string> all = {"panald",       "panal-spawner", "panal-broker",
                                               "panal-agent",  "panal-prewarm", "panal",
                                               "panal-client", "panald-open",   "panal-bench"};
  return all;
}

std::string build_directory() {
  return std::filesystem::path(config::program_dir()).parent_path().string();
}

}  // namespace panal::bench

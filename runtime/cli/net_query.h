#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/cli/shell.h"

namespace panal::cli {

struct NetQueryOptions {
  std::vector<std::string> words;  ///< FROM TO, FROM to TO, or "FROM -> TO"
  std::string tenant;              ///< narrows names of desktops
  std::string file;                ///< policies that are not in force; empty: those that are
  bool ipv6 = false, json = false;
};

/// FROM and TO out of the words. Errors: EINVAL with a sentence.
[[nodiscard]] Result<std::pair<std::string, std::string>> split_ends(
    const std::vector<std::string>& words);

/// A command line of the family `net` with "->" in a word of its own, which would be taken for an
/// option: it becomes "to".
[[nodiscard]] std::vector<std::string> without_arrows(std::vector<std::string> words);

/// Says an error of a file of policies: a mistake in it is the caller's, as one in panal.toml is.
[[nodiscard]] ExitCode told_of_file(const Shell& shell, const Error& error);

/// Says what the rules do with a connection, and why.
[[nodiscard]] ExitCode net_explain(Shell& shell, const NetQueryOptions& options);
/// The same, and has panald send a packet; kFailed when it does not do as the rules say.
[[nodiscard]] ExitCode net_test(Shell& shell, const NetQueryOptions& options);

}  // namespace panal::cli

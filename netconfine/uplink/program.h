#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::netconfine {

/// What a program of the host printed, and how it ended.
struct ProgramOutput {
  int status = 0;     ///< exit status; 128+N when signal N ended it
  std::string out;    ///< its standard output
  std::string error;  ///< its standard error
};

/// True when `name` is found in the system's program folders.
[[nodiscard]] bool has_program(const std::string& name);

/// Runs a program of the system's folders with these arguments, no shell, an environment of its own
/// and `input` as standard input, in the network namespace of the calling thread. Errors: ENOENT
/// when there is none, ETIMEDOUT when it took longer than `limit` (it is killed), E2BIG for output
/// past 1 MiB. Another exit status than 0 is not one.
[[nodiscard]] Result<ProgramOutput> run_program(
    const std::vector<std::string>& words, const std::string& input = {},
    std::chrono::milliseconds limit = std::chrono::seconds(20));

/// As run_program; a status other than 0 is EPROTO, with the first line of what it said.
[[nodiscard]] Result<std::string> must_run(const std::vector<std::string>& words,
                                           const std::string& input = {});

/// The words as a person would type them.
[[nodiscard]] std::string shown(const std::vector<std::string>& words);

}  // namespace panal::netconfine

#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::netconfine {

/// A program to start, without a shell.
struct Program {
  std::string path;  ///< absolute
  std::vector<std::string> arguments;
};

/// How a program has ended.
struct Ended {
  int status = 0;  ///< exit status; 128 + N when signal N ended it
  std::string output;
  std::string errors;
};

/// Where `name` is among the directories that only root writes to; PATH is not asked.
/// Errors: ENOENT.
[[nodiscard]] Result<std::string> find_program(const std::string& name);

/// Starts the program in the calling thread's namespaces, with `input` as its standard input and
/// hardly any environment, and waits for its end. Its output goes to files without a name, so
/// that neither waits for the other. It ends with the caller, however that ends. A status other
/// than 0 is no error here.
/// Errors: those of fork(2), execve(2) and memfd_create(2); ETIMEDOUT past `limit` (it is killed).
[[nodiscard]] Result<Ended> run_program(const Program& program, std::string_view input,
                                        std::chrono::milliseconds limit);

/// One sentence about a program that has failed: what it says, and the line of its input that it
/// complains about. Codes: EPERM, EPROTONOSUPPORT where the kernel or the program lacks a table,
/// a match or a target, EAGAIN where somebody else holds the tables' lock, otherwise EIO.
[[nodiscard]] Error failure_of(const Program& program, std::string_view input, const Ended& ended);

/// As run_program(), and a status other than 0 is an error (failure_of). Gives the output.
[[nodiscard]] Result<std::string> output_of(const Program& program, std::string_view input = {});

}  // namespace panal::netconfine

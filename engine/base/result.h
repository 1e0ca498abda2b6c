#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <tl/expected.hpp>
#include <utility>

namespace panal {

/// What failed: an errno value and a sentence that names the operation and the object.
///
/// The code is captured at the failing call and never changes on the way up; each layer may
/// put what it was doing in front of the context ("start d7: mount overlay /run/...").
struct Error {
  int code = 0;         ///< errno value; EPROTO for text that does not parse, EINVAL for bad input.
  std::string context;  ///< operation and object, without a trailing full stop.

  /// "context: strerror(code)"; only the context where code is 0.
  [[nodiscard]] std::string message() const;

  /// The object is gone (ENOENT, ENODEV, ESRCH): normal life for a cgroup or a pid.
  [[nodiscard]] bool is_gone() const { return code == ENOENT || code == ENODEV || code == ESRCH; }

  /// This kernel lacks the interface (ENOSYS, EOPNOTSUPP): the caller's policy decides what to do
  /// without it.
  [[nodiscard]] bool is_unsupported() const { return code == ENOSYS || code == EOPNOTSUPP; }
};

/// A value or an Error. std::expected can replace it when the compiler has one.
template <typename T>
using Result = tl::expected<T, Error>;

using Failure = tl::unexpected<Error>;

/// An Error with an explicit code.
[[nodiscard]] inline Failure fail(int code, std::string context) {
  return tl::make_unexpected(Error{code, std::move(context)});
}

/// An Error with the current errno and the context "operation object". Call it directly after the
/// failing call. It takes views so that building the arguments allocates nothing before errno is
/// read.
[[nodiscard]] Failure fail_errno(std::string_view operation, std::string_view object = {});

/// Puts `prefix: ` in front of an error's context and keeps its code.
[[nodiscard]] inline Failure prefixed(std::string_view prefix, Error error) {
  error.context.insert(0, ": ").insert(0, prefix);
  return tl::make_unexpected(std::move(error));
}

}  // namespace panal

/// Returns the error of `expr` (a Result) from the enclosing function, if it has one.
#define PANAL_TRY(expr)                                                \
  do {                                                                 \
    if (auto panal_try_result = (expr); !panal_try_result)             \
      return tl::make_unexpected(std::move(panal_try_result.error())); \
  } while (false)

#define PANAL_CONCAT_INNER(a, b) a##b
#define PANAL_CONCAT(a, b) PANAL_CONCAT_INNER(a, b)

/// `PANAL_ASSIGN(auto fd, open_it(path));`: declares or assigns the value, or returns the error.
#define PANAL_ASSIGN(target, expr)                                                        \
  auto PANAL_CONCAT(panal_assign_, __LINE__) = (expr);                                    \
  if (!PANAL_CONCAT(panal_assign_, __LINE__))                                             \
    return tl::make_unexpected(std::move(PANAL_CONCAT(panal_assign_, __LINE__).error())); \
  target = std::move(*PANAL_CONCAT(panal_assign_, __LINE__))

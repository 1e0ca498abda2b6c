#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "storage/home/home_store.h"

/// What panald and the program panal-home say to each other: work on homes that may hang is done in
/// a process of its own, which can be given up.
namespace panal::storage::home_call {

enum class Verb { kAttach, kDetach, kRelease, kRecover, kRemove, kProbe };
[[nodiscard]] std::string_view to_string(Verb verb);

struct Call {
  Verb verb = Verb::kProbe;
  std::string homes_dir;
  HomeRules rules;
  HomeSpec spec;                   ///< attach, detach, release; tenant and home of remove
  std::vector<std::string> words;  ///< recover: the living; probe: paths
};

/// As the program's arguments, and back. Errors: EINVAL naming the word that is wrong.
[[nodiscard]] std::vector<std::string> to_words(const Call& call);
[[nodiscard]] Result<Call> parse_words(const std::vector<std::string>& words);

/// What the program prints, a line each: "at N" before the Nth path of a probe is looked at, "bad N
/// CODE TEXT" when one is wrong, and as the last line "done" or "failed CODE TEXT".
struct Answer {
  bool complete = false;           ///< the last line has come
  int at = -1;                     ///< the path that was being looked at last; -1: none
  Result<void> result;             ///< once complete
  std::vector<Result<void>> each;  ///< of a probe's paths, as far as it came
};
/// Text is cut to a line and 400 bytes. Errors: EPROTO for lines that are none of these.
[[nodiscard]] Result<Answer> parse_answer(std::string_view text);
[[nodiscard]] std::string print_at(std::size_t number);
[[nodiscard]] std::string print_bad(std::size_t number, const Error& error);
[[nodiscard]] std::string print_result(const Result<void>& result);

}  // namespace panal::storage::home_call

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::warm {

enum class Verb : std::uint8_t {
  kTouch,   ///< bring a record's pages into the page cache
  kRecord,  ///< look which pages of a tree are there, and keep it beside the tree
  kCool,    ///< let the tree's page cache go
};
[[nodiscard]] std::string_view to_string(Verb verb);

/// What panal-warm is to do; one thing a process.
struct Order {
  Verb verb = Verb::kTouch;
  std::string root;   ///< the version's tree
  std::string group;  ///< the memory group that pays, "panal-warm"; empty: this process's own
  /// kTouch: the directory whose record is taken; that of another version of the image, perhaps.
  /// kRecord: where it is kept.
  std::string record_dir;
  std::uint64_t most_bytes = 0;        ///< kTouch, kRecord: of hot pages
  std::uint64_t bytes_per_second = 0;  ///< kTouch; 0: as fast as it goes
  std::uint32_t most_seconds = 60;     ///< all of it; 1..3600
  std::uint32_t generation = 0;        ///< kRecord: HotPages::generation

  [[nodiscard]] bool operator==(const Order&) const = default;
};

/// The words behind the program's name, and back. Errors: EINVAL with a sentence.
[[nodiscard]] std::vector<std::string> arguments(const Order& order);
[[nodiscard]] Result<Order> parse_order(std::span<const std::string_view> words);

/// What it came to.
struct Answer {
  std::uint64_t hot_bytes = 0;       ///< of the record
  std::uint64_t resident_bytes = 0;  ///< kTouch: were there already
  std::uint64_t read_bytes = 0;      ///< kTouch: had to be read
  std::uint64_t files = 0;           ///< kRecord, kCool: that have pages in the cache
  std::uint64_t kept_files = 0;      ///< kCool: whose pages did not all go
  std::uint64_t missing_files = 0;   ///< kTouch: of the record, not in the tree
  std::uint64_t failed_files = 0;    ///< kTouch: could not be read
  bool complete = false;             ///< no budget ended it

  [[nodiscard]] bool operator==(const Answer&) const = default;
};

/// Its last line, "done hot=4096 ... complete=1\n", and that line in all that it said (others, of
/// its progress, are left out). Errors: EPROTO.
[[nodiscard]] std::string print_answer(const Answer& answer);
[[nodiscard]] Result<Answer> parse_answer(std::string_view text);

}  // namespace panal::warm

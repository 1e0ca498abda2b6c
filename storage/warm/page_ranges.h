#pragma once

#include <cstdint>
#include <vector>

namespace panal::storage {

/// Neighbouring pages of one file, counted from its begin.
struct PageRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;

  [[nodiscard]] std::uint64_t end() const { return first + count; }
  [[nodiscard]] bool operator==(const PageRange&) const = default;
};

/// Ascending; none is empty, none touches the next.
using PageRanges = std::vector<PageRange>;

/// Pages that a file of so many bytes has.
[[nodiscard]] std::uint64_t pages_of(std::uint64_t size_bytes, std::uint64_t page_bytes);
[[nodiscard]] std::uint64_t page_count(const PageRanges& ranges);
/// Adds a page behind the last one.
void append_page(PageRanges& ranges, std::uint64_t page);
/// What of them lies before page `end`.
[[nodiscard]] PageRanges clipped(const PageRanges& ranges, std::uint64_t end);
/// Those of `all` that are not in `taken`.
[[nodiscard]] PageRanges without(const PageRanges& all, const PageRanges& taken);
/// The same with gaps of at most `gap` pages filled: a read of a few pages more costs less than a
/// read more.
[[nodiscard]] PageRanges joined(const PageRanges& ranges, std::uint64_t gap);

}  // namespace panal::storage

#include "storage/warm/page_ranges.h"

#include <algorithm>

namespace panal::storage {

std::uint64_t pages_of(std::uint64_t size_bytes, std::uint64_t page_bytes) {
  return size_bytes / page_bytes + (size_bytes % page_bytes == 0 ? 0 : 1);
}

std::uint64_t page_count(const PageRanges& ranges) {
  std::uint64_t pages = 0;
  for (const PageRange& range : ranges) pages += range.count;
  return pages;
}

void append_page(PageRanges& ranges, std::uint64_t page) {
  if (!ranges.empty() && ranges.back().end() == page)
    ++ranges.back().count;
  else
    ranges.push_back({page, 1});
}

PageRanges clipped(const PageRanges& ranges, std::uint64_t end) {
  PageRanges kept;
  for (const PageRange& range : ranges) {
    if (range.first >= end) break;
    kept.push_back({range.first, std::min(range.count, end - range.first)});
  }
  return kept;
}

PageRanges without(const PageRanges& all, const PageRanges& taken) {
  PageRanges rest;
  auto next = taken.begin();
  for (const PageRange& range : all) {
    std::uint64_t at = range.first;
    while (next != taken.end() && next->end() <= at) ++next;
    // One that is taken may reach into the next range as well, so `next` stays where it is.
    for (auto hole = next; hole != taken.end() && hole->first < range.end(); ++hole) {
      if (hole->first > at) rest.push_back({at, hole->first - at});
      at = std::max(at, hole->end());
      if (at >= range.end()) break;
    }
    if (at < range.end()) rest.push_back({at, range.end() - at});
  }
  return rest;
}

PageRanges joined(const PageRanges& ranges, std::uint64_t gap) {
  PageRanges all;
  for (const PageRange& range : ranges) {
    if (!all.empty() && range.first - all.back().end() <= gap)
      all.back().count = range.end() - all.back().first;
    else
      all.push_back(range);
  }
  return all;
}

}  // namespace panal::storage

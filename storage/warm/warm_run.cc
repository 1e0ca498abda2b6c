#include "storage/warm/warm_run.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/open_beneath.h"
#include "storage/warm/residency.h"

namespace panal::storage {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{256} << 10;

/// The same pages in pages of another size, those at the edges whole.
PageRanges in_pages_of(const PageRanges& ranges, std::uint64_t from_bytes, std::uint64_t to_bytes) {
  if (from_bytes == to_bytes) return ranges;
  PageRanges out;
  for (const PageRange& range : ranges) {
    const std::uint64_t first = range.first * from_bytes / to_bytes;
    const std::uint64_t end = pages_of(range.end() * from_bytes, to_bytes);
    if (!out.empty() && first <= out.back().end())
      out.back().count = std::max(out.back().end(), end) - out.back().first;
    else
      out.push_back({first, end - first});
  }
  return out;
}

/// The first pages of them.
PageRanges first_pages(const PageRanges& ranges, std::uint64_t pages) {
  PageRanges kept;
  for (const PageRange& range : ranges) {
    if (pages == 0) break;
    kept.push_back({range.first, std::min(range.count, pages)});
    pages -= kept.back().count;
  }
  return kept;
}

}  // namespace

WarmRun::WarmRun(UniqueFd root, HotPages pages, std::uint64_t most_bytes)
    : root_(std::move(root)),
      pages_(std::move(pages)),
      page_bytes_(kernel_page_bytes()),
      record_bytes_(pages_.bytes()),
      left_bytes_(most_bytes),
      buffer_(kPieceBytes) {}

Result<WarmRun> WarmRun::begin(const std::string& root, HotPages pages, std::uint64_t most_bytes) {
  UniqueFd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open", root);
  return WarmRun(std::move(fd), std::move(pages), most_bytes);
}

double WarmRun::fraction() const {
  if (done_ || record_bytes_ == 0) return 1;
  return std::min(1.0, static_cast<double>(report_.hot_bytes) / static_cast<double>(record_bytes_));
}

void WarmRun::look_at(const HotFile& file) {
  auto opened = open_beneath(root_.get(), file.path);
  if (!opened) {
    ++report_.missing_files;
    return;
  }
  struct stat info{};
  if (::fstat(opened->get(), &info) != 0) {
    ++report_.failed_files;
    return;
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  const PageRanges all = clipped(in_pages_of(file.ranges, pages_.page_bytes, page_bytes_),
                                 pages_of(size, page_bytes_));
  const PageRanges hot = first_pages(all, left_bytes_ / page_bytes_);
  cut_ = cut_ || page_count(hot) < page_count(all);
  if (hot.empty()) return;
  const auto resident = resident_pages(opened->get(), size);
  if (!resident) {
    ++report_.failed_files;
    return;
  }
  wanted_ = without(hot, *resident);
  next_range_ = 0;
  const std::uint64_t hot_bytes = page_count(hot) * page_bytes_;
  report_.hot_bytes += hot_bytes;
  report_.resident_bytes += hot_bytes - page_count(wanted_) * page_bytes_;
  left_bytes_ -= hot_bytes;
  if (wanted_.empty()) return;
  // Else the kernel reads ahead, past what is wanted.
  (void)::posix_fadvise(opened->get(), 0, 0, POSIX_FADV_RANDOM);
  file_ = std::move(*opened);
}

bool WarmRun::open_next() {
  while (!file_ && next_file_ < pages_.files.size()) {
    if (left_bytes_ < page_bytes_) return false;
    look_at(pages_.files[next_file_++]);
  }
  return file_.valid();
}

std::uint64_t WarmRun::read_piece(std::uint64_t most_bytes) {
  PageRange& range = wanted_[next_range_];
  const std::uint64_t most_pages = std::max<std::uint64_t>(1, pages_of(most_bytes, page_bytes_));
  const std::uint64_t bytes =
      std::min<std::uint64_t>(buffer_.size(), std::min(range.count, most_pages) * page_bytes_);
  const ssize_t got = ::pread(file_.get(), buffer_.data(), static_cast<std::size_t>(bytes),
                              static_cast<off_t>(range.first * page_bytes_));
  if (got < 0 && errno == EINTR) return 0;
  if (got <= 0) {
    if (got < 0) ++report_.failed_files;
    file_.reset();
    return 0;
  }
  const std::uint64_t pages = pages_of(static_cast<std::uint64_t>(got), page_bytes_);
  range.first += pages;
  range.count -= std::min(range.count, pages);
  if (range.count == 0 && ++next_range_ == wanted_.size()) file_.reset();
  report_.read_bytes += pages * page_bytes_;
  return pages * page_bytes_;
}

std::uint64_t WarmRun::step(std::uint64_t bytes) {
  std::uint64_t read = 0;
  while (!done_ && read < bytes) {
    if (open_next()) {
      read += read_piece(bytes - read);
      continue;
    }
    done_ = true;
    report_.complete = !cut_ && next_file_ == pages_.files.size();
  }
  return read;
}

}  // namespace panal::storage

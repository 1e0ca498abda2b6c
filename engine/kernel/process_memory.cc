#include "engine/kernel/process_memory.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace panal::kernel {
namespace {

constexpr std::size_t kMostVectors = 1024;  // the kernel's UIO_MAXIOV
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kHugePage = 2 << 20;

int advice_number(MemoryAdvice advice) {
  switch (advice) {
    case MemoryAdvice::kPageOut: return MADV_PAGEOUT;
    case MemoryAdvice::kCold: return MADV_COLD;
    case MemoryAdvice::kWillNeed: return MADV_WILLNEED;
  }
  return -1;
}

/// Where a walk over ranges stands.
struct Cursor {
  std::span<const AddressRange> ranges;
  std::size_t index = 0;
  std::uint64_t offset = 0;  ///< within that range

  [[nodiscard]] bool at_end() const { return index == ranges.size(); }
  [[nodiscard]] std::uint64_t left() const { return ranges[index].bytes - offset; }
  void skip_empty() {
    while (!at_end() && left() == 0) {
      ++index;
      offset = 0;
    }
  }
  void advance(std::uint64_t bytes) {
    for (skip_empty(); bytes != 0 && !at_end(); skip_empty()) {
      const std::uint64_t step = std::min(bytes, left());
      offset += step;
      bytes -= step;
    }
  }
};

/// What comes next, up to `bytes`, in pieces of at most `bytes`. One that ends within a range ends
/// between huge pages where it can: advice for a part of one has the kernel split it, and memory in
/// small pages goes more slowly than a neighbour's in huge ones, even where it is to go first.
std::vector<iovec> next_batch(Cursor at, std::uint64_t bytes) {
  std::vector<iovec> batch;
  for (at.skip_empty(); bytes != 0 && !at.at_end() && batch.size() < kMostVectors;
       at.skip_empty()) {
    std::uint64_t piece = std::min(bytes, at.left());
    const std::uint64_t start = at.ranges[at.index].start + at.offset;
    const std::uint64_t between = (start + piece) / kHugePage * kHugePage;
    if (piece < at.left() && between > start) {
      piece = between - start;
      bytes = piece;  // the rest of the range begins the next batch
    }
    batch.push_back({reinterpret_cast<void*>(start), piece});  // NOLINT: of another process
    at.advance(piece);
    bytes -= piece;
  }
  return batch;
}

bool concerns_the_process(int error) {
  return error == ESRCH || error == EPERM || error == ENOSYS || error == EBADF || error == EFAULT;
}

}  // namespace

Result<AdviceProgress> advise_ranges(std::span<const AddressRange> ranges,
                                     const AdviceBudget& budget, const AdviceCall& call) {
  AdviceProgress progress;
  Cursor at{ranges};
  const std::uint64_t per_call = std::max(budget.bytes_per_call / kPage * kPage, kPage);
  for (at.skip_empty(); !at.at_end(); at.skip_empty()) {
    const std::uint64_t done = progress.advised_bytes + progress.refused_bytes;
    const std::uint64_t allowed = budget.bytes > done ? (budget.bytes - done) / kPage * kPage : 0;
    if (allowed == 0 || std::chrono::steady_clock::now() >= budget.deadline) {
      progress.next = {ranges[at.index].start + at.offset, at.left()};
      progress.next_index = at.index;
      return progress;
    }
    const std::vector<iovec> batch = next_batch(at, std::min(per_call, allowed));
    const ssize_t taken = call(batch);
    if (taken > 0) {
      // Fewer than asked for: the range behind them is refused by the next call.
      progress.advised_bytes += static_cast<std::uint64_t>(taken);
      at.advance(static_cast<std::uint64_t>(taken));
      continue;
    }
    const int error = taken == 0 ? EIO : errno;
    if (error == EINTR || error == EAGAIN) continue;
    if (concerns_the_process(error)) return fail(error, "process_madvise");
    progress.refused_bytes += batch.front().iov_len;
    progress.last_refusal = error;
    at.advance(batch.front().iov_len);
  }
  progress.complete = true;
  progress.next_index = ranges.size();
  return progress;
}

Result<AdviceProgress> advise_process(const Pidfd& process, std::span<const AddressRange> ranges,
                                      MemoryAdvice advice, const AdviceBudget& budget) {
  auto progress = advise_ranges(ranges, budget, [&](std::span<const iovec> batch) {
    return static_cast<ssize_t>(::syscall(SYS_process_madvise, process.fd(), batch.data(),
                                          batch.size(), advice_number(advice), 0));
  });
  if (!progress)
    return prefixed("advise process " + std::to_string(process.pid()), std::move(progress.error()));
  return progress;
}

}  // namespace panal::kernel

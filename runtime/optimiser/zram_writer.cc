#include "runtime/optimiser/zram_writer.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/kernel/cgroup_stat.h"
#include "engine/policy/units.h"
#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {
namespace {

using std::chrono::seconds;

constexpr MonotonicNs kDay = 24 * 60 * policy::kMinute;
/// Until a device is looked for again, or after an error.
constexpr seconds kLater{300};

seconds whole_seconds(MonotonicNs span) {
  return seconds(std::max<MonotonicNs>(1, span / policy::kSecond));
}

/// The device in use that has `place` behind it; empty: none.
std::string device_with(const Tree& tree, const std::string& place) {
  const auto names = tree.sys.list("block");
  if (!names) return {};
  for (const std::string& name : *names) {
    if (!name.starts_with("zram")) continue;
    const auto dir = tree.sys.open_dir("block/" + name);
    if (!dir) continue;
    const auto used = kernel::read_number(*dir, "initstate");
    const auto behind = kernel::read_zram_backing(tree, *dir);
    if (used && *used == 1 && behind && *behind == place) return name;
  }
  return {};
}

}  // namespace

ZramWriter::~ZramWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ZramWriter::begin() {
  thread_ = std::thread([this] { loop(); });
}

void ZramWriter::loop() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    const seconds rest = step(monotonic_ns());
    lock.lock();
    changed_.wait_for(lock, rest, [this] { return ending_; });
  }
}

std::uint64_t ZramWriter::written_bytes() const {
  const std::lock_guard lock(mutex_);
  return written_;
}

void ZramWriter::complain(const char* what, const Error& error) const {
  parts_.log->warning("zram_writeback", {{"step", what}, {"why", error.message()}});
}

seconds ZramWriter::step(MonotonicNs now_ns) {
  const std::string name = device_with(parts_.tree, parts_.place);
  const auto device = name.empty() ? Result<Dir>(fail(ENODEV, "no zram of ours"))
                                   : parts_.tree.sys.open_dir("block/" + name);
  if (!device) {
    marked_.clear();
    return std::min(kLater, parts_.after);
  }
  const MonotonicNs due = marked_at_ns_ + parts_.after.count() * policy::kSecond;
  if (marked_ == name && now_ns < due) return whole_seconds(due - now_ns);
  if (marked_ == name) return write(*device, now_ns);
  if (const auto marked = kernel::mark_zram_idle(*device); !marked) {
    complain("mark", marked.error());
    return std::max(kLater, parts_.after);
  }
  marked_ = name;
  marked_at_ns_ = now_ns;
  huge_first_ = true;
  return parts_.after;
}

seconds ZramWriter::write(const Dir& device, MonotonicNs now_ns) {
  if (day_began_ns_ == 0 || now_ns - day_began_ns_ >= kDay) {
    day_began_ns_ = now_ns;
    this_day_ = 0;
  }
  std::uint64_t portion = kPortion;
  if (parts_.bytes_per_day > 0)
    portion = std::min(portion, policy::less(parts_.bytes_per_day, this_day_));
  if (portion < policy::kPageBytes) {
    marked_.clear();  // what is idle by then is another matter
    return whole_seconds(day_began_ns_ + kDay - now_ns);
  }
  const auto what = huge_first_ ? kernel::ZramWriteback::kHuge : kernel::ZramWriteback::kIdle;
  const auto written = kernel::write_back_zram(device, what, portion);
  if (!written) {
    complain("write", written.error());
    marked_.clear();
    return std::max(kLater, parts_.after);
  }
  this_day_ += *written;
  {
    const std::lock_guard lock(mutex_);
    written_ += *written;
  }
  if (*written >= portion / policy::kPageBytes * policy::kPageBytes) return kRest;  // there is more
  if (!std::exchange(huge_first_, false)) marked_.clear();
  return kRest;
}

}  // namespace panal::optimiser

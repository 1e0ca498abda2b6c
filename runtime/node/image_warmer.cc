#include "runtime/node/image_warmer.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "engine/base/file_tree.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/parent_limit.h"
#include "engine/kernel/psi.h"
#include "runtime/warm/process.h"
#include "storage/warm/hot_pages.h"

namespace panal::node {
namespace {

constexpr std::chrono::seconds kIdle{10};
/// A desktop's programs are up by then, where nobody says so.
constexpr std::chrono::seconds kSurelySettled{120};

MonotonicNs warmer_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// "/images/icewm/1" of "/images/icewm/1/root", and of that "/images/icewm".
std::string directory_above(const std::string& path) { return path.substr(0, path.rfind('/')); }

warm::Order order_for(const WarmJob& job, const std::string& root, const std::string& record_dir,
                      const std::string& group) {
  warm::Order order;
  order.verb = job.act == WarmAct::kTouch    ? warm::Verb::kTouch
               : job.act == WarmAct::kRecord ? warm::Verb::kRecord
                                             : warm::Verb::kCool;
  order.root = root;
  order.group = group;
  order.record_dir = record_dir;
  order.most_bytes = job.most_bytes;
  order.bytes_per_second = job.bytes_per_second;
  order.most_seconds = static_cast<std::uint32_t>(job.most.count());
  order.generation = job.generation;
  return order;
}

struct FoundRecord {
  std::string dir;
  std::uint32_t generation = 0;
  std::int64_t recorded_unix_s = 0;
};

std::optional<FoundRecord> record_in(const std::string& dir, Logger& log) {
  const auto record = storage::read_hot_pages(dir);
  if (record) return FoundRecord{dir, record->generation, record->recorded_unix_s};
  if (record.error().code != ENOENT) log.warning("hot_pages", {{"why", record.error().message()}});
  return std::nullopt;
}

/// The newest record beside this version's directory; `newest` where none is newer.
std::optional<FoundRecord> newest_beside(const std::string& version_dir, Logger& log,
                                         std::optional<FoundRecord> newest) {
  const std::string image_dir = directory_above(version_dir);
  const auto dir = Dir::open(image_dir);
  if (!dir) return newest;
  const auto names = dir->list();
  if (!names) return newest;
  for (const std::string& name : *names) {
    const std::string other = image_dir + "/" + name;
    if (other == version_dir) continue;
    auto record = record_in(other, log);
    if (record && (!newest || record->recorded_unix_s > newest->recorded_unix_s))
      newest = std::move(record);
  }
  return newest;
}

}  // namespace

Result<std::unique_ptr<ImageWarmer>> ImageWarmer::open(Parts parts) {
  std::unique_ptr<ImageWarmer> warmer(new ImageWarmer(std::move(parts)));
  warmer->interrupt_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!warmer->interrupt_) return fail_errno("make eventfd");
  try {
    warmer->thread_ = std::thread([raw = warmer.get()] { raw->work(); });
  } catch (const std::system_error& problem) {
    return fail(problem.code().value(), "start a thread");
  }
  return warmer;
}

ImageWarmer::~ImageWarmer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    interrupt();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ImageWarmer::interrupt() const {
  const std::uint64_t one = 1;
  (void)!::write(interrupt_.get(), &one, sizeof one);
}

void ImageWarmer::tell(std::vector<WarmDemand> demands) {
  {
    const std::lock_guard lock(mutex_);
    for (auto& [root, entry] : entries_) {
      entry.plan.demand.running = entry.plan.demand.wanting = 0;
      entry.plan.demand.is_default = false;
    }
    bool storm = false;
    for (WarmDemand& demand : demands) {
      storm = storm || demand.wanting >= WarmVersion::kStorm;
      const std::string root = parts_.images.root_of(demand.image, demand.version);
      entries_[root].plan.demand = std::move(demand);
    }
    if (storm && unhurried_) {
      interrupted_ = true;
      interrupt();
    }
    woken_ = true;
  }
  changed_.notify_all();
}

void ImageWarmer::started(const std::string& version_root) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(version_root);
  if (found != entries_.end() && !found->second.started_ns) found->second.started_ns = warmer_now();
}

void ImageWarmer::settled(const std::string& version_root) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(version_root);
    // One that began before the cache was cooled has touched less than all since.
    if (found == entries_.end() || !found->second.started_ns) return;
    found->second.plan.settled = true;
    woken_ = true;
  }
  changed_.notify_all();
}

metrics::WarmFigures ImageWarmer::figures() const {
  const std::lock_guard lock(mutex_);
  metrics::WarmFigures now = figures_;
  for (const auto& [root, entry] : entries_) now.hot_bytes += entry.plan.hot_bytes;
  return now;
}

storage::WarmMemory ImageWarmer::memory() const {
  storage::WarmMemory memory;
  // Unknown memory is none: nothing is touched then.
  const auto host = kernel::read_meminfo(parts_.tree);
  if (!host) return memory;
  memory.available = host->available;
  memory.reserve =
      parts_.reserve_bytes > 0 ? parts_.reserve_bytes : kernel::default_reserve_bytes(host->total);
  const auto pressure = kernel::read_host_pressure(parts_.tree, kernel::PressureResource::kMemory);
  if (pressure) memory.waited_percent = pressure->some.avg10_percent;
  return memory;
}

void ImageWarmer::find_records() {
  std::vector<std::string> fresh;
  {
    const std::lock_guard lock(mutex_);
    // Of a version that is gone, or not on this disk yet, nothing is kept.
    std::erase_if(entries_,
                  [](const auto& item) { return ::access(item.first.c_str(), F_OK) != 0; });
    for (const auto& [root, entry] : entries_)
      if (!entry.looked_for_records) fresh.push_back(root);
  }
  for (const std::string& root : fresh) {
    const std::string dir = directory_above(root);
    const std::string aside = aside_of(root);
    auto own = record_in(dir, *parts_.log);
    if (!own) own = record_in(aside, *parts_.log);
    std::optional<FoundRecord> other;
    if (!own) other = newest_beside(aside, *parts_.log, newest_beside(dir, *parts_.log, {}));
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(root);
    if (found == entries_.end()) continue;
    Entry& entry = found->second;
    entry.looked_for_records = true;
    if (own) {
      entry.plan.record = own->generation;
      entry.record_dir = own->dir;
    }
    if (other) {
      entry.plan.other_record = other->generation;
      entry.other_dir = other->dir;
    }
  }
}

std::string ImageWarmer::aside_of(const std::string& root) const {
  const std::string dir = directory_above(root);
  return parts_.aside_dir + dir.substr(directory_above(directory_above(dir)).size());
}

std::string ImageWarmer::keeping_dir(const std::string& root) const {
  std::string dir = directory_above(root);
  if (::access(dir.c_str(), W_OK) == 0) return dir;
  dir = aside_of(root);
  std::error_code ignored;  // panal-warm says what is wrong with it
  std::filesystem::create_directories(dir, ignored);
  return dir;
}

void ImageWarmer::sweep_aside() const {
  const auto aside = Dir::open(parts_.aside_dir);
  if (!aside) return;
  const auto images = aside->list();
  if (!images) return;
  for (const std::string& image : *images) {
    const auto versions = aside->list(image);
    if (!versions) continue;
    for (const std::string& version : *versions)
      if (::access(parts_.images.root_of(image, version).c_str(), F_OK) != 0 && errno == ENOENT)
        (void)remove_tree(parts_.aside_dir + "/" + image + "/" + version);
  }
}

std::optional<ImageWarmer::Task> ImageWarmer::next_task() {
  find_records();
  storage::WarmLimits limits;
  limits.most_bytes = parts_.most_bytes;
  const std::uint64_t budget = storage::warm_budget(memory(), limits);
  const MonotonicNs now = warmer_now();
  const std::lock_guard lock(mutex_);
  figures_.budget_bytes = budget;
  std::vector<const std::string*> roots;
  std::vector<WarmVersion> versions;
  for (auto& [root, entry] : entries_) {
    if (!entry.looked_for_records) continue;
    if (entry.started_ns &&
        now - *entry.started_ns >= std::chrono::nanoseconds(kSurelySettled).count())
      entry.plan.settled = true;
    roots.push_back(&root);
    versions.push_back(entry.plan);
  }
  const auto job = next_warm_job(versions, budget, parts_.most_bytes, now);
  if (!job || stopping_) return std::nullopt;
  // What was asked of an earlier process is no word to this one.
  std::uint64_t drained = 0;
  (void)!::read(interrupt_.get(), &drained, sizeof drained);
  interrupted_ = false;
  unhurried_ = job->bytes_per_second > 0;
  Task task{*job, *roots[job->index], {}};
  Entry& entry = entries_[task.root];
  if (job->act == WarmAct::kTouch)
    task.record_dir = job->other ? entry.other_dir : entry.record_dir;
  // Whoever starts from now on shows what it needs; those before it do not.
  if (job->act == WarmAct::kCool) {
    entry.started_ns.reset();
    entry.plan.settled = false;
  }
  return task;
}

void ImageWarmer::carry_out(const Task& task) {
  const WarmJob& job = task.job;
  const std::string record_dir =
      job.act == WarmAct::kRecord ? keeping_dir(task.root) : task.record_dir;
  const auto run = [&]() -> Result<warm::Answer> {
    PANAL_ASSIGN(
        auto process,
        warm::Process::start(parts_.program, order_for(job, task.root, record_dir, parts_.group)));
    return process.finish(interrupt_.get());
  };
  const auto answer = run();
  const std::string act(to_string(job.act));

  const std::lock_guard lock(mutex_);
  unhurried_ = false;
  if (stopping_) return;
  const auto found = entries_.find(task.root);
  if (found == entries_.end()) return;
  WarmVersion& version = found->second.plan;
  version.failed = !answer.has_value();
  if (!answer) {
    ++figures_.failures[act];
    version.looked_ns = warmer_now();
    // The record may be gone, or damaged: whether there is one is to be seen again.
    if (job.act == WarmAct::kTouch) {
      version.record.reset();
      version.other_record.reset();
      found->second.looked_for_records = false;
    }
    parts_.log->warning("warm",
                        {{"act", act}, {"root", task.root}, {"why", answer.error().message()}});
    return;
  }
  ++figures_.runs[act];
  figures_.read_bytes += answer->read_bytes;
  switch (job.act) {
    case WarmAct::kTouch:
      if (interrupted_) break;  // for a storm, which it is not to delay
      // The first pass tells nothing of evictions.
      version.pause = version.looked_ns
                          ? next_warm_pause(version.pause, answer->hot_bytes, answer->read_bytes)
                          : WarmVersion{}.pause;
      version.looked_ns = warmer_now();
      version.hot_bytes = answer->hot_bytes;
      break;
    case WarmAct::kRecord:
      version.record = job.generation;
      found->second.record_dir = record_dir;
      version.looked_ns.reset();
      break;
    case WarmAct::kCool:
      version.cooled = true;
      version.looked_ns.reset();
      version.hot_bytes = 0;
      // What a running desktop has mapped did not go, and what else it needs it reads again.
      if (version.demand.running > 0 && !found->second.started_ns)
        found->second.started_ns = warmer_now();
      break;
  }
  // A look that found all there is no news.
  if (job.act == WarmAct::kTouch && answer->read_bytes == 0) return;
  parts_.log->info("warm", {{"act", act},
                            {"root", task.root},
                            {"hot_mib", std::to_string(answer->hot_bytes >> 20U)},
                            {"read_mib", std::to_string(answer->read_bytes >> 20U)},
                            {"files", std::to_string(answer->files)},
                            {"missing_files", std::to_string(answer->missing_files)},
                            {"failed_files", std::to_string(answer->failed_files)},
                            {"complete", answer->complete ? "yes" : "no"}});
}

void ImageWarmer::work() {
  sweep_aside();
  for (;;) {
    if (const auto task = next_task()) {
      carry_out(*task);
    } else {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kIdle, [this] { return stopping_ || woken_; });
      woken_ = false;
    }
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
  }
}

}  // namespace panal::node

#include "runtime/warm/program.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <thread>
#include <vector>

#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "storage/warm/record.h"
#include "storage/warm/warm_run.h"

namespace panal::warm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kStepBytes = std::uint64_t{4} << 20;
constexpr int kSlicesPerSecond = 10;

/// Pages are charged to the group of whoever brings them in: on v1 to that of the process's first
/// thread, so a thread of panald could not do this.
Result<void> enter_group(const std::string& path) {
  if (path.empty()) return {};
  PANAL_ASSIGN(const Tree tree, Tree::open_system());
  PANAL_ASSIGN(const auto groups, kernel::CgroupRoot::open(tree));
  PANAL_ASSIGN(const auto group, kernel::Cgroup::create(groups, path));
  return group.add(::getpid());
}

/// Behind everybody else, for CPU and disk. Where the kernel says no it is only less polite.
void step_back() {
  constexpr int kIoprioWhoProcess = 1;
  constexpr int kIoprioIdle = 3 << 13;
  (void)::setpriority(PRIO_PROCESS, 0, 19);
  (void)::syscall(SYS_ioprio_set, kIoprioWhoProcess, 0, kIoprioIdle);
}

Result<Answer> touch(const Order& order, const Doings& doings, Clock::time_point deadline) {
  PANAL_ASSIGN(auto pages, storage::read_hot_pages(order.record_dir));
  PANAL_ASSIGN(auto run, storage::WarmRun::begin(order.root, std::move(pages), order.most_bytes));
  const bool paced = order.bytes_per_second > 0;
  const std::uint64_t slice =
      paced ? std::max<std::uint64_t>(1, order.bytes_per_second / kSlicesPerSecond) : kStepBytes;
  while (!run.done() && Clock::now() < deadline) {
    const std::uint64_t read = run.step(slice);
    doings.progress(run.fraction());
    // Nothing was read: it came to the end of the record.
    if (doings.told_to_end(paced && read > 0 ? 1000 / kSlicesPerSecond : 0)) break;
  }
  const storage::WarmReport& report = run.report();
  Answer answer;
  answer.hot_bytes = report.hot_bytes;
  answer.resident_bytes = report.resident_bytes;
  answer.read_bytes = report.read_bytes;
  answer.missing_files = report.missing_files;
  answer.failed_files = report.failed_files;
  answer.complete = report.complete;
  return answer;
}

Result<Answer> record(const Order& order, const std::atomic<bool>& ended) {
  PANAL_ASSIGN(auto pages, storage::record_hot_pages(order.root, &ended));
  Answer answer;
  const std::uint64_t found = pages.bytes();
  pages = storage::kept_within(std::move(pages), order.most_bytes);
  pages.generation = order.generation;
  pages.recorded_unix_s = std::max<std::int64_t>(0, std::time(nullptr));
  PANAL_TRY(storage::write_hot_pages(order.record_dir, pages));
  answer.hot_bytes = pages.bytes();
  answer.files = pages.files.size();
  answer.complete = answer.hot_bytes == found;
  return answer;
}

Result<Answer> cool(const Order& order, const std::atomic<bool>& ended) {
  PANAL_ASSIGN(const auto report, storage::cool_tree(order.root, &ended));
  Answer answer;
  answer.files = report.files;
  answer.kept_files = report.kept_files;
  answer.complete = true;
  return answer;
}

/// Sets `ended` once the word comes or the time is over, while it lives.
class Watch {
 public:
  Watch(const Doings& doings, Clock::time_point deadline, std::atomic<bool>& ended)
      : thread_([this, &doings, deadline, &ended] {
          while (!over_.load()) {
            if (!doings.told_to_end(50) && Clock::now() < deadline) continue;
            ended = true;
            return;
          }
        }) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() {
    over_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

/// Standard input says nothing: it ends.
bool input_ended(int wait_ms) {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  return ::poll(&input, 1, wait_ms) > 0;
}

}  // namespace

Result<Answer> carry_out(const Order& order, const Doings& doings) {
  const auto deadline = Clock::now() + std::chrono::seconds(order.most_seconds);
  PANAL_TRY(enter_group(order.group));
  if (order.verb == Verb::kTouch) return touch(order, doings, deadline);
  std::atomic<bool> ended{false};
  const Watch watch(doings, deadline, ended);
  return order.verb == Verb::kRecord ? record(order, ended) : cool(order, ended);
}

int warm_main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + std::min(argc, 1), argv + argc);
  const auto order = parse_order(words);
  if (!order) {
    std::fprintf(stderr, "panal-warm: %s\n", order.error().context.c_str());
    return 2;
  }
  step_back();
  int told_percent = -1;
  Doings doings;
  doings.told_to_end = input_ended;
  doings.progress = [&told_percent](double fraction) {
    const int percent = static_cast<int>(fraction * 100);
    if (percent == told_percent) return;
    told_percent = percent;
    std::printf("progress %d\n", percent);
    (void)std::fflush(stdout);
  };
  const auto answer = carry_out(*order, doings);
  if (!answer) {
    std::fprintf(stderr, "panal-warm: %s\n", answer.error().message().c_str());
    return 1;
  }
  (void)std::fputs(print_answer(*answer).c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace panal::warm

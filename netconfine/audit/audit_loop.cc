#include "netconfine/audit/audit_loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <system_error>
#include <thread>

namespace panal::netconfine {
namespace {

class Loop : public AuditLoop {
 public:
  Loop(Network& network, const AuditIntervals& intervals,
       std::function<void(const AuditReport&)> each, UniqueFd stop)
      : network_(network),
        intervals_(intervals),
        each_(std::move(each)),
        stop_(std::move(stop)),
        thread_([this] { run(); }) {}

  ~Loop() override {
    const std::uint64_t one = 1;
    // An eventfd takes this unless it is full, and then it is readable anyway.
    (void)!write(stop_.get(), &one, sizeof(one));
    thread_.join();
  }

 private:
  void run() {
    const int changes = network_.changes();
    auto wait = std::chrono::milliseconds(0);  // the first audit is due now
    while (!stopped(changes, wait)) {
      const AuditReport report = network_.audit();
      if (each_) each_(report);
      if (report.outcome == AuditReport::Outcome::kCutOff) {
        wait = intervals_.retry;
      } else if (changes < 0) {
        wait = intervals_.untold;
      } else {
        wait = report.untold ? intervals_.links : intervals_.at_least;
      }
    }
  }

  // Waits for a change, the time or the end.
  bool stopped(int changes, std::chrono::milliseconds limit) {
    std::array<pollfd, 2> ready = {{{stop_.get(), POLLIN, 0}, {changes, POLLIN, 0}}};
    (void)poll(ready.data(), ready.size(), static_cast<int>(limit.count()));
    if (ready[0].revents != 0) return true;
    if (ready[1].revents == 0) return false;
    return poll(ready.data(), 1, static_cast<int>(intervals_.settle.count())) > 0;
  }

  Network& network_;
  const AuditIntervals intervals_;
  const std::function<void(const AuditReport&)> each_;
  const UniqueFd stop_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

Result<std::unique_ptr<AuditLoop>> AuditLoop::start(Network& network,
                                                    const AuditIntervals& intervals,
                                                    std::function<void(const AuditReport&)> each) {
  UniqueFd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return fail_errno("start auditing the network");
  try {
    return std::make_unique<Loop>(network, intervals, std::move(each), std::move(stop));
  } catch (const std::system_error& error) {
    return fail(error.code().value(), "start auditing the network");
  }
}

}  // namespace panal::netconfine

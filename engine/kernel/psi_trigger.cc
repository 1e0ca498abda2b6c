#include "engine/kernel/psi_trigger.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace panal::kernel {

Result<std::string> psi_trigger_text(const PsiThreshold& threshold) {
  using namespace std::chrono_literals;
  const auto describe = [&](const char* what) {
    return fail(EINVAL, "pressure trigger of " + std::to_string(threshold.stall.count()) +
                            " us in " + std::to_string(threshold.window.count()) + " us: " + what);
  };
  if (threshold.window < 500ms || threshold.window > 10s)
    return describe("the window must be 500 ms to 10 s");
  if (threshold.stall <= 0us || threshold.stall > threshold.window)
    return describe("the stall must be within the window");
  return std::string(threshold.full ? "full " : "some ") + std::to_string(threshold.stall.count()) +
         " " + std::to_string(threshold.window.count());
}

Result<PsiTrigger> PsiTrigger::open(const Dir& dir, const std::string& file,
                                    const PsiThreshold& threshold) {
  PANAL_ASSIGN(const std::string text, psi_trigger_text(threshold));
  PANAL_ASSIGN(UniqueFd fd, dir.open_file(file, O_RDWR | O_NONBLOCK));
  // The kernel wants the final zero byte.
  if (::write(fd.get(), text.c_str(), text.size() + 1) < 0)
    return fail_errno("write trigger \"" + text + "\" to", dir.path() + "/" + file);
  return PsiTrigger(std::move(fd));
}

Result<PsiTrigger> PsiTrigger::open_host(const Tree& tree, PressureResource resource,
                                         const PsiThreshold& threshold) {
  return open(tree.proc, "pressure/" + std::string(to_string(resource)), threshold);
}

Result<PsiTrigger> PsiTrigger::open_group(const Dir& group, PressureResource resource,
                                          const PsiThreshold& threshold) {
  return open(group, std::string(to_string(resource)) + ".pressure", threshold);
}

Result<bool> PsiTrigger::wait(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd entry{fd_.get(), POLLPRI, 0};
    const int ready = ::poll(&entry, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (ready < 0 && errno != EINTR) return fail_errno("poll pressure trigger");
    if (ready == 0) return false;
    if (ready < 0) continue;
    if ((entry.revents & POLLERR) != 0) return fail(ENODEV, "poll pressure trigger: group is gone");
    return true;
  }
}

}  // namespace panal::kernel

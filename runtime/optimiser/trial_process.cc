#include "runtime/optimiser/trial_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/base/cleanup.h"

namespace panal::optimiser {
namespace {

constexpr std::uint64_t kTrialPage = 4096;

/// Between fork and its end: nothing but system calls, as other threads may have held locks.
[[noreturn]] void hold_memory(unsigned char* memory, std::uint64_t bytes, int orders, int answers) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  char go = 0;
  if (::read(orders, &go, 1) != 1) ::_exit(1);
  for (std::uint64_t i = 0; i < bytes / sizeof(std::uint64_t); ++i) {
    const std::uint64_t value = (i + 1) * 0x9e3779b97f4a7c15ULL;
    std::memcpy(memory + i * sizeof value, &value, sizeof value);
  }
  if (::write(answers, "y", 1) != 1) ::_exit(2);
  (void)!::read(orders, &go, 1);  // until the caller is gone
  ::_exit(0);
}

void reap(pid_t child) {
  (void)::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<TrialProcess> TrialProcess::start(std::uint64_t bytes, const kernel::Cgroup* group) {
  const std::uint64_t size = (bytes + kTrialPage - 1) / kTrialPage * kTrialPage;
  // Untouched here, so that each page the child writes to is its own alone.
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail_errno("map", "memory to try things on");
  const Cleanup unmap([&] { (void)::munmap(memory, size); });
  int orders[2], answers[2];
  if (::pipe2(orders, O_CLOEXEC) != 0) return fail_errno("make", "pipe");
  const UniqueFd its_orders(orders[0]);
  UniqueFd our_orders(orders[1]);
  if (::pipe2(answers, O_CLOEXEC) != 0) return fail_errno("make", "pipe");
  const UniqueFd our_answers(answers[0]);
  UniqueFd its_answers(answers[1]);

  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork", "a process to try things on");
  if (child == 0) {
    ::close(our_orders.get());  // else it would never see the end of it
    hold_memory(static_cast<unsigned char*>(memory), size, its_orders.get(), its_answers.get());
  }
  Cleanup kill([&] { reap(child); });
  its_answers.reset();
  TrialProcess out;
  PANAL_ASSIGN(out.process_, Pidfd::open(child));
  if (group != nullptr) PANAL_TRY(group->add(child));
  char answer = 0;
  if (::write(our_orders.get(), "g", 1) != 1) return fail_errno("start", "a trial process");
  while (::read(our_answers.get(), &answer, 1) < 0 && errno == EINTR) {
  }
  if (answer != 'y') return fail(EIO, "a trial process died before it held its memory");
  out.memory_ = {reinterpret_cast<std::uint64_t>(memory), size};
  out.orders_ = std::move(our_orders);
  kill.release();
  return out;
}

TrialProcess::~TrialProcess() {
  if (process_.valid()) reap(process_.pid());
}

}  // namespace panal::optimiser

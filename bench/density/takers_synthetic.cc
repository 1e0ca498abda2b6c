#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "bench/density/takers_subject.h"
#include "engine/base/pidfd.h"
#include "engine/base/prctl_numbers.h"

namespace panal::bench {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kWords = kPage / sizeof(std::uint64_t);

std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 29;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 32);
}

/// The process: fills its memory and waits to be killed.
[[noreturn]] void hold_half_equal(std::uint64_t number, std::size_t bytes, int ready) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto* memory = static_cast<unsigned char*>(
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) ::_exit(2);
  // A huge page is not merged before it is split.
  (void)::madvise(memory, bytes, MADV_NOHUGEPAGE);
  if (::prctl(kSetMemoryMerge, 1, 0, 0, 0) != 0 && ::madvise(memory, bytes, MADV_MERGEABLE) != 0)
    ::_exit(3);
  const std::size_t pages = bytes / kPage;
  for (std::size_t page = 0; page < pages; ++page) {
    // The first half says the same in all processes, but no two pages of it are alike.
    const std::uint64_t seed = page < pages / 2 ? page : (number << 32) + page;
    for (std::size_t i = 0; i < kWords; ++i) {
      // A quarter of noise: what desktops have compresses so.
      const std::uint64_t word = i < kWords / 4 ? mixed(seed * kWords + i + 1) : seed + 1;
      std::memcpy(memory + page * kPage + i * sizeof word, &word, sizeof word);
    }
  }
  if (::write(ready, "y", 1) != 1) ::_exit(4);
  while (true) ::pause();
}

class SyntheticSubject final : public TakersSubject {
 public:
  ~SyntheticSubject() override {
    for (const pid_t pid : pids_) {
      (void)::kill(pid, SIGKILL);
      while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    // Empty now; the lab says so when one of them stays.
    for (kernel::Cgroup& group : groups_) (void)group.destroy(std::chrono::seconds(5));
    if (parent_) (void)parent_->destroy(std::chrono::seconds(5));
  }

  Result<void> add(const kernel::CgroupRoot& root, const std::string& parent, std::uint64_t number,
                   std::size_t bytes) {
    if (!parent_) {
      PANAL_ASSIGN(auto made, kernel::Cgroup::create(root, parent));
      parent_.emplace(std::move(made));
    }
    PANAL_ASSIGN(auto group, kernel::Cgroup::create(root, fmt::format("{}/d{}", parent, number)));
    groups_.push_back(std::move(group));
    int ready[2];
    if (::pipe2(ready, O_CLOEXEC) != 0) return fail_errno("make", "pipe");
    const UniqueFd answers(ready[0]);
    UniqueFd its(ready[1]);
    const pid_t child = ::fork();
    if (child < 0) return fail_errno("fork", "a process that stands for a desktop");
    if (child == 0) {
      if (!groups_.back().add(::getpid())) ::_exit(1);
      hold_half_equal(number, bytes, its.get());
    }
    its.reset();
    pids_.push_back(child);
    char answer = 0;
    while (::read(answers.get(), &answer, 1) < 0 && errno == EINTR) {
    }
    if (answer != 'y')
      return fail(ENOTSUP,
                  "a process that stands for a desktop cannot be enlisted in KSM, or died");
    return {};
  }

  [[nodiscard]] const std::vector<kernel::Cgroup>& groups() const override { return groups_; }
  [[nodiscard]] Result<void> check() const override {
    for (const pid_t pid : pids_)
      if (::kill(pid, 0) != 0 || ::waitpid(pid, nullptr, WNOHANG) != 0)
        return fail(ESRCH, "one of the processes that stand for desktops died");
    return {};
  }

 private:
  std::optional<kernel::Cgroup> parent_;
  std::vector<kernel::Cgroup> groups_;
  std::vector<pid_t> pids_;
};

}  // namespace

Result<std::unique_ptr<TakersSubject>> make_synthetic_subject(std::size_t count, unsigned mib) {
  const char* lab = std::getenv("PANAL_LAB_CGROUP");
  if (lab == nullptr) return fail(EINVAL, "this wants a lab (scripts/lab)");
  PANAL_ASSIGN(const auto tree, Tree::open_system());
  PANAL_ASSIGN(const auto root, kernel::CgroupRoot::open(tree));
  auto out = std::make_unique<SyntheticSubject>();
  for (std::size_t i = 1; i <= count; ++i)
    PANAL_TRY(out->add(root, std::string(lab) + "/takers", i, std::size_t{mib} << 20U));
  return std::unique_ptr<TakersSubject>(std::move(out));
}

}  // namespace panal::bench

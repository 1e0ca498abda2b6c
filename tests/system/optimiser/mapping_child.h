#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "engine/base/unique_fd.h"
#include "engine/kernel/cgroup.h"

namespace panal::optimiser {

/// A process of as many mappings as the kernel lets it have (vm.max_map_count, 65530), a touched
/// page in each. Killed and reaped at its end.
class MappingChild {
 public:
  static constexpr std::size_t kMappings = 65000;

  explicit MappingChild(const kernel::Cgroup& group) {
    int made[2] = {};
    if (::pipe2(made, O_CLOEXEC) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      if (!group.add(::getpid())) ::_exit(2);
      const bool mapped = map_all();
      if (::write(made[1], mapped ? "y" : "n", 1) != 1) ::_exit(3);
      for (;;) ::pause();
    }
    ::close(made[1]);
    const UniqueFd answers(made[0]);
    char answer = 0;
    while (::read(answers.get(), &answer, 1) < 0 && errno == EINTR) {
    }
    EXPECT_EQ(answer, 'y') << "it has its mappings";
  }
  MappingChild(const MappingChild&) = delete;
  MappingChild& operator=(const MappingChild&) = delete;
  ~MappingChild() {
    if (pid_ <= 0) return;
    (void)::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  static bool map_all() {
    constexpr std::size_t kPage = 4096;
    constexpr std::size_t kBytes = kMappings * kPage;
    auto* memory = static_cast<char*>(
        ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) return false;
    (void)::madvise(memory, kBytes, MADV_NOHUGEPAGE);
    for (std::size_t page = 0; page < kMappings; ++page)
      std::memcpy(memory + page * kPage, &page, sizeof page);
    // Neighbours of different rights are not one mapping.
    for (std::size_t page = 1; page < kMappings; page += 2)
      if (::mprotect(memory + page * kPage, kPage, PROT_READ) != 0) return false;
    return true;
  }

  pid_t pid_ = -1;
};

}  // namespace panal::optimiser

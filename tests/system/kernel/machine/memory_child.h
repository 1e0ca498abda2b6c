#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "engine/base/unique_fd.h"
#include "engine/kernel/cgroup.h"

namespace panal::kernel {

constexpr int kMemoryMerge = 67;  ///< PR_SET_MEMORY_MERGE, Linux 6.4

enum class Pages {
  kDistinct,          ///< no two alike; compress to about a quarter
  kDistinctEnlisted,  ///< as those, and enlisted in KSM, which finds nothing
  kIdentical,         ///< all alike, not zero, and enlisted in KSM
};

/// A process that holds so much anonymous memory and touches it all again whenever told to. Killed
/// and reaped at its end.
class MemoryChild {
 public:
  MemoryChild(const Cgroup& group, std::size_t bytes, Pages pages) {
    int to_child[2] = {};
    int from_child[2] = {};
    if (::pipe2(to_child, O_CLOEXEC) != 0 || ::pipe2(from_child, O_CLOEXEC) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      if (!group.add(::getpid())) ::_exit(2);
      live(bytes, pages, to_child[0], from_child[1]);
    }
    ::close(to_child[0]);
    ::close(from_child[1]);
    orders_ = UniqueFd(to_child[1]);
    answers_ = UniqueFd(from_child[0]);
    EXPECT_TRUE(wait_for_answer()) << "it holds its memory";
  }
  MemoryChild(const MemoryChild&) = delete;
  MemoryChild& operator=(const MemoryChild&) = delete;
  ~MemoryChild() {
    if (pid_ <= 0) return;
    (void)::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Reads all its memory and says whether it still is what it was.
  [[nodiscard]] bool touch() const { return order("t"); }
  /// Reads the first quarter of it, in every second run of 64 KiB.
  [[nodiscard]] bool touch_hot() const { return order("h"); }
  static constexpr std::size_t hot_bytes(std::size_t bytes) { return bytes / 8; }
  /// From now on /proc/PID/comm says so.
  [[nodiscard]] bool call_itself_nxagent() const { return order("n"); }

 private:
  [[nodiscard]] bool order(const char* letter) const {
    return ::write(orders_.get(), letter, 1) == 1 && wait_for_answer();
  }
  [[nodiscard]] bool wait_for_answer() const {
    char answer = 0;
    return ::read(answers_.get(), &answer, 1) == 1 && answer == 'y';
  }

  [[noreturn]] static void live(std::size_t bytes, Pages pages, int orders, int answers) {
    constexpr std::size_t kPage = 4096;
    auto* memory = static_cast<unsigned char*>(
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) ::_exit(4);
    if (pages != Pages::kDistinct && ::prctl(kMemoryMerge, 1, 0, 0, 0) != 0 &&
        ::madvise(memory, bytes, MADV_MERGEABLE) != 0)
      ::_exit(3);
    const auto word = [&](std::size_t page, std::size_t i) {
      // A quarter of each page is noise of its own.
      std::uint64_t x = (page + 1) * 0x9e3779b97f4a7c15ULL + i * 0xbf58476d1ce4e5b9ULL;
      x ^= x >> 29;
      x *= 0x94d049bb133111ebULL;
      return pages == Pages::kIdentical ? 0x5eed5eed5eed5eedULL
             : i < 128                  ? x ^ (x >> 32)
                                        : page + 1;
    };
    for (std::size_t page = 0; page < bytes / kPage; ++page)
      for (std::size_t i = 0; i < kPage / 8; ++i) {
        const std::uint64_t value = word(page, i);
        std::memcpy(memory + page * kPage + i * 8, &value, 8);
      }
    char order = 't';
    do {
      bool fine = true;
      if (order == 'n') (void)::prctl(PR_SET_NAME, "nxagent");
      const std::size_t end = order == 'n' ? 0 : bytes / kPage / (order == 'h' ? 4 : 1);
      for (std::size_t page = 0; page < end; ++page) {
        if (order == 'h' && page / 16 % 2 == 1) continue;
        std::uint64_t value = 0;
        std::memcpy(&value, memory + page * kPage + 8, 8);
        fine = fine && value == word(page, 1);
      }
      if (::write(answers, fine ? "y" : "n", 1) != 1) ::_exit(5);
    } while (::read(orders, &order, 1) == 1);
    ::_exit(0);
  }

  pid_t pid_ = -1;
  UniqueFd orders_;
  UniqueFd answers_;
};

}  // namespace panal::kernel

// Preloaded, it makes programs believe that the wall clock is some seconds off; whoever writes the
// file changes it while they run (tests/e2e/clock.py). Steady clocks stay right: a machine whose
// clock is set does not change them either. Not covered: waits until a time of the wall clock,
// which the kernel's own decides (Panal has none).
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>

namespace {

constexpr const char* kFile = "/etc/clock-shift";  // one int64_t

const volatile std::int64_t* map_file() {
  const int fd = ::open(kFile, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* const at = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<const volatile std::int64_t*>(at);
}

// A program may ask for the time before our constructors have run.
const volatile std::int64_t* shift_file = nullptr;
__attribute__((constructor)) void begin() { shift_file = map_file(); }

std::int64_t shift() { return shift_file == nullptr ? 0 : *shift_file; }

int real_time(clockid_t clock, timespec* out) {
  if (::syscall(SYS_clock_gettime, clock, out) != 0) return -1;
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) out->tv_sec += shift();
  return 0;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* out) noexcept { return real_time(clock, out); }

int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  if (real_time(CLOCK_REALTIME, &now) != 0) return -1;
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  (void)real_time(CLOCK_REALTIME_COARSE, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

int timespec_get(timespec* out, int base) noexcept {
  return base == TIME_UTC && real_time(CLOCK_REALTIME, out) == 0 ? base : 0;
}
}

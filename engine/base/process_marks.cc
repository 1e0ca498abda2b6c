#include "engine/base/process_marks.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

namespace panal {
namespace {

/// A span of the file's bytes, both ends in it.
struct Span {
  off_t first = 0, last = 0;
};
constexpr Span kAll{0, std::numeric_limits<off_t>::max()};
/// Three for each that is marked. A marked process may take as many other locks as it likes.
constexpr int kMostLooks = 10'000;

/// A lock of another process that has bytes of the span; of type F_UNLCK where there is none.
Result<struct flock> lock_in(int marks, Span span, const std::string& file) {
  struct flock lock{};
  lock.l_type = F_WRLCK;  // nobody is asked for it; every lock there is stands in its way
  lock.l_whence = SEEK_SET;
  lock.l_start = span.first;
  lock.l_len = span.last == kAll.last ? 0 : span.last - span.first + 1;
  if (::fcntl(marks, F_GETLK, &lock) != 0) return fail_errno("look for locks of", file);
  return lock;
}

/// Held first, looked at again then: what the pid means cannot have changed in between.
Result<void> hold(int marks, const struct flock& lock, const std::string& file,
                  std::vector<Pidfd>& out) {
  const auto known = [&lock](const Pidfd& one) { return one.pid() == lock.l_pid; };
  if (lock.l_pid <= 0 || std::any_of(out.begin(), out.end(), known)) return {};
  auto held = Pidfd::open(lock.l_pid);
  if (!held) return {};  // it has ended
  PANAL_ASSIGN(const struct flock again, lock_in(marks, {lock.l_start, lock.l_start}, file));
  if (again.l_type != F_UNLCK && again.l_pid == lock.l_pid) out.push_back(std::move(*held));
  return {};
}

}  // namespace

Result<UniqueFd> open_process_marks(const std::string& file) {
  UniqueFd marks(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!marks) return fail_errno("open", file);
  return marks;
}

Result<void> mark_this_process(int marks) {
  struct flock lock{};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = ::getpid();
  lock.l_len = 1;
  if (::fcntl(marks, F_SETLK, &lock) != 0) return fail_errno("mark this process");
  return {};
}

Result<std::vector<Pidfd>> marked_processes(const std::string& file) {
  std::vector<Pidfd> out;
  const UniqueFd marks(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!marks && errno == ENOENT) return out;
  if (!marks) return fail_errno("open", file);
  std::vector<Span> spans{kAll};
  for (int looks = 0; !spans.empty() && looks < kMostLooks; ++looks) {
    const Span span = spans.back();
    spans.pop_back();
    PANAL_ASSIGN(const struct flock lock, lock_in(marks.get(), span, file));
    if (lock.l_type == F_UNLCK) continue;
    PANAL_TRY(hold(marks.get(), lock, file, out));
    // The kernel tells of any one lock in the span: others are before and after it.
    const off_t end = lock.l_len == 0 ? kAll.last : lock.l_start + lock.l_len - 1;
    if (lock.l_start > span.first) spans.push_back({span.first, lock.l_start - 1});
    if (end < span.last) spans.push_back({end + 1, span.last});
  }
  return out;
}

}  // namespace panal

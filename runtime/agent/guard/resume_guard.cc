// Loaded into nxagent (LD_PRELOAD): a resume is tried by a copy of the process, and only a copy
// that has made it goes on. nxagent 3.5.99.26 dies (signal 11, in several places) when its link is
// lost in the middle of a resume, and all X programs with it; the process that waited is still
// suspended and lives on. Nothing of X is read between the two, so both have the same programs.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#define PANAL_SHOWN __attribute__((visibility("default")))

namespace {

int verdict = -1;        // the copy's end: one byte when it has made it
bool resumed = false;    // the copy has said so
bool failed = false;     // the copy has not made it
void* newest = nullptr;  // the display opened last
void* before = nullptr;  // in the copy: the display of the resume before

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

/// Waits for the copy's verdict. Does not return when it has made it.
void await(int from, pid_t copy) {
  char byte = 0;
  ssize_t got = 0;
  do got = ::read(from, &byte, 1);
  while (got < 0 && errno == EINTR);
  if (got == 1) {
    char line[64];
    const int length = std::snprintf(line, sizeof line, "\npanal: nxagent goes on as %d\n", copy);
    [[maybe_unused]] const auto put = ::write(STDERR_FILENO, line, static_cast<size_t>(length));
    ::_exit(0);
  }
  ::close(from);
  int status = 0;
  while (::waitpid(copy, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    char line[64];
    const int length =
        std::snprintf(line, sizeof line, "\nError: a resume died by signal %d\n", WTERMSIG(status));
    [[maybe_unused]] const auto put = ::write(STDERR_FILENO, line, static_cast<size_t>(length));
  }
  // Without it nxagent does not come to rest: it counts a lost link by calls of its handler.
  using Handler = int (*)(void*);
  if (auto* const lost = static_cast<Handler*>(::dlsym(RTLD_DEFAULT, "_XIOErrorFunction"));
      lost != nullptr && *lost != nullptr) {
    (*lost)(nullptr);
  }
}

bool begins(const char* text, const char* with) {
  return std::strncmp(text, with, std::strlen(with)) == 0;
}

/// The copy returns to make the resume; the first process returns when the copy has failed.
void split() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  const pid_t copy = ::fork();
  if (copy == 0) {
    ::close(ends[0]);
    verdict = ends[1];
    resumed = false;
    before = newest;
    return;
  }
  ::close(ends[1]);
  if (copy < 0) {
    ::close(ends[0]);
    return;
  }
  await(ends[0], copy);
  failed = true;
}

}  // namespace

extern "C" {

/// A copy whose display does not open has failed.
PANAL_SHOWN void* XOpenDisplay(const char* name) {
  void* const display = next<void* (*)(const char*)>("XOpenDisplay")(name);
  if (verdict >= 0 && display == nullptr) ::_exit(1);
  if (display != nullptr) newest = display;
  return display;
}

/// A link that goes while an answer is waited for. nxagent may carry on without the answer, say
/// that it has resumed, and be suspended in good order: but all its later resumes die of what is
/// missing.
PANAL_SHOWN int _XIOError(void* display) {  // NOLINT(bugprone-reserved-identifier)
  if (verdict >= 0 && display != before) {
    static constexpr char kLine[] = "\nError: a resume lost its link\n";
    [[maybe_unused]] const auto put = ::write(STDERR_FILENO, kLine, sizeof kLine - 1);
    ::_exit(1);
  }
  return next<int (*)(void*)>("_XIOError")(display);
}

/// The last thing of a resume is that the display of the one before is closed.
PANAL_SHOWN int XCloseDisplay(void* display) {
  if (verdict >= 0 && !resumed) ::_exit(1);
  const int result = next<int (*)(void*)>("XCloseDisplay")(display);
  if (verdict >= 0) {
    [[maybe_unused]] const auto put = ::write(verdict, "!", 1);
    ::close(verdict);
    verdict = -1;
  }
  return result;
}

/// The first thing of a resume is a copy of the keyboard's name; without it nxagent gives the
/// resume up before it has touched anything.
PANAL_SHOWN char* strndup(const char* text, size_t most) {
  if (failed) {
    failed = false;
    return nullptr;
  }
  return next<char* (*)(const char*, size_t)>("strndup")(text, most);
}

/// How nxagent logs.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
PANAL_SHOWN int __fprintf_chk(FILE* to, int flag, const char* format, ...) {
  if (verdict >= 0) {
    if (begins(format, "Session: Session resumed")) resumed = true;
    if (begins(format, "Session: Display failure")) ::_exit(1);
  }
  static const auto print = next<int (*)(FILE*, int, const char*, va_list)>("__vfprintf_chk");
  va_list arguments;
  va_start(arguments, format);
  const int result = print(to, flag, format, arguments);
  va_end(arguments);
  if (begins(format, "Session: Resuming session")) split();
  return result;
}

}  // extern "C"

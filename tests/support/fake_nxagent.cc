// What of nxagent's resume the guard sees. usage: fake_nxagent good|lost|old|crash
//   lost   the link goes while an answer is waited for, and nxagent carries on without the answer
//   old    the display that is left behind has an error, as it has after a lost link
//   crash  nxagent dies of what is missing
// Prints "suspended" or "resumed" in the end; what a copy prints comes from it as well.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

extern "C" {
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern int (*_XIOErrorFunction)(void*);
// NOLINTNEXTLINE(bugprone-reserved-identifier)
int __fprintf_chk(FILE* to, int flag, const char* text, ...);
void* XOpenDisplay(const char* name);
int XCloseDisplay(void* display);
int lose_answer(void* display);
}

namespace {

int on_lost(void* /*display*/) {
  std::fputs("link lost\n", stderr);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "good";
  _XIOErrorFunction = on_lost;
  void* const before = XOpenDisplay("first");
  __fprintf_chk(stderr, 1, "Session: Resuming session at '%s'.\n", "now");
  char* const keyboard = ::strndup("pc105/us", 8);
  if (keyboard == nullptr) {
    std::fputs("suspended\n", stderr);
    return 0;
  }
  std::free(keyboard);
  void* const display = XOpenDisplay("second");
  if (what == "lost") lose_answer(display);
  if (what == "old") lose_answer(before);
  if (what == "crash") std::raise(SIGKILL);
  __fprintf_chk(stderr, 1, "Session: Session resumed at '%s'.\n", "now");
  XCloseDisplay(before);
  std::fputs("resumed\n", stderr);
  return 0;
}

// Stands in for libNX_X11 under fake_nxagent: a shared object, so that the resume guard can stand
// before it as it does before the real one.
#define SHOWN __attribute__((visibility("default")))

extern "C" {

SHOWN int (*_XIOErrorFunction)(void*) = nullptr;  // NOLINT(bugprone-reserved-identifier)

SHOWN void* XOpenDisplay(const char* /*name*/) {
  static int displays[8];
  static int next = 0;
  return &displays[next++];
}

SHOWN int XCloseDisplay(void* /*display*/) { return 0; }

SHOWN int _XIOError(void* display) {  // NOLINT(bugprone-reserved-identifier)
  return _XIOErrorFunction != nullptr ? _XIOErrorFunction(display) : 0;
}

/// A request whose answer does not come: its link is lost.
SHOWN int lose_answer(void* display) { return _XIOError(display); }

}  // extern "C"

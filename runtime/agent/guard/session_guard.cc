// Loaded into the programs of a session (LD_PRELOAD): that the screen has changed is no reason to
// die. When a user comes back with another geometry nxagent makes its RANDR outputs anew. A GTK
// program that has read their list and asks for one that is gone gets BadRROutput, which GDK does
// not expect: it exits (xfce4-session, and the session with it, in one of twelve such returns on a
// busy machine). Here the answer is an output that is not connected, or a CRTC that shows nothing;
// the event that tells of the new ones follows.
#include <dlfcn.h>

#include <cstdlib>

#define PANAL_SHOWN __attribute__((visibility("default")))

namespace {

using Id = unsigned long;

// As in <X11/Xlib.h> and <X11/extensions/Xrandr.h>; the agent is built without X.
struct ErrorEvent {
  int type;
  void* display;
  Id resource;
  unsigned long serial;
  unsigned char error, request, minor;
};
struct OutputInfo {
  unsigned long timestamp;
  Id crtc;
  char* name;
  int name_length;
  unsigned long mm_width, mm_height;
  unsigned short connection, subpixel_order;
  int crtc_count;
  Id* crtcs;
  int clone_count;
  Id* clones;
  int mode_count, preferred_count;
  Id* modes;
};
struct CrtcInfo {
  unsigned long timestamp;
  int x, y;
  unsigned int width, height;
  Id mode;
  unsigned short rotation;
  int output_count;
  Id* outputs;
  unsigned short rotations;
  int possible_count;
  Id* possible;
};
constexpr unsigned short kDisconnected = 1;
constexpr unsigned short kNotRotated = 1;
constexpr unsigned char kFirstOfExtensions = 128;

using Handler = int (*)(void*, ErrorEvent*);

Handler outer = nullptr;
unsigned long first_serial = 0;

int quiet(void* display, ErrorEvent* event) {
  if (event->serial >= first_serial && event->error >= kFirstOfExtensions) return 0;
  return outer == nullptr ? 0 : outer(display, event);
}

/// The real one, however the library came in. Null: it is not there.
template <typename Function>
Function real(const char* name) {
  void* const library = ::dlopen("libXrandr.so.2", RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return nullptr;
  void* const found = ::dlsym(library, name);
  ::dlclose(library);
  return reinterpret_cast<Function>(found);
}

template <typename Info>
Info* ask(const char* name, void* display, void* resources, Id id) {
  const auto get = real<Info* (*)(void*, void*, Id)>(name);
  const auto set_handler = real<Handler (*)(Handler)>("XSetErrorHandler");
  const auto next_request = real<unsigned long (*)(void*)>("XNextRequest");
  if (get == nullptr) return nullptr;
  if (set_handler == nullptr || next_request == nullptr) return get(display, resources, id);
  first_serial = next_request(display);
  outer = set_handler(quiet);
  Info* const info = get(display, resources, id);
  set_handler(outer);
  return info;
}

}  // namespace

// What they return is freed by free() in the end (XRRFreeOutputInfo, XRRFreeCrtcInfo).
extern "C" PANAL_SHOWN OutputInfo* XRRGetOutputInfo(void* display, void* resources, Id output) {
  if (auto* const info = ask<OutputInfo>("XRRGetOutputInfo", display, resources, output))
    return info;
  auto* const gone = static_cast<OutputInfo*>(std::calloc(1, sizeof(OutputInfo) + 1));
  if (gone == nullptr) return nullptr;
  gone->name = reinterpret_cast<char*>(gone + 1);
  gone->connection = kDisconnected;
  return gone;
}

extern "C" PANAL_SHOWN CrtcInfo* XRRGetCrtcInfo(void* display, void* resources, Id crtc) {
  if (auto* const info = ask<CrtcInfo>("XRRGetCrtcInfo", display, resources, crtc)) return info;
  auto* const gone = static_cast<CrtcInfo*>(std::calloc(1, sizeof(CrtcInfo)));
  if (gone == nullptr) return nullptr;
  gone->rotation = gone->rotations = kNotRotated;
  return gone;
}

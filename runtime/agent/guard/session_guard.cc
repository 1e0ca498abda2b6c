// Loaded into the programs of a session (LD_PRELOAD), for three reasons.
//
// That the screen has changed is no reason to die. When a user comes back with another geometry
// nxagent makes its RANDR outputs anew. A GTK program that has read their list and asks for one
// that is gone gets BadRROutput, which GDK does not expect: it exits (xfce4-session, and the
// session with it, in one of twelve such returns on a busy machine). Here the answer is an output
// that is not connected, or a CRTC that shows nothing; the event that tells of the new ones
// follows.
//
// Programs that lose by having their memory merged are kept apart (PANAL_APART, by the agent). Only
// a process itself can do that, and what it starts inherits it: so each that is not named there
// goes back in.
//
// And where the desktop's files tell of its own memory and not of the host's (PANAL_MEMORY_KIB, by
// the agent), so does what no file can stand over: the system call behind sysconf(), by which
// browsers size themselves.
#include <dlfcn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "engine/base/kernel_paths.h"
#include "engine/base/prctl_numbers.h"

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

/// Whether `name` is one of the names between colons.
bool is_of(const char* list, const char* name, std::size_t length) {
  while (true) {
    const char* const colon = std::strchr(list, ':');
    const std::size_t word =
        colon == nullptr ? std::strlen(list) : static_cast<std::size_t>(colon - list);
    if (word == length && std::memcmp(list, name, length) == 0) return true;
    if (colon == nullptr) return false;
    list = colon + 1;
  }
}

/// Before the program's own code, so hardly anything has to be unmerged.
__attribute__((constructor)) void merge_or_not() {
  const char* const apart = std::getenv("PANAL_APART");
  if (apart == nullptr || *apart == '\0') return;
  // By its file, as the host knows it, and not by the name it was called with.
  char path[512];
  const ssize_t length = ::readlink(panal::kernel_paths::kProcSelfExe, path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = '\0';
  const char* const slash = std::strrchr(path, '/');
  const char* const name = slash == nullptr ? path : slash + 1;
  ::prctl(panal::kSetMemoryMerge, is_of(apart, name, std::strlen(name)) ? 0 : 1, 0, 0, 0);
}

/// What the desktop may have, in KiB; 0: nobody says.
unsigned long long memory_kib() {
  static std::atomic<unsigned long long> known{~0ULL};
  unsigned long long kib = known.load(std::memory_order_relaxed);
  if (kib != ~0ULL) return kib;
  const char* const text = std::getenv("PANAL_MEMORY_KIB");
  kib = text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
  if (kib > 1ULL << 50U) kib = 0;
  known.store(kib, std::memory_order_relaxed);
  return kib;
}

/// The smaller of what the kernel says and what the desktop may have; of what is free half of that,
/// as its meminfo has it.
unsigned long long told(unsigned long long kernel, unsigned long long unit_bytes, bool whole) {
  const unsigned long long kib = memory_kib();
  if (kib == 0 || unit_bytes == 0) return kernel;
  const unsigned long long most = kib * 1024 / unit_bytes / (whole ? 1 : 2);
  return most < kernel ? most : kernel;
}

}  // namespace

// glibc's own, which it exports under this name too.
// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
extern "C" long __sysconf(int name) noexcept;

extern "C" PANAL_SHOWN long sysconf(int name) noexcept {
  const long value = __sysconf(name);
  if (value <= 0 || (name != _SC_PHYS_PAGES && name != _SC_AVPHYS_PAGES)) return value;
  const auto page = static_cast<unsigned long long>(__sysconf(_SC_PAGESIZE));
  return static_cast<long>(
      told(static_cast<unsigned long long>(value), page, name == _SC_PHYS_PAGES));
}

extern "C" PANAL_SHOWN long get_phys_pages() noexcept { return sysconf(_SC_PHYS_PAGES); }
extern "C" PANAL_SHOWN long get_avphys_pages() noexcept { return sysconf(_SC_AVPHYS_PAGES); }

extern "C" PANAL_SHOWN int sysinfo(struct sysinfo* info) noexcept {
  const long result = ::syscall(SYS_sysinfo, info);
  if (result != 0 || memory_kib() == 0) return static_cast<int>(result);
  info->totalram = told(info->totalram, info->mem_unit, true);
  info->freeram = told(info->freeram, info->mem_unit, false);
  info->sharedram = info->bufferram = info->totalswap = info->freeswap = 0;
  return 0;
}

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

"""A program that asks for a RANDR output or CRTC that is gone lives on (runtime/agent/guard/session_guard.cc).

With a real X server and libXrandr, asked as GDK asks. Without the guard the program must die: else
this shows nothing.
"""

import sys

from farm import BIN, Screen, say

GUARD = BIN.parent / "runtime/agent/panal_session_guard.so"
ASK = """
import ctypes
x = ctypes.CDLL("libX11.so.6", mode=ctypes.RTLD_GLOBAL)
r = ctypes.CDLL("libXrandr.so.2", mode=ctypes.RTLD_GLOBAL)
main = ctypes.CDLL(None)
for function in (x.XOpenDisplay, r.XRRGetScreenResources, main.XRRGetOutputInfo, main.XRRGetCrtcInfo):
    function.restype = ctypes.c_void_p
x.XDefaultRootWindow.restype = ctypes.c_ulong
display = ctypes.c_void_p(x.XOpenDisplay(None))
resources = ctypes.c_void_p(
    r.XRRGetScreenResources(display, ctypes.c_ulong(x.XDefaultRootWindow(display))))
gone = ctypes.c_ulong(0x7ffffff)
output = main.XRRGetOutputInfo(display, resources, gone)
print("connection", ctypes.cast(output, ctypes.POINTER(ctypes.c_ushort))[24])
r.XRRFreeOutputInfo(ctypes.c_void_p(output))
r.XRRFreeCrtcInfo(ctypes.c_void_p(main.XRRGetCrtcInfo(display, resources, gone)))
# An error that is not ours still goes to the program's own handler, which ends it.
if __import__("sys").argv[1:] == ["other"]:
    x.XKillClient(display, ctypes.c_ulong(0x7ffffff))
x.XSync(display, 0)
print("alive")
"""


def main():
    screen = Screen()
    python = [sys.executable, "-c", ASK]
    bare = screen.run(*python)
    guarded = screen.run("env", f"LD_PRELOAD={GUARD}", *python)
    other = screen.run("env", f"LD_PRELOAD={GUARD}", *python, "other")
    faults = []
    if bare.returncode == 0 or "BadRROutput" not in bare.stderr:
        faults.append(f"without the guard nothing happened: {bare}")
    if guarded.stdout.split() != ["connection", "1", "alive"]:
        faults.append(f"with the guard: {guarded}")
    if other.returncode == 0 or "BadValue" not in other.stderr:
        faults.append(f"another error was swallowed: {other}")
    for fault in faults:
        say(fault)
    screen.close()
    print("e2e session_guard: " + (f"failed: {faults[0]}" if faults else "passed"), flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""A node, a user's screen and the user's hands, for end-to-end tests.

Everything is driven by the commands a person has (panal, panal-client) and looked at from outside
(pixels, files in the home, the kernel). Runs inside scripts/lab only.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("PANAL_BIN_DIR", SOURCE / "build/dev/bin"))
CACHE = pathlib.Path(os.environ.get("PANAL_TEST_CACHE", "/var/cache/panal"))


class Failed(Exception):
    pass


_said = "nothing"  # the newest line of say()


def say(text):
    global _said
    _said = text
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def wait_for(what, probe, seconds=60, every=0.2):
    """Polls until probe() gives a true value and returns it."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            last = probe()
            if last:
                return last
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            last = error
        time.sleep(every)
    raise Failed(f"waited {seconds} s for {what}; last seen: {last!r}")


class Node:
    """panal up ... panal down, with all roots in a directory of the lab."""

    def __init__(self, port=18443):
        if "PANAL_LAB_CGROUP" not in os.environ:
            sys.exit("run this through scripts/lab")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="node-"))
        self.directory.chmod(0o755)
        self.state = self.directory / "state"
        self.run_dir = pathlib.Path("/run/panal")
        self.port = port
        self.config = self.directory / "panal.toml"
        self.config.write_text(
            f'''[node]
name = "lab"
[paths]
state = "{self.state}"
run = "{self.run_dir}"
images = "{CACHE}/images"
[cgroup]
parent = "{os.environ["PANAL_LAB_CGROUP"]}/panal"
[broker]
address = "127.0.0.1"
port = {port}
'''
        )

    def panal(self, *words, check=True, stdin=None):
        command = [str(BIN / "panal"), "--config", str(self.config), *map(str, words)]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=300, check=False
        )
        if check and done.returncode != 0:
            raise Failed(
                f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def json(self, *words):
        return json.loads(self.panal(*words, "--json").stdout)

    def desktop(self, name):
        return self.json("desktop", "show", name)

    def home(self, login, tenant="default"):
        return self.state / "homes" / tenant / login

    def logs(self):
        out = []
        kept = ("log/*.log", "desktops/*/log/*", "homes/*/*/.local/share/panal/session.log*")
        for path in (path for glob in kept for path in sorted(self.state.glob(glob))):
            if path.is_file():
                lines = path.read_text(errors="replace").splitlines()[-40:]
                out.append(f"--- {path}\n" + "\n".join(lines))
        return "\n".join(out)


class Screen:
    """The user's computer: an X server with a window manager."""

    def __init__(self, number=91, size="1280x800"):
        self.display = f":{number}"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="screen-"))
        authority = self.directory / "Xauthority"
        self.environment = {
            **os.environ,
            "DISPLAY": self.display,
            "XAUTHORITY": str(authority),
            "HOME": str(self.directory),
        }
        pathlib.Path("/tmp/.X11-unix").mkdir(mode=0o1777, exist_ok=True)
        authority.touch()
        cookie = os.urandom(16).hex()
        subprocess.run(
            ["xauth", "-q", "-f", str(authority)],
            input=f"add {self.display} MIT-MAGIC-COOKIE-1 {cookie}\n",
            text=True,
            check=True,
        )
        self.server = subprocess.Popen(
            ["Xvfb", self.display, "-screen", "0", f"{size}x24", "-nolisten", "tcp", "-noreset",
             "-auth", str(authority)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        wait_for("the user's X server", lambda: self.run("xdpyinfo").returncode == 0, 30)
        # As Debian's X sessions do at login. A client that greets without a cookie (QVD's) has
        # nxproxy show the desktop's cookie to this server, which knows only its own.
        self.run("xhost", "+si:localuser:root")
        self.manager = subprocess.Popen(
            ["openbox"], env=self.environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # nxagent's window, mapped while a window manager starts, was left unmapped by the two of them.
        wait_for(
            "the window manager",
            lambda: "window id" in self.run("xprop", "-root", "_NET_SUPPORTING_WM_CHECK").stdout,
            60,
        )

    def run(self, *command, **more):
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, **more
        )

    def colours(self, picture):
        """How many different colours a picture has: a black or half-painted one has few."""
        return int(self.run("identify", "-format", "%k", str(picture)).stdout or 0)

    def shot(self, picture):
        self.run("import", "-window", "root", str(picture))
        return picture

    def click(self, x, y):
        self.run("xdotool", "mousemove", str(x), str(y), "click", "1")

    def window(self):
        """The desktop's window: (id, x, y, width, height), or None."""
        found = self.run("xdotool", "search", "--onlyvisible", "--class", "nxagent").stdout.split()
        found += self.run("xdotool", "search", "--onlyvisible", "--name", "panal").stdout.split()
        for window in found:
            shape = dict(
                line.split("=", 1)
                for line in self.run(
                    "xdotool", "getwindowgeometry", "--shell", window
                ).stdout.splitlines()
                if "=" in line
            )
            if int(shape.get("WIDTH", 0)) > 300:
                return (window, *(int(shape[k]) for k in ("X", "Y", "WIDTH", "HEIGHT")))
        return None

    def wait_painted(self, picture, colours, seconds=60):
        """A freshly attached windowed agent paints at the first input (nx.md 3.5)."""

        def probe():
            shape = self.window()
            if shape is None:
                return False
            _, x, y, width, height = shape
            self.click(x + width // 2, y + height - 60)
            time.sleep(0.5)
            return self.colours(self.shot(picture)) >= colours and shape

        return wait_for(f"a picture with {colours} colours in {picture}", probe, seconds, 0.5)

    def type_line(self, text):
        window = self.window()
        if window is None:
            raise Failed("no desktop window to type into")
        self.run("xdotool", "windowactivate", "--sync", window[0])
        names = {" ": "space", "-": "minus", ".": "period", "/": "slash"}
        for character in text:
            self.run("xdotool", "key", names.get(character, character))
        self.run("xdotool", "key", "Return")

    def close(self):
        for process in (self.manager, self.server):
            process.terminate()
            process.wait()
        shutil.rmtree(self.directory)


class Client:
    """panal-client connect, as a user starts it."""

    def __init__(self, node, screen, login, password, desktop, *options):
        self.log = screen.directory / f"client-{time.monotonic_ns()}.log"
        secret = screen.directory / f"password-{login}"
        secret.touch(mode=0o600)
        secret.write_text(password + "\n")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(BIN / "panal-client"), "--server", f"127.0.0.1:{node.port}", "--user", login,
                 "--password-file", str(secret), *options, "connect", desktop],
                env=screen.environment, stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def output(self):
        return self.log.read_text(errors="replace")

    def kill(self):
        """As a power cut would: nothing is said to anybody."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=20)


def leftovers(node):
    """What of ours is still there after `panal down`."""
    parent = os.environ["PANAL_LAB_CGROUP"] + "/panal"
    found = [str(p) for p in pathlib.Path("/sys/fs/cgroup").glob(f"*/{parent}*")]
    mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    # Not the lab's own, which is /run/panal-lab.
    ours = (f"{node.run_dir}/", f"{node.run_dir} ", f"{node.state}/", f"{node.state} ")
    found += [m for m in mounts if any(place in m for place in ours)]
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(w in words[0] for w in (b"panal", b"postgres", b"nxagent", b"lxc")):
            found.append(f"process {process.name}: {words[0].decode(errors='replace')}")
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True)
    found += [line for line in links.stdout.splitlines() if "pnl" in line]
    return found


def conduct(name, node, scenario, before_down=(), after_down=()):
    """Runs a scenario and takes its node down. Returns the exit status; the last line printed says
    how it went, and where and why it failed: tests/e2e/run repeats it at its own end."""
    faults = []
    try:
        scenario()
    except Exception as error:  # noqa: BLE001 - whatever went wrong, show the node's logs
        traceback.print_exc()
        print(node.logs(), flush=True)
        words = f"{error}".strip().splitlines() or [""]
        faults.append(f"after \"{_said}\": {type(error).__name__}: {words[0]}")
    for step in (*before_down, lambda: take_down(node, after_down)):
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the node comes down whatever happened before
            traceback.print_exc()
            faults.append(f"{type(error).__name__}: {error}")
    print(f"e2e {name}: " + (f"failed: {'; '.join(faults)}" if faults else "passed"), flush=True)
    return 1 if faults else 0


def take_down(node, after=()):
    """panal down, which must leave nothing."""
    down = node.panal("down", check=False)
    for step in after:
        step()
    rest = leftovers(node)
    if down.returncode != 0:
        say(f"panal down: exit {down.returncode}\n{down.stdout}\n{down.stderr}")
    if rest:
        say("left after panal down:\n  " + "\n  ".join(rest))
    if down.returncode != 0 or rest:
        raise Failed(f"panal down ended with {down.returncode} and left {len(rest)} things")

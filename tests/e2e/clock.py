"""The clock is set back under a node at work: in the middle of sessions, starts and stops.

The machine's own clock belongs to everybody, so each program of the lab and of the desktop is told
another one (support/clock_shift.cc through ld.so.preload): panald, spawners, broker, PostgreSQL,
supervisor, client, nxproxy, and inside the desktop nxagent and the session. The agent is static and
reads steady clocks only.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

from bad_input import check, sql
from farm import BIN, Node, Screen, conduct, say, wait_for
from first_desktop import plant_startup, session_is, terminal_alive
from two_desktops import PASSWORD, Bystander, daemons
from wire import Wire, basic, get

# In /etc, where lab and desktop each have a layer of their own.
LIBRARY = "/etc/clock-shift.so"
SHIFT = "/etc/clock-shift"
HOUR = 3600


class Clock:
    """What the lab's programs, and those of one desktop, take for the time."""

    def __init__(self):
        self.seconds = 0
        self.inside = None  # how to run a command in the desktop
        shutil.copyfile(BIN / "libclock-shift.so", LIBRARY)
        pathlib.Path(SHIFT).write_bytes(struct.pack("=q", 0))
        pathlib.Path("/etc/ld.so.preload").write_text(LIBRARY + "\n")

    def plant(self, inside):
        """The same for what starts in the desktop from now on."""
        library = (BIN / "libclock-shift.so").read_bytes()
        for path, data in ((LIBRARY, library), (SHIFT, struct.pack("=q", self.seconds)),
                           ("/etc/ld.so.preload", (LIBRARY + "\n").encode())):
            inside(f"cat >{path}", data)

    def back(self, seconds=HOUR):
        self.set(self.seconds - seconds)

    def set(self, seconds):
        self.seconds = seconds
        data = struct.pack("=q", seconds)
        # In place: the programs have it mapped.
        with open(SHIFT, "r+b") as file:
            file.write(data)
        if self.inside is not None:
            self.inside(f"dd of={SHIFT} conv=notrunc status=none", data)
        say(f"the clock is {seconds / HOUR:+.0f} h off")


def shifted(pid):
    """True as well of one that has ended since it was listed: databases' servers come and go."""
    try:
        maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return True
    return not maps or "clock-shift.so" in maps


def pids_named(name):
    out = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() == name:
                out.append(int(entry.name))
        except OSError:
            pass
    return out


class Work:
    def __init__(self, node, screen, clock, seed):
        self.node, self.screen, self.clock = node, screen, clock
        self.random = random.Random(seed)
        self.picture = pathlib.Path(os.environ.get("PANAL_PICTURES", node.directory)) / "clock.png"

    def inside(self, text, data=b""):
        subprocess.run(
            ["nsenter", "--target", str(self.node.desktop("desk")["pid"]), "--user", "--mount",
             "--root", "/bin/sh", "-c", text], input=data, capture_output=True, check=True)

    def set_up(self):
        node = self.node
        node.panal("up")
        node.panal("image", "build", "icewm")
        node.panal("user", "add", "alice", "--password-file", "/dev/stdin", stdin=PASSWORD + "\n")
        node.panal("desktop", "create", "desk", "--user", "alice", "--image", "icewm",
                   "--persistent")
        node.panal("desktop", "create", "other", "--user", "alice", "--image", "icewm", "--home",
                   "other")
        node.panal("desktop", "start", "desk")
        self.clock.plant(self.inside)
        node.panal("desktop", "stop", "desk")
        plant_startup(node, "alice")
        node.panal("desktop", "start", "desk")
        wait_for("the end of the pre-warm", session_is(node, "desk", "suspended"), 120)
        self.clock.inside = self.inside
        for name in ("panald", "panal-spawner", "panal-broker", "postgres", "nxagent"):
            found = pids_named(name)
            check(found and all(map(shifted, found)), f"{name} sees the machine's clock: {found}")

    def look(self):
        """What the operator and a user see, and that the login of before still holds."""
        node = self.node
        off = float(sql(node, "SELECT extract(epoch FROM now())")) - time.time()
        check(abs(off - self.clock.seconds) < HOUR / 2, f"the database's clock is {off:.0f} s off")
        check(node.json("status")["panald"], "panald is not seen")
        node.json("top", "--once")
        check(len(node.json("desktop", "ls")) == 2, "desktops are missing")
        check('"state"' in self.ask(self.kept), "the login of before was forgotten")
        wrong = Wire(node).answer(get("/qvd/list_of_vm", basic("alice", "wrong")))
        check(wrong.startswith("HTTP/1.1 401 "), f"wrong password: {wrong!r}")
        good = Wire(node).answer(get("/qvd/list_of_vm", basic("alice", PASSWORD)))
        check(good.startswith("HTTP/1.1 200 "), f"good password: {good!r}")
        # A client that checks dates, as QVD's do, and has our certificate as its authority.
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{node.port}", "-CAfile",
             node.state / "tls/cert.pem", "-verify_return_error"], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False)
        check("Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr)
        rows = sql(node, "SELECT count(*) FROM sessions WHERE ended < started")
        check(rows == "0", f"{rows} sessions ended before they began")

    def ask(self, wire):
        wire.send("GET /qvd/list_of_vm HTTP/1.1\r\nHost: x\r\n" + basic("alice", PASSWORD) + "\r\n")
        return wire.read_until(b"}]")

    def sessions(self):
        say("in the middle of a session")
        person = self.person = Bystander(self.node, self.screen, "alice", "desk")
        person.connect(self.picture)
        person.works()
        self.kept = Wire(self.node)
        self.ask(self.kept)
        terminal = (self.node.home("alice") / "terminal.pid").read_text()
        self.clock.back()
        person.works()
        self.look()

        say("a link that is lost, a clock that goes back meanwhile, a new link")
        for meanwhile in (lambda: None, self.clock.back):
            person.client.kill()
            wait_for("a suspended session", session_is(self.node, "desk", "suspended"), 60)
            meanwhile()
            person.connect(self.picture)
            person.works()
        self.look()
        check(terminal == (self.node.home("alice") / "terminal.pid").read_text() and
              terminal_alive(self.node, "desk", "alice"), "the terminal is another one")

    def starts(self, points):
        say(f"in the middle of {points} starts and stops")
        node, states = self.node, []
        observed = "SELECT observed FROM desktops WHERE name = 'other'"
        for point in range(points):
            node.panal("desktop", "start", "other", "--no-wait")
            time.sleep(self.random.uniform(0, 0.04 * point))
            states.append(sql(node, observed))
            self.clock.back()
            wait_for("a running desktop", lambda: node.desktop("other")["state"] == "running", 90)
            node.panal("desktop", "stop", "other", "--no-wait")
            time.sleep(self.random.uniform(0, 0.1 * point))
            states.append(sql(node, observed))
            self.clock.back()
            wait_for("a stopped desktop", lambda: node.desktop("other")["state"] == "stopped", 90)
        say(f"  it was {', '.join(states)}")
        check(set(states[::2]) - {"running"}, "no start was caught in its middle")
        check(set(states[1::2]) - {"stopped"}, "no stop was caught in its middle")
        self.person.works()
        self.look()

    def daemons(self):
        say("panald and the broker die under a clock that has gone back")
        node, before = self.node, self.node.desktop("desk")["pid"]
        running = daemons(node)
        os.kill(running["panald.pid"], signal.SIGKILL)
        wait_for("another panald", lambda: daemons(node)["panald.pid"] != running["panald.pid"], 60)
        wait_for("its desktop", lambda: node.desktop("desk")["pid"] == before, 60)
        self.person.works()
        os.kill(running["broker.pid"], signal.SIGKILL)
        wait_for("another broker", lambda: daemons(node)["broker.pid"] != running["broker.pid"], 60)
        wait_for("a broker that answers", lambda: self.ask(self.reconnected()), 60)
        self.look()

    def reconnected(self):
        self.kept = Wire(self.node)
        return self.kept

    def right_again(self):
        say("the clock is set right: hours ahead in one step")
        self.clock.set(0)
        self.person.works()
        self.look()
        self.node.panal("desktop", "start", "other")
        self.node.panal("desktop", "stop", "other")
        self.node.panal("desktop", "stop", "desk")
        wait_for("the client's end", lambda: self.person.client.process.poll() is not None, 60)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    say(f"seed {options.seed}")
    clock = Clock()
    node, screen = Node(), Screen()

    def scenario():
        work = Work(node, screen, clock, options.seed)
        work.set_up()
        work.sessions()
        work.starts(options.points)
        work.daemons()
        work.right_again()

    return conduct("clock", node, scenario,
                   after_down=[screen.close, lambda: os.unlink("/etc/ld.so.preload")])


if __name__ == "__main__":
    started = time.monotonic()
    result = main()
    say(f"clock: {time.monotonic() - started:.0f} s")
    sys.exit(result)

"""Every process of a node is killed, one after the other, under desktops that people use.

usage: survival.py [--desktops N] [--points N] [--seed N] [--only NAME...]

One node, N desktops each with a live client on a screen of its own. Every scenario says what went
on, and what came back by itself; after each one nothing may be left that no desktop owns.
"""

import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

from farm import BIN, Client, Failed, Node, Screen, conduct, say, wait_for

PASSWORD = "correct horse 7"
STARTUP = """#!/bin/sh
[ ! -x /etc/X11/icewm/startup ] || /etc/X11/icewm/startup
exec xterm -geometry 60x12+40+40 -e sh -c 'echo $$ >~/terminal.pid; exec cat >~/typed.txt'
"""
GROUPS = os.environ.get("PANAL_LAB_CGROUP", "") + "/panal"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
PROC = pathlib.Path("/proc")


# --- processes ------------------------------------------------------------------------------------

def alive(pid):
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill(*pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def processes():
    """pid -> (parent, name) of all that live."""
    out = {}
    for entry in PROC.glob("[0-9]*"):
        try:
            head, _, rest = (entry / "stat").read_text().rpartition(")")
        except OSError:
            continue
        words = rest.split()
        if words[0] not in "ZX":
            out[int(entry.name)] = (int(words[1]), head.partition("(")[2])
    return out


def descendants(*roots):
    table, out = processes(), set(roots)
    while more := {pid for pid, (parent, _) in table.items() if parent in out} - out:
        out |= more
    return out - set(roots)


def named(name):
    return {pid for pid, (_, comm) in processes().items() if comm == name}


def in_group(group):
    out = set()
    for file in CGROUPS.glob(f"*/{group}/cgroup.procs"):
        try:
            out |= {int(word) for word in file.read_text().split()}
        except OSError:
            pass
    return out - {0}


# --- the node -------------------------------------------------------------------------------------

class Seat:
    """A person: an account, a desktop, a screen, and a client that comes back by itself."""

    def __init__(self, farm, number, persistent=False):
        self.farm, self.node = farm, farm.node
        self.name = f"seat{number}"
        self.persistent = persistent
        self.screen = Screen(91 + number, "700x520")
        self.client = None
        self.node.panal("user", "add", self.name, "--password-file", "/dev/stdin",
                        stdin=PASSWORD + "\n")
        self.node.panal("desktop", "create", self.name, "--user", self.name, "--image", farm.image,
                        *(["--persistent"] if persistent else []))
        self.id = self.facts()["id"]

    def facts(self):
        return self.node.desktop(self.name)

    def pid(self):
        return self.facts()["pid"]

    def plant(self):
        home = self.node.home(self.name)
        owner = home.stat().st_uid
        path = home / ".icewm/startup"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STARTUP)
        path.chmod(0o755)
        for entry in (path, path.parent):
            os.chown(entry, owner, owner)

    def terminal(self):
        """The terminal's process as the desktop sees it, if it lives."""
        inside = (self.node.home(self.name) / "terminal.pid").read_text().strip()
        if not (PROC / str(self.pid()) / "root/proc" / inside / "stat").exists():
            raise Failed(f"{self.name}: its terminal is gone")
        return inside

    def run_inside(self, *command):
        return subprocess.run(
            ["nsenter", "--target", str(self.pid()), "--user", "--mount", "--root", *command],
            capture_output=True, text=True, check=True).stdout

    def session(self, *states):
        return lambda: self.facts()["session"] in states

    def ensure_client(self):
        if self.client is not None:
            code = self.client.process.poll()
            if code is None:
                return
            words = (self.client.output().strip().splitlines() or ["nothing"])[-1]
            if not self.client.closed:
                say(f"note: {self.name}'s client ended by itself with {code}: {words}")
        self.client = Client(self.node, self.screen, self.name, PASSWORD, self.name,
                             "--geometry", "640x460", "--retry", "30")
        self.client.closed = False

    def leave(self, how):
        """The client goes, by a kill or in good order."""
        self.client.closed = True
        how(self.client)

    def connect(self, seconds=120):
        """A client that gets in, like a person who tries again when one has ended."""
        def probe():
            self.ensure_client()
            return self.session("connected")() and self.screen.window()

        try:
            wait_for(f"{self.name}'s session and window", probe, seconds, 0.3)
        except Failed as error:
            raise Failed(f"{error}; its client said: {self.client.output()}") from None

    def type(self, word, seconds=60):
        """Types a word and sees it arrive; a window that is just being painted may miss some."""
        typed = self.node.home(self.name) / "typed.txt"

        def probe():
            window = self.screen.window()
            if window is None:
                return False
            self.screen.click(window[1] + 150, window[2] + 110)
            self.screen.type_line(word)
            until = time.monotonic() + 3
            while time.monotonic() < until:
                if word in typed.read_text().lower():
                    return True
                time.sleep(0.1)
            return False

        try:
            wait_for(f"{word!r} in {self.name}'s terminal", probe, seconds)
        except Failed as error:
            raise Failed(f"{error}\n{self.name}: {self.facts()}\nits client: "
                         f"{self.client.output()}") from None

    def close(self):
        if self.client is not None:
            self.client.close()
        self.screen.close()


class Farm:
    def __init__(self, image):
        self.image = image
        self.node = Node()
        self.seats = []
        self.spare = None

    def set_up(self, count):
        self.node.panal("up")
        self.node.panal("image", "build", self.image)
        self.seats = [Seat(self, number, persistent=number == 1) for number in range(count)]
        self.spare = Seat(self, count)  # nobody sits there: it is started and stopped
        everybody = [seat.name for seat in (*self.seats, self.spare)]
        self.node.panal("desktop", "start", *everybody)  # makes the homes
        self.node.panal("desktop", "stop", *everybody)
        for seat in (*self.seats, self.spare):
            seat.plant()
        self.node.panal("desktop", "start", *[seat.name for seat in self.seats])

    def service(self, name):
        """The pid of a living service by its pid file, or None."""
        try:
            pid = int((self.node.run_dir / f"supervisor/{name}.pid").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            return None
        return pid if alive(pid) else None

    def spawners(self):
        table = processes()
        return {p for p in descendants(self.service("panald") or 0) if table.get(p, (0, ""))[1]
                == "panal-spawner"} - in_group(f"{GROUPS}-monitor/*")

    def another(self, name, before, seconds=60):
        return wait_for(f"another {name}",
                        lambda: (p := self.service(name)) and p != before and p, seconds, 0.02)

    def all_well(self):
        return self.node.json("status")["ok"]

    def patient_supervisor(self):
        """A new one has not seen the earlier deaths, so it does not wait longer each time."""
        old = self.service("supervisor")
        kill(old)
        wait_for("a dead supervisor", lambda: not alive(old), 10, 0.01)
        self.node.panal("up")

    def wait_well(self, seconds=90):
        wait_for("a node where all is well",
                 lambda: self.node.panal("status", check=False).returncode == 0, seconds)

    def inits(self):
        return {seat.name: seat.pid() for seat in self.seats}

    def connect_all(self):
        for seat in self.seats:
            seat.ensure_client()
        for seat in self.seats:
            seat.connect()

    def undisturbed(self, word, before):
        """All type on, in the desktops and through the clients that they had."""
        for seat in self.seats:
            if seat.client.process.poll() is not None:
                raise Failed(f"{seat.name}'s client ended: {seat.client.output()}")
            seat.type(word)
        self.same_desktops(before)

    def undisturbed_without_database(self, word, before):
        """As undisturbed(), seen without asking panal, which needs the database."""
        for seat in self.seats:
            if seat.client.process.poll() is not None:
                raise Failed(f"{seat.name}'s client ended: {seat.client.output()}")
            if not alive(before["inits"][seat.name]):
                raise Failed(f"{seat.name}'s init ended")
            seat.type(word)

    def same_desktops(self, before):
        self.wait_well()
        now = self.inits()
        if now != before["inits"]:
            raise Failed(f"other inits: before {before['inits']}, now {now}")
        for seat in self.seats:
            if seat.terminal() != before["terminals"][seat.name]:
                raise Failed(f"{seat.name}: another terminal was started")
        self.nothing_doubled()

    def nothing_doubled(self):
        table = processes()
        for seat in self.seats:
            group = f"{GROUPS}/d{seat.id}"
            inits = [p for p in in_group(group) if table.get(p, (0, ""))[1] == "panal-agent"]
            if len(inits) > 2:  # nxagent's NX_CLIENT is the agent's program too
                raise Failed(f"{seat.name}: several agents: {inits}")

    def picture(self):
        return {"inits": self.inits(),
                "terminals": {seat.name: seat.terminal() for seat in self.seats}}

    # --- what may be left -------------------------------------------------------------------------

    def residue(self):
        """What belongs to no running desktop."""
        rows = self.node.json("desktop", "ls")
        live = {f"d{row['id']}" for row in rows if row["state"] == "running"}
        found = [f"desktop {row['name']} is {row['state']}: {row['reason']}" for row in rows
                 if row["state"] not in ("running", "stopped", "failed")]
        found += [f"{row['name']} is {row['state']} and has id slot {row['id_slot']}"
                  for row in rows if f"d{row['id']}" not in live and row["id_slot"] is not None]
        slots = [row["id_slot"] for row in rows if row["id_slot"] is not None]
        if len(slots) != len(set(slots)):
            found.append(f"id slots used twice: {slots}")
        for parent in (GROUPS, GROUPS + "-monitor"):
            for group in CGROUPS.glob(f"*/{parent}/*"):
                if group.is_dir() and group.name not in live | {"lxc.pivot"}:
                    found.append(f"cgroup {group}")
        desktops = self.node.run_dir / "desktops"
        found += [f"run directory {p}" for p in desktops.glob("*") if p.name not in live]
        mounts = self.inside("mnt", "cat", "/proc/self/mountinfo").splitlines()
        points = [line.split()[4] for line in mounts]
        points = [point for point in points if point.startswith(f"{self.node.run_dir}/")]
        for point in points:
            if point.startswith(f"{desktops}/"):
                if pathlib.Path(point).relative_to(desktops).parts[0] not in live:
                    found.append(f"mount {point}")
        if len(points) != len(set(points)):
            found.append("mounted twice: "
                         f"{sorted({p for p in points if points.count(p) > 1})}")
        for line in self.inside("net", "ip", "-br", "link").splitlines():
            link = line.split()[0].partition("@")[0]
            if link.startswith("pnl") and "d" + link[3:] not in live:
                found.append(f"link {link}")
        for lock in (self.node.state / "homes").glob("*/*.lock"):
            if lock.read_text().strip() not in live:
                found.append(f"home lock {lock}: {lock.read_text().strip()}")
        # A container's monitor is a fork of a spawner, but in a group of its own.
        panald = self.service("panald")
        known = {panald} | in_group(f"{GROUPS}-monitor/*")
        known |= descendants(*known)
        found += [f"{comm} {pid} (parent {parent}) is not panald's" for pid, (parent, comm)
                  in processes().items()
                  if comm in ("panal-spawner", "panal-prewarm") and pid not in known]
        return found

    def inside(self, which, *command):
        """Runs a command in one of Panal's pinned namespaces."""
        pinned = {"mnt": "--mount", "net": "--net"}[which]
        return subprocess.run(
            ["nsenter", f"{pinned}={self.node.run_dir}/ns/{which}", *command],
            capture_output=True, text=True, check=True).stdout

    def nothing_left(self, seconds=60):
        """Tidying may take a moment, so the last look counts."""
        until = time.monotonic() + seconds
        while (found := self.residue()) and time.monotonic() < until:
            time.sleep(0.3)
        if found:
            raise Failed("left behind:\n  " + "\n  ".join(found))

    def close(self):
        for seat in self.seats + [self.spare]:
            if seat is not None:
                seat.close()


# --- scenarios ------------------------------------------------------------------------------------

def kill_panald(farm, _):
    """Sessions go on undisturbed; a new panald owns all of them again and starts nothing twice."""
    before = farm.picture()
    old = farm.service("panald")
    kill(old)
    began = time.monotonic()
    for seat in farm.seats:  # while there is no panald, or hardly one
        seat.type("orphan")

    def owned():
        done = farm.node.panal("status", "--json", check=False)
        return farm.service("panald") not in (None, old) and '"running": %d' % len(
            farm.seats) in done.stdout

    wait_for("all desktops owned again", owned, 60, 0.05)
    farm.another("panald", old)
    farm.undisturbed("adopted", before)
    for row in farm.node.json("desktop", "ls"):
        if row["name"] != farm.spare.name and (row["state"], row["session"]) != (
                "running", "connected"):
            raise Failed(f"desktop ls says {row}")
    return f"at most {time.monotonic() - began:.1f} s with typing"


def readopt_time(farm, _):
    """panald killed: how long until all desktops are owned again (printed, target 2 s)."""
    before = farm.picture()
    old = farm.service("panald")
    log = farm.node.state / "log/panald.log"
    size = log.stat().st_size
    began = time.monotonic()
    kill(old)

    def taken_over():
        with log.open("rb") as file:
            file.seek(size)
            return b"serving" in file.read()

    wait_for("a new panald that serves", taken_over, 60, 0.01)
    took = time.monotonic() - began
    farm.another("panald", old)
    farm.same_desktops(before)
    return f"{len(farm.seats)} desktops owned again after {took:.2f} s (target 2)"


def kill_supervisor(farm, _):
    """Nothing else dies; panal up adopts what lives."""
    before = farm.picture()
    services = {name: farm.service(name) for name in ("postgres", "panald", "broker")}
    kill(farm.service("supervisor"))
    time.sleep(0.5)
    for name, pid in services.items():
        if farm.service(name) != pid:
            raise Failed(f"{name} ended with the supervisor")
    farm.node.panal("up")
    for name, pid in services.items():
        if farm.service(name) != pid:
            raise Failed(f"panal up replaced a living {name}")
    farm.undisturbed("alone", before)
    # The adopted ones are watched: one that dies comes back.
    kill(services["broker"])
    farm.another("broker", services["broker"])
    farm.wait_well()
    farm.undisturbed("watched", before)


def workers_of(broker):
    return {pid for pid, (parent, _) in processes().items() if parent == broker}


def kill_broker_worker(farm, _):
    """Its sessions suspend and its clients come back; programs live on."""
    before = farm.picture()
    broker = farm.service("broker")
    workers = workers_of(broker)
    if not workers:
        raise Failed(f"the broker {broker} has no workers")
    kill(*workers)
    # Clients by themselves, through workers that the parent made.
    farm.connect_all()
    for seat in farm.seats:
        seat.type("worker")
    farm.same_desktops(before)
    if farm.service("broker") != broker:
        raise Failed("the broker's parent ended with its workers")
    if workers_of(broker) & workers or not workers_of(broker):
        raise Failed(f"workers before {workers}, after {workers_of(broker)}")


def kill_broker(farm, _):
    """The parent alone: sessions go on, the port is served again. All of it: clients return."""
    before = farm.picture()
    broker = farm.service("broker")
    kill(broker)
    farm.another("broker", broker)
    farm.wait_well()
    farm.undisturbed("fatherless", before)
    extra = farm.seats[0]
    extra.leave(Client.kill)  # and a new client gets in
    wait_for("its suspension", extra.session("suspended"), 30)
    extra.connect()
    everything = named("panal-broker")
    kill(*everything)
    wait_for("a suspended or a new session", lambda: all(
        seat.session("suspended", "connected", "listening", "resuming", "suspending")()
        for seat in farm.seats))
    farm.another("broker", broker)
    farm.connect_all()
    for seat in farm.seats:
        seat.type("broker")
    farm.same_desktops(before)


def login_says(farm, seat):
    """What a new client is told: (exit code, words)."""
    secret = seat.screen.directory / f"password-{seat.name}"
    done = subprocess.run(
        [str(BIN / "panal-client"), "--server", f"127.0.0.1:{farm.node.port}", "--user", seat.name,
         "--password-file", str(secret), "list"], env=seat.screen.environment,
        capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def kill_postgres(farm, _):
    """Sessions go on, new logins get a sentence, all recovers."""
    before = farm.picture()
    supervisor = farm.service("supervisor")
    os.kill(supervisor, signal.SIGSTOP)  # so that the time without a database can be looked at
    try:
        server = farm.service("postgres")
        kill(server, *descendants(server))
        wait_for("a dead database", lambda: not alive(server), 10)
        farm.undisturbed_without_database("baseless", before)
        code, words = login_says(farm, farm.seats[0])
        if code != 5 or "not available now" not in words or len(words) < 40:
            raise Failed(f"without a database a login got exit {code}: {words!r}")
        said = words.strip().splitlines()[-1]
    finally:
        os.kill(supervisor, signal.SIGCONT)
    farm.another("postgres", server)
    farm.wait_well()
    wait_for("a login", lambda: login_says(farm, farm.seats[0])[0] == 0, 60)
    # panald and the broker write and hear again.
    seat = farm.seats[0]
    seat.leave(Client.kill)
    wait_for("the suspension in the store", seat.session("suspended"), 60)
    seat.connect()
    farm.undisturbed("rebased", before)
    farm.node.panal("desktop", "start", farm.spare.name)
    farm.node.panal("desktop", "stop", farm.spare.name)
    return f"a login was told: {said}"


def kill_agent(farm, _):
    """The desktop has ended, with a reason, and is started again because it is wanted."""
    seat = farm.seats[-1]
    last = seat.pid()
    kill(last)
    wait_for("another init", lambda: seat.facts()["state"] == "running" and
             seat.facts().get("pid") not in (None, last), 60)
    farm.nothing_left()
    seat.connect()
    seat.type("reborn")
    for _ in range(2):
        last = seat.pid()
        kill(last)
        wait_for("its end or another init", lambda: seat.facts()["state"] == "failed" or (
            seat.facts()["state"] == "running" and seat.facts().get("pid") not in (None, last)), 60)
    facts = wait_for("failed", lambda: seat.facts()["state"] == "failed" and seat.facts(), 60)
    if "init ended" not in facts["reason"]:
        raise Failed(f"the reason does not say what happened: {facts['reason']}")
    seat.leave(Client.close)
    farm.nothing_left()
    farm.node.panal("desktop", "start", seat.name)
    seat.connect()
    seat.type("thrice")
    return f"reason given: {facts['reason']}"


def kill_nxagent(farm, _):
    """The session ends; the next connect makes another in the same desktop."""
    seat = farm.seats[0]
    init = seat.pid()
    table = processes()
    victims = [p for p in in_group(f"{GROUPS}/d{seat.id}") if table.get(p, (0, ""))[1] == "nxagent"]
    if not victims:
        raise Failed("no nxagent found")
    kill(*victims)
    wait_for("the session's end", seat.session("ended", "none"), 60)
    if seat.client.process.poll() is None:
        seat.leave(Client.close)
    seat.connect()
    seat.type("renewed")
    if seat.pid() != init:
        raise Failed("the desktop was started anew; only its session had to be")


def kill_prewarm(farm, _):
    """Whatever of a pre-warm dies, the desktop is usable."""
    for victim in ("Xvfb", "nxproxy", "panal-prewarm"):
        farm.node.panal("desktop", "start", farm.spare.name)
        panald = farm.service("panald")

        def find(victim=victim, panald=panald):
            table = processes()
            return [p for p in descendants(panald) if table.get(p, (0, ""))[1] == victim]

        try:
            kill(*wait_for(f"a pre-warming {victim}", find, 20, 0.01))
        except Failed:
            if not farm.spare.session("suspended")():
                raise
            say(f"note: the pre-warm was over before {victim} was seen")
        farm.spare.connect()
        farm.spare.type("warm")
        farm.spare.leave(Client.close)
        farm.node.panal("desktop", "stop", farm.spare.name)
        farm.nothing_left()


def reach(farm, desktop, word, seconds=90):
    """The spare desktop comes to the state that was asked for; a failed start has a reason and is
    asked for again."""
    asked = 0

    def probe():
        nonlocal asked
        facts = desktop.facts()
        if facts["state"] == "failed" and word == "running":
            if not facts["reason"]:
                raise Failed("failed without a reason")
            asked += 1
            say(f"note: the start failed: {facts['reason'].splitlines()[0]}")
            if asked > 1:
                raise Failed("it failed twice")
            farm.node.panal("desktop", "start", desktop.name, check=False)
        return facts["state"] == word and (word != "running" or facts.get("pid"))

    return wait_for(f"{desktop.name} {word}", probe, seconds)


def random_points(farm, options):
    """panald or a spawner is killed at random moments of starts and stops."""
    rng = random.Random(options.seed)
    farm.node.panal("desktop", "stop", farm.spare.name)
    others = farm.picture()
    for point in range(options.points):
        for verb, state, span in (("start", "running", 0.5), ("stop", "stopped", 0.6)):
            who = rng.choice(("panald", "panal-spawner"))
            delay = rng.uniform(0, span)
            farm.wait_well()
            farm.patient_supervisor()
            panald = farm.service("panald")
            spawners = farm.spawners()
            farm.node.panal("desktop", verb, "--no-wait", farm.spare.name)
            time.sleep(delay)
            kill(*([panald] if who == "panald" else spawners))
            try:
                reach(farm, farm.spare, state)
                farm.nothing_left()
            except Failed as error:
                raise Failed(f"{who} killed {delay:.3f} s into {verb} number {point} (seed "
                             f"{options.seed}): {error}") from None
        say(f"point {point + 1} of {options.points} passed")
    farm.wait_well()
    farm.same_desktops(others)


def kill_spawner(farm, _):
    """Spawners killed as soon as a start has one at work."""
    for _ in range(2):
        farm.node.panal("desktop", "start", "--no-wait", farm.spare.name)
        wait_for("a spawner at work", lambda: farm.spare.facts()["state"] in (
            "starting", "running", "failed"), 30, 0.001)
        kill(*farm.spawners())
        reach(farm, farm.spare, "running")
        farm.nothing_left()
        farm.node.panal("desktop", "stop", farm.spare.name)
        farm.nothing_left()


def ours():
    """All processes of the node; not the users' computers."""
    table = processes()
    keep = {os.getpid(), 1}
    at = os.getpid()
    while at in table and at not in keep | {0}:
        keep.add(at)
        at = table[at][0]
    roots = {pid for pid, (_, comm) in table.items()
             if comm in ("postgres", "panald", "panal", "panal-broker", "panal-spawner",
                         "panal-prewarm", "panal-agent") or comm.startswith("[lxc monitor]")}
    for parent in (GROUPS, GROUPS + "-monitor"):
        roots |= in_group(parent)
        roots |= in_group(parent + "/*")
    return (roots | descendants(*roots)) - keep


def reboot(farm, _):
    """Nothing is left but the disk: what was wanted comes back, volatile data does not."""
    volatile, persistent = farm.seats[0], farm.seats[1]
    for seat in (volatile, persistent):
        seat.run_inside("touch", "/var/tmp/marker")
    inits = set(farm.inits().values())
    while left := ours():
        kill(*left)
        time.sleep(0.05)
    parents = (GROUPS, GROUPS + "-monitor")
    groups = [g for parent in parents for g in CGROUPS.glob(f"*/{parent}/**/") if g.is_dir()]
    for group in sorted(groups, key=lambda g: -len(g.parts)):
        group.rmdir()
    for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
        if line.split()[1].startswith(str(farm.node.run_dir)):
            subprocess.run(["umount", line.split()[1]], check=True)
    subprocess.run(["rm", "-rf", "--one-file-system", str(farm.node.run_dir)], check=True)
    farm.node.panal("up", "--wait")
    for seat in farm.seats:
        if seat.facts()["state"] != "running" or seat.pid() is None:
            raise Failed(f"after the reboot: {seat.facts()}")
    if farm.spare.facts()["state"] != "stopped":
        raise Failed("a desktop that nobody wants was started")
    farm.connect_all()
    for seat in farm.seats:
        seat.type("rebooted")
    if volatile.run_inside("ls", "/var/tmp").split():
        raise Failed("volatile data survived the reboot")
    if persistent.run_inside("ls", "/var/tmp").split() != ["marker"]:
        raise Failed("the persistent root lost its data")
    farm.nothing_left()
    return f"{len(inits)} desktops are back"


SCENARIOS = (kill_panald, readopt_time, kill_supervisor, kill_broker_worker, kill_broker,
             kill_postgres, kill_nxagent, kill_prewarm, kill_spawner, random_points, kill_agent,
             reboot)


def run_all(farm, options):
    farm.set_up(options.desktops)
    farm.connect_all()
    for seat in farm.seats:
        seat.type("hello")
    for scenario in SCENARIOS:
        name = scenario.__name__
        if name not in options.only:
            continue
        began = time.monotonic()
        say(f"{name}: {scenario.__doc__.splitlines()[0]}")
        note = scenario(farm, options)
        farm.wait_well()
        farm.nothing_left()
        note = f"; {note}" if note else ""
        say(f"{name}: passed in {time.monotonic() - began:.1f} s{note}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", default="icewm")
    parser.add_argument("--desktops", type=int, default=4)
    parser.add_argument("--points", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--only", nargs="+", default=[s.__name__ for s in SCENARIOS])
    options = parser.parse_args()
    say(f"survival: {options.desktops} desktops, {options.points} random points, "
        f"seed {options.seed}")
    farm = Farm(options.image)
    return conduct("survival", farm.node, lambda: run_all(farm, options), before_down=[farm.close])


if __name__ == "__main__":
    sys.exit(main())

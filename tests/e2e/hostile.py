"""A hostile desktop beside a bystander's: what its user tries, and that nobody else notices.

One node, two desktops. The attacks run inside mallory's desktop as its user (helper/attack.cc);
after each kind of attack keys typed on the bystander's screen must still arrive in its terminal.
What single system calls answer is in tests/system/desktop/confinement_test.cc, what an agent may
send in tests/unit/runtime/node/agent_hub_test.cc; see docs/threat-model.md.
"""

import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from farm import BIN, Client, Failed, Node, Screen, conduct, say, wait_for
from first_desktop import plant_startup, session_is, wait_connected

PASSWORD = "correct horse 7"
MEMORY_MIB = 320
PIDS = 200
HOST_SECRET = "host-secret-5ab41"
# What a terminal obeys: colours, a title, another file's name on the "screen".
CONTROL = r"\033[31mred\033]0;title\007\2332J\r"
CONTROL_BYTES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")

SERVE = """#!/bin/sh
mkdir -p ~/box
chmod 755 ~/attack
exec ~/attack serve ~/box
"""


def check(condition, what):
    if not condition:
        raise Failed(what)


def strings(value):
    """Every text in what a JSON answer holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, held in value.items():
            yield key
            yield from strings(held)
    elif isinstance(value, list):
        for held in value:
            yield from strings(held)


class Hostile:
    """Runs words inside mallory's desktop, through files in the home."""

    def __init__(self, node, login):
        self.home = node.home(login)
        self.box = self.home / "box"
        self.count = 0

    def plant(self):
        uid = self.home.stat().st_uid
        shutil.copyfile(BIN / "hostile-attack", self.home / "attack")
        startup = self.home / ".icewm" / "startup"
        startup.parent.mkdir(exist_ok=True)
        startup.write_text(SERVE)
        self.box.mkdir(exist_ok=True)
        for path in (self.home / "attack", startup, startup.parent, self.box):
            path.chmod(0o755)
            os.chown(path, uid, uid)

    def begin(self, text):
        self.count += 1
        name = self.box / f"job{self.count}"
        part = name.with_suffix(".part")
        part.write_text(text)
        part.rename(name.with_suffix(".job"))
        return name

    def end(self, name, seconds=90):
        wait_for(f"the end of {name.name}", name.with_suffix(".rc").exists, seconds)
        return name.with_suffix(".out").read_text(errors="replace")

    def run(self, text, seconds=90):
        return self.end(self.begin(text), seconds)

    def values(self, text):
        return {k: int(v) for k, v in re.findall(r"^(\w+) (-?\d+)$", text, re.M)}

    def held(self, text, check_meanwhile):
        """Starts what takes all of something; looks around while it holds; lets go."""
        release = self.box / "release"
        release.unlink(missing_ok=True)
        name = self.begin(text)
        wait_for(
            f"{text} to be refused", lambda: "errno " in name.with_suffix(".out").read_text(), 90
        )
        values = self.values(name.with_suffix(".out").read_text())
        check_meanwhile()
        release.touch()
        self.end(name)
        return values


class Bystander:
    """Somebody who works beside it, seen through pixels and keys."""

    def __init__(self, node, screen, login, name):
        self.node, self.screen, self.login, self.name = node, screen, login, name
        self.typed = node.home(login) / "typed.txt"
        self.count = 0

    def connect(self, picture):
        self.client = Client(self.node, self.screen, self.login, PASSWORD, self.name,
                             "--geometry", "900x600")
        wait_connected(self.node, self.name, self.client, 120)
        shape = self.screen.wait_painted(picture, 20)
        wait_for("the terminal", (self.node.home(self.login) / "terminal.pid").exists, 60)
        self.screen.click(shape[1] + 150, shape[2] + 110)

    def works(self):
        self.count += 1
        word = f"line {self.count}"
        self.screen.type_line(word)
        wait_for(f"\"{word}\" in the bystander's terminal",
                 lambda: word in self.typed.read_text(), 60)
        check(self.client.process.poll() is None, "the bystander's client ended")


class Decoy:
    """A socket of the host that everybody may connect to: nobody must be led there."""

    def __init__(self, path):
        self.path, self.visitors = path, 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        path.chmod(0o777)
        self.socket.listen()
        threading.Thread(target=self.count, daemon=True).start()

    def count(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.visitors += 1
            connection.close()


def daemons(node):
    """Pids of what keeps the node going."""
    return {
        path.name: int(path.read_text().split()[0])
        for path in (node.run_dir / "supervisor").glob("*.pid")
    }


def attach_ends(node, screen, name, why):
    """The hostile user's own client: connected (it lost its race) or told why in a sentence."""
    client = Client(node, screen, "mallory", PASSWORD, name, "--geometry", "640x480")
    connected = session_is(node, name, "connected")
    try:
        wait_for("an end", lambda: client.process.poll() is not None
                 or connected(), 120)
        code = client.process.poll()
        last = client.output().strip().splitlines()[-1:]
        say(f"  {why}: {'connected' if code is None else f'exit {code}'}: {last}")
        check(code is None or (code != 0 and last), f"{why}: exit {code}, said {last}")
        check(not CONTROL_BYTES.search(client.output().replace("\r", "")), f"{why}: control bytes")
    finally:
        client.close()
    wait_for("the end of it", lambda: not connected(), 60)


def shared_directory(node, mallory, bystander, screen, decoy):
    say("links planted where the host opens nx.sock, files that fill the shared tmpfs")
    nx = "/run/panal/nx"
    # More kinds of links and files: NxSocket.IsConnectedOnlyWhereItIsTheUsersSocket.
    job = mallory.begin(f"~/attack swap {nx} {decoy.path} 3")
    attach_ends(node, screen, "evil", f"nx.sock -> {decoy.path}")
    say(f"    {mallory.values(mallory.end(job))}")
    check(decoy.visitors == 0, f"{decoy.visitors} connections reached the host's socket")
    bystander.works()
    # An attach that was spoilt costs its own user a minute of nxagent's patience.
    node.panal("desktop", "stop", "evil")
    node.panal("desktop", "start", "evil")
    wait_for("the end of the pre-warm", session_is(node, "evil", "suspended"), 90)

    out = mallory.values(mallory.run(f"~/attack fill {nx} 1"))
    say(f"  filled: {out}")
    check(out["files"] <= 32 and out["files_errno"] == 28, f"too many files: {out}")
    check(out["bytes"] <= 65536 and out["bytes_errno"] == 28, f"too many bytes: {out}")
    attach_ends(node, screen, "evil", "the shared tmpfs is full")
    bystander.works()
    mallory.run(f"rm -rf {nx}/*")
    client = Client(node, screen, "mallory", PASSWORD, "evil", "--geometry", "640x480")
    wait_connected(node, "evil", client, 90)
    client.close()
    wait_for("a suspended session", session_is(node, "evil", "suspended"), 60)


def exhaustion(node, mallory, bystander):
    say("what runs out, runs out for mallory alone")
    # The kernel's 128, or the 1024 of Debian's lxc package.
    inotify = int(pathlib.Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    for word, low, high in (("ptys", 1, 64), ("inotify", 1, inotify), ("maps", 60000, 66000),
                            ("fds", 1, 1 << 20), ("forks", 50, PIDS)):
        def look(word=word):
            bystander.works()
            if word == "ptys":
                os.close(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
            # What the operator looks at while it happens.
            node.json("top", "--once")
            check(node.desktop("evil")["state"] == "running", "the desktop is not running")

        out = mallory.held(f"~/attack {word}", look)
        say(f"  {word}: {out}")
        check(low <= out[word] <= high, f"{word}: {out[word]} is not in {low}..{high}")
        check(out["errno"] != 0, f"{word}: never refused")

    for place in ("/tmp", "/dev/shm", "/run/user/$(id -u)"):
        out = mallory.values(mallory.run(
            f"mkdir {place}/fill && ~/attack fill {place}/fill 2000; rm -rf {place}/fill"))
        say(f"  {place}: {out}")
        check(out["bytes_errno"] == 28, f"{place} has no end: {out}")
        check(out["bytes"] <= MEMORY_MIB << 18, f"{place} holds too much: {out}")
    bystander.works()

    say("twice its memory: only its own processes die")
    before = daemons(node)
    out = mallory.values(mallory.run(f"~/attack eat {2 * MEMORY_MIB}"))
    check(out["signal"] == signal.SIGKILL, f"eating ended with {out}")
    both = mallory.run("mkdir -p /tmp/fill /dev/shm/fill; ~/attack fill /tmp/fill 2000 &"
                       f"~/attack fill /dev/shm/fill 2000 & ~/attack eat {2 * MEMORY_MIB};"
                       "wait; rm -rf /tmp/fill /dev/shm/fill")
    check(mallory.values(both)["signal"] == signal.SIGKILL, f"eating ended with {both}")
    bystander.works()
    check(daemons(node) == before, "a daemon of the node was replaced")
    check(node.desktop("evil")["state"] == "running", "the desktop itself was lost")


def secrets(mallory, bystander):
    say("nothing of the host in /proc and /sys")
    # Its own name is in its own mounts: the search does find what is there.
    needles = ["mallory", HOST_SECRET, bystander.login, bystander.name, "postgres", "panald", "nxproxy"]
    (mallory.box / "needles").write_text("\n".join(needles) + "\n")
    out = mallory.run("~/attack search ~/box/needles")
    numbers = mallory.values(out)
    hits = [line.split(" ", 2)[1:] for line in out.splitlines() if line.startswith("hit ")]
    check(["mallory", "/proc/1/mountinfo"] in hits, f"the search is blind: {out}")
    hits = [hit for hit in hits if hit[0] != "mallory"]
    for hit in hits:
        say(f"    {hit}")
    check(numbers["searched"] > 500, f"only {numbers} files could be read")
    check(numbers["processes"] < 40, f"{numbers['processes']} processes are in sight")
    check(not hits, f"{len(hits)} places give something away")
    answers = mallory.values(mallory.run("~/attack calls"))
    say(f"  {answers}")
    good = [name for name, error in answers.items() if error == 0]
    check(not good, f"allowed: {good}")


def words(node, mallory):
    say("control characters in names, logs and reasons")
    for name in ("a\x1b[31mb", "a\nb", "a\x9bb", "a" * 300, "../up"):
        done = node.panal("desktop", "create", name, "--user", "mallory", "--image", "icewm",
                          check=False)
        check(done.returncode == 2, f"desktop create {name!r}: exit {done.returncode}")
        said = done.stdout + done.stderr
        check(said.count("\n") == 1 and not CONTROL_BYTES.search(said), f"{name!r} gave {said!r}")
    # The session's first program ends (nxagent does not), and the last words are the reason.
    startup = mallory.home / ".icewm" / "startup"
    startup.write_text(f"#!/bin/sh\nprintf '{CONTROL} last words\\n' >&2\n"
                       "for p in /proc/[0-9]*; do\n"
                       "  ! grep -qs dbus-run $p/comm || kill -9 ${p#/proc/}\ndone\n")
    node.panal("desktop", "start", "evil")
    wait_for("the reason", lambda: "last words" in node.panal("desktop", "logs", "evil").stdout, 60)
    log = node.state / "log" / "panald.log"
    wait_for("the reason in panald's log", lambda: "last words" in log.read_text(), 60)
    check(not CONTROL_BYTES.search(log.read_text()), "control bytes in panald's log")
    for command in (("desktop", "show", "evil"), ("desktop", "logs", "evil"), ("desktop", "ls"),
                    ("status",), ("top", "--once")):
        done = node.panal(*command)
        found = CONTROL_BYTES.search(done.stdout + done.stderr)
        check(not found, f"panal {' '.join(command)}: {found!r}")
        if command[-1] != "evil" or command[1] == "show":
            for text in strings(node.json(*command)):
                check(not CONTROL_BYTES.search(text), f"panal {' '.join(command)} --json: {text!r}")
    node.panal("desktop", "stop", "evil")
    startup.write_text(SERVE)


def two_users(node):
    """mallory with desktop evil, what attacks planted in the home, and zbystander with zdesk; both
    desktops are stopped."""
    say("panal up; two users; two desktops")
    node.panal("up")
    node.panal("image", "build", "icewm")
    for login, name in (("mallory", "evil"), ("zbystander", "zdesk")):
        node.panal("user", "add", login, "--password-file", "/dev/stdin", stdin=PASSWORD + "\n")
        node.panal("desktop", "create", name, "--user", login, "--image", "icewm")
        node.panal("desktop", "start", name)
        node.panal("desktop", "stop", name)
    mallory = Hostile(node, "mallory")
    mallory.plant()
    plant_startup(node, "zbystander")
    return mallory


def attack(node, screen):
    pictures = pathlib.Path(os.environ.get("PANAL_PICTURES", node.directory))
    mallory = two_users(node)
    node.panal("desktop", "start", "evil", "zdesk")
    bystander = Bystander(node, screen, "zbystander", "zdesk")
    bystander.connect(pictures / "bystander.png")
    bystander.works()
    wait_for("the end of the pre-warm", session_is(node, "evil", "suspended"), 90)
    mallory.run("true")
    before = daemons(node)
    decoy = Decoy(node.run_dir / "decoy.sock")

    secrets(mallory, bystander)
    shared_directory(node, mallory, bystander, screen, decoy)
    exhaustion(node, mallory, bystander)

    say("it kills all of its own")
    mallory.begin("kill -9 -1")
    bystander.works()
    check(daemons(node) == before, f"daemons were {before}, are {daemons(node)}")

    node.panal("desktop", "stop", "evil")

    words(node, mallory)
    bystander.works()

    say("deaf to TERM, in the middle of a fork bomb: it stops all the same")
    node.panal("desktop", "start", "evil")
    wait_for("the end of the pre-warm", session_is(node, "evil", "suspended"), 90)
    for old in mallory.box.glob("*"):
        old.unlink()
    job = mallory.begin("trap '' TERM HUP; ~/attack forks")
    wait_for("the fork bomb", lambda: "errno" in job.with_suffix(".out").read_text(), 60)
    node.panal("desktop", "stop", "evil")
    check(node.desktop("evil")["state"] == "stopped", f"{node.desktop('evil')}")
    bystander.works()
    check(decoy.visitors == 0, f"{decoy.visitors} connections reached the host's socket")
    decoy.socket.close()
    decoy.path.unlink()
    node.panal("desktop", "stop", "zdesk")
    bystander.client.process.wait(timeout=60)


def main():
    # An nxproxy that is refused dies by a signal.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    node = Node()
    with node.config.open("a") as config:
        config.write(f'[desktop]\nmemory = "{MEMORY_MIB} MiB"\npids = {PIDS}\n')
    screen = Screen()
    host = subprocess.Popen(
        ["/bin/sleep", "100000"], env={"SECRET": HOST_SECRET}, cwd="/", start_new_session=True
    )
    named = subprocess.Popen(["/bin/sh", "-c", "read x; :", HOST_SECRET], stdin=subprocess.PIPE)
    def end_of_hosts():
        for process in (host, named):
            process.kill()
            process.wait()

    return conduct("hostile", node, lambda: attack(node, screen), before_down=[end_of_hosts],
                   after_down=[screen.close])


if __name__ == "__main__":
    sys.exit(main())

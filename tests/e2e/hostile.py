"""A hostile desktop beside a bystander's: what its user tries, and that nobody else notices.

One node, two desktops. The attacks run inside mallory's desktop as its user (helper/attack.cc);
after each kind of attack keys typed on the bystander's screen must still arrive in its terminal.
What single system calls answer is in tests/system/desktop/confinement_test.cc, what an agent may
send in tests/unit/runtime/node/agent_hub_test.cc; see docs/threat-model.md.
"""

import ctypes
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys

from farm import Client, Node, Screen, conduct, say, wait_for
from first_desktop import session_is, wait_connected
from two_desktops import (CONTROL_BYTES, MEMORY_MIB, PASSWORD, PIDS, SERVE, Bystander, Decoy, Hostile,
                          check, daemons, strings, two_users)

HOST_SECRET = "host-secret-5ab41"
# What a terminal obeys: colours, a title, another file's name on the "screen".
CONTROL = r"\033[31mred\033]0;title\007\2332J\r"


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
    swapped = 0
    for _ in range(5):
        job = mallory.begin(f"~/attack swap {nx} {decoy.path} 3")
        attach_ends(node, screen, "evil", f"nx.sock -> {decoy.path}")
        out = mallory.values(mallory.end(job, 150))
        say(f"    {out}")
        check(decoy.visitors == 0, f"{decoy.visitors} connections reached the host's socket")
        swapped += out["swapped"]
        if swapped >= 5:
            break
        node.panal("desktop", "stop", "evil")
        node.panal("desktop", "start", "evil")
        wait_for("the end of the pre-warm", session_is(node, "evil", "suspended"), 90)
    check(swapped >= 5, f"the link was put there only {swapped} times: nothing was raced")
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


def host_has_more():
    """One more of each of what a desktop took all of, taken by the host's root."""
    subprocess.run(["/bin/true"], check=True)
    os.close(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
    libc = ctypes.CDLL(None, use_errno=True)
    instance = libc.inotify_init1(os.O_CLOEXEC)
    check(instance >= 0, f"the host's inotify_init: {os.strerror(ctypes.get_errno())}")
    watch = libc.inotify_add_watch(instance, b"/tmp", 0x100)
    check(watch >= 0, f"the host's inotify_add_watch: {os.strerror(ctypes.get_errno())}")
    os.close(instance)
    files, _, most = map(int, pathlib.Path("/proc/sys/fs/file-nr").read_text().split())
    check(files < most // 2, f"{files} of the host's {most} open files are taken")


def exhaustion(node, mallory, bystander, neighbour):
    say("what runs out, runs out for mallory alone")
    limits = pathlib.Path("/proc/sys/fs/inotify")
    # The kernel's 128, or the 1024 of Debian's lxc package.
    inotify = int((limits / "max_user_instances").read_text())
    watches = int((limits / "max_user_watches").read_text())
    for word, low, high in (("ptys", 1, 64), ("inotify", 1, inotify), ("watches", 1000, watches),
                            ("maps", 60000, 66000), ("fds", 8 * 1000, None), ("forks", 50, PIDS)):
        def look(word=word):
            bystander.works()
            host_has_more()
            beside = neighbour.values(neighbour.run("~/attack probe"))
            check(len(beside) == 6 and not any(beside.values()), f"{word}: beside it {beside}")
            # What the operator looks at while it happens.
            node.json("top", "--once")
            check(node.desktop("evil")["state"] == "running", "the desktop is not running")

        out = mallory.held(f"~/attack {word}", look)
        say(f"  {word}: {out}")
        if word == "fds":
            # Each process has a table of its own, and each came to its end.
            high = 8 * out["limit"]
            check(out["refused"] == 8 and out["least"] > out["limit"] - 100,
                  f"not all eight came to their limit: {out}")
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


def host_sockets(node, mallory):
    say("sockets of the host: the node's, the database's, the system bus's, an abstract one")
    bus = pathlib.Path("/run/dbus/system_bus_socket")
    bus.parent.mkdir(parents=True, exist_ok=True)
    others = [] if bus.exists() else [Decoy(bus)]
    others.append(Decoy("@panal-hostile-decoy"))
    names = [str(node.run_dir / "panald.sock"), *map(str, (node.run_dir / "postgres").glob(".s.*[0-9]")),
             str(bus), "@panal-hostile-decoy"]
    check(len(names) == 4, f"the database has another socket: {names}")
    for name in names:
        # On the host they answer; panald's keeps frames apart.
        kind = socket.SOCK_SEQPACKET if name.endswith("panald.sock") else socket.SOCK_STREAM
        with socket.socket(socket.AF_UNIX, kind) as there:
            there.connect(name.replace("@", "\0"))
    for other in others:
        wait_for("the host's own visit", lambda other=other: other.visitors == 1, 10)
    out = mallory.values(mallory.run("~/attack sockets " + " ".join(f"'{name}'" for name in names)))
    say(f"  {dict(zip(names, out.values()))}")
    check(len(out) == len(names) and all(out.values()), f"reached: {out} of {names}")
    for other in others:
        check(other.visitors == 1, f"{other.visitors} connections reached {other.path}")
        other.close()


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


def attack(node, screen):
    pictures = pathlib.Path(os.environ.get("PANAL_PICTURES", node.directory))
    mallory = two_users(node)
    neighbour = Hostile(node, "zbystander")
    neighbour.plant(beside=True)
    node.panal("desktop", "start", "evil", "zdesk")
    bystander = Bystander(node, screen, "zbystander", "zdesk")
    bystander.connect(pictures / "bystander.png")
    bystander.works()
    wait_for("the end of the pre-warm", session_is(node, "evil", "suspended"), 90)
    mallory.run("true")
    before = daemons(node)
    decoy = Decoy(node.run_dir / "decoy.sock")

    secrets(mallory, bystander)
    host_sockets(node, mallory)
    shared_directory(node, mallory, bystander, screen, decoy)
    exhaustion(node, mallory, bystander, neighbour)

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
    decoy.close()
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

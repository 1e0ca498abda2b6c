"""What hostile.py leaves out: the desktop's root, who can reach the agent's socket, and what many of
the user's processes take together.

One node, mallory's desktop and a bystander's. Root inside is had with nsenter: it has the rights of
the desktop's id range and none of the seccomp filters, so it is more than a fault in an image gives.
"""

import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

from farm import BIN, Client, Node, Screen, conduct, say, wait_for
from first_desktop import session_is, wait_connected
from two_desktops import (CONTROL_BYTES, MEMORY_MIB, PASSWORD, PIDS, Bystander, check, daemons,
                          strings, two_users)

SECONDS = 25  # of each attack on the agent's socket
BACK = 15  # within so many seconds the agent has its place again


def memory_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(),
                         re.M)[1])


class Root:
    """The hostile desktop's root."""

    def __init__(self, node, name, login):
        self.node, self.name = node, name
        program = node.home(login) / "root-attack"
        shutil.copyfile(BIN / "root-attack", program)
        program.chmod(0o755)

    def begin(self, *words):
        pid = self.node.desktop(self.name)["pid"]
        return subprocess.Popen(
            ["nsenter", "--target", str(pid), "--user", "--mount", "--pid", "--root", "--wd",
             "/home/mallory/root-attack", *map(str, words)], stdout=subprocess.PIPE, text=True)

    @staticmethod
    def end(process, mallory):
        out, _ = process.communicate(timeout=120)
        check(process.returncode == 0, f"the attack ended with {process.returncode}")
        return mallory.values(out)


def second_connection(node, root, mallory, bystander):
    say("a second connection beside the agent's")
    attack = root.begin("agent", 5)
    bystander.works()
    out = root.end(attack, mallory)
    say(f"  {out}")
    check(out["tried"] > 5 and out["refused"] == out["tried"], f"taken for the agent: {out}")
    check(node.desktop("evil")["state"] == "running", "the desktop does not run any more")


def false_agent(node, root, mallory, bystander):
    say("panald dies; who comes back first is not the agent")
    before = daemons(node)
    # The agent is kept out, as by a root who wins every race for the one connection.
    init = node.desktop("evil")["pid"]
    os.kill(init, signal.SIGSTOP)
    attack = root.begin("agent", SECONDS)
    os.kill(before["panald.pid"], signal.SIGKILL)
    wait_for("another panald", lambda: daemons(node)["panald.pid"] != before["panald.pid"], 60)
    panald = daemons(node)["panald.pid"]
    wait_for("its answer", lambda: node.panal("status", check=False).returncode == 0, 60)
    memory = memory_kib(panald)
    while attack.poll() is None:
        bystander.works()
        node.json("top", "--once")
        for text in strings(node.json("desktop", "show", "evil")):
            check(not CONTROL_BYTES.search(text), f"control bytes from the agent: {text!r}")
    out = root.end(attack, mallory)
    os.kill(init, signal.SIGCONT)
    grown = memory_kib(panald) - memory
    say(f"  {out}; panald grew by {grown} KiB")
    for way in ("garbage", "huge", "flood", "silence", "words", "numbers", "deaf"):
        check(out[way] > 0, f"never taken for the agent to try \"{way}\": {out}")
    check(out["borne"] == 0, f"panald went on with {out['borne']} links that should have ended")
    check(daemons(node)["panald.pid"] == panald, "panald was replaced again")
    check(grown < 32768, f"panald grew by {grown} KiB")
    log = (node.state / "log" / "panald.log").read_text()
    check("forged line" in log and not CONTROL_BYTES.search(log), "control bytes in panald's log, or none came")

    say("the agent is let in again when it stops, and the desktop is as good as before")
    client = Client(node, bystander.screen, "mallory", PASSWORD, "evil", "--geometry", "640x480",
                    "--retry", "30")
    wait_connected(node, "evil", client, 120)
    client.close()
    wait_for("a suspended session", session_is(node, "evil", "suspended"), 60)


def place_holder(node, root, mallory, bystander, way):
    say(f"panald dies; who comes back first is {way}, and keeps the agent's place")
    before = daemons(node)
    init = node.desktop("evil")["pid"]
    os.kill(init, signal.SIGSTOP)
    attack = root.begin("hold", way, 60)
    try:
        os.kill(before["panald.pid"], signal.SIGKILL)
        wait_for("another panald", lambda: daemons(node)["panald.pid"] != before["panald.pid"], 60)
        check(attack.stdout.readline() == "held 1\n", "never had the agent's place")
    finally:
        os.kill(init, signal.SIGCONT)
    began = time.monotonic()
    wait_for("its answer", lambda: node.panal("status", check=False).returncode == 0, 60)
    bystander.works()
    out = root.end(attack, mallory)
    check(out["ended"] == 1 and out["milliseconds"] < 1000 * BACK, f"not sent away in time: {out}")

    wait_for("the agent", lambda: node.desktop("evil")["agent"],
             max(1, BACK - (time.monotonic() - began)))
    say(f"  {out}; the agent was back after {time.monotonic() - began:.1f} s")
    log = (node.state / "log" / "panald.log").read_text()
    check({"mute": "did not say hello", "slow": "did not answer"}[way] in log, "the log does not say why")


def much(node, mallory, bystander):
    say("more than 100,000 mappings; keys; the calls that are left")
    release = mallory.box / "release"
    release.unlink(missing_ok=True)
    jobs = [mallory.begin("~/attack maps") for _ in range(2)]
    for job in jobs:
        wait_for("maps to be refused", lambda job=job: "errno " in job.with_suffix(".out").read_text(),
                 90)
    maps = sum(mallory.values(job.with_suffix(".out").read_text())["maps"] for job in jobs)
    bystander.works()
    node.json("top", "--once")
    check(maps > 100000, f"only {maps} mappings")
    release.touch()
    for job in jobs:
        mallory.end(job)

    def keys():
        rows = (line.split() for line in pathlib.Path("/proc/key-users").read_text().splitlines())
        return sum(int(row[3].partition("/")[0]) for row in rows)

    before = keys()
    out = mallory.values(mallory.run("~/root-attack calls"))
    say(f"  {maps} mappings; {out}; keys {before}, {keys()}")
    good = [name for name, error in out.items() if error == 0]
    check(len(out) == 11 and not good, f"allowed: {good} of {out}")
    check(keys() <= before + 4, "keys of the host were taken")


def attack(node, screen):
    pictures = pathlib.Path(os.environ.get("PANAL_PICTURES", node.directory))
    mallory = two_users(node)
    root = Root(node, "evil", "mallory")
    node.panal("desktop", "start", "evil", "zdesk")
    bystander = Bystander(node, screen, "zbystander", "zdesk")
    bystander.connect(pictures / "bystander_root.png")
    bystander.works()
    wait_for("the end of the pre-warm", session_is(node, "evil", "suspended"), 90)
    mallory.run("true")

    much(node, mallory, bystander)
    second_connection(node, root, mallory, bystander)
    false_agent(node, root, mallory, bystander)
    for way in ("mute", "slow"):
        place_holder(node, root, mallory, bystander, way)
    client = Client(node, screen, "mallory", PASSWORD, "evil", "--geometry", "640x480",
                    "--retry", "30")
    wait_connected(node, "evil", client, 120)
    client.close()
    wait_for("a suspended session", session_is(node, "evil", "suspended"), 60)

    node.panal("desktop", "stop", "evil", "zdesk")
    bystander.client.process.wait(timeout=60)


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    node = Node()
    with node.config.open("a") as config:
        config.write(f'[desktop]\nmemory = "{MEMORY_MIB} MiB"\npids = {PIDS}\n')
    screen = Screen()
    return conduct("hostile_root", node, lambda: attack(node, screen), after_down=[screen.close])


if __name__ == "__main__":
    started = time.monotonic()
    result = main()
    say(f"hostile_root: {time.monotonic() - started:.0f} s")
    sys.exit(result)

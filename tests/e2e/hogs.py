"""A desktop that takes all it can get, beside one in which somebody works.

One node whose desktops share less memory than one of them may have. Each hog runs inside its
desktop as its user (helper/attack.cc). Meanwhile keys typed on the bystander's screen must arrive,
nobody else may be killed, and the hog ends in a state with a reason or goes on, capped.
What it does to the time of a key is a figure: panal-bench figure hog.bystander.
"""

import os
import pathlib
import re
import resource
import subprocess
import sys
import time

from farm import Client, Node, Screen, conduct, say, wait_for
from first_desktop import wait_connected
from two_desktops import PASSWORD, Bystander, Hostile, check, two_users, user_with_desktop

PARENT_MIB = 700
DESKTOP_MIB = 2048
PIDS = 200
SECONDS = 12


class Watched(Bystander):
    """Beside what it can do: that none of its processes is lost."""

    def settle(self):
        time.sleep(5)
        self.processes = self.alive()

    def alive(self):
        pid = self.node.desktop(self.name)["pid"]
        namespace = os.readlink(f"/proc/{pid}/ns/pid")
        found = {}
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(path / "ns" / "pid") == namespace:
                    found[int(path.name)] = (path / "comm").read_text().strip()
            except OSError:
                continue
        return found

    def check(self, what):
        self.works()
        lost = {p: n for p, n in self.processes.items() if p not in self.alive()}
        check(not lost, f"{what}: the bystander lost {lost}")
        row = self.node.desktop(self.name)
        check(row["state"] == "running" and row.get("oom_kills", 0) == 0, f"{what}: {row}")


def last_resort(node):
    return node.json("top", "--once")["optimiser"]["last_resort"]


def slowest(bystander, job, what):
    """Types until the job has ended; how long the slowest line took to arrive."""
    worst = 0.0
    while True:
        ended = job.with_suffix(".rc").exists()
        begin = time.monotonic()
        bystander.check(what)
        worst = max(worst, time.monotonic() - begin)
        if ended:
            say(f"  {what}: the slowest line of the bystander took {worst:.2f} s")
            return worst


def bomb(node, hog, bystander):
    say("a fork bomb")
    job = hog.begin(f"~/attack bomb {SECONDS}")
    slowest(bystander, job, "fork bomb")
    values = hog.values(job.with_suffix(".out").read_text())
    say(f"  {values}")
    check(values["refused"] > 0, f"it was never refused: {values}")
    check(node.desktop("evil")["state"] == "running", "the desktop did not go on")


def dirty(node, hog, bystander):
    say("a storm of dirty pages")
    job = hog.begin(f"~/attack dirty ~/large {PARENT_MIB} {SECONDS}")
    slowest(bystander, job, "dirty pages")
    say(f"  {hog.values(job.with_suffix('.out').read_text())}")
    check(node.desktop("evil")["state"] == "running", "the desktop did not go on")


def counts(node, hog, bystander):
    for word in ("inotify", "ptys"):
        say(f"all {word}")
        out = hog.held(f"~/attack {word}", lambda word=word: bystander.check(word))
        say(f"  {out}")
        check(out["errno"] != 0, f"{word}: never refused")
        check(node.desktop("evil")["state"] == "running", "the desktop did not go on")


def once(node, hog, bystander):
    say(f"{2 * PARENT_MIB} MiB where all desktops together have {PARENT_MIB}")
    job = hog.begin(f"~/attack eat {2 * PARENT_MIB}")
    slowest(bystander, job, "memory")
    values = hog.values(job.with_suffix(".out").read_text())
    check(values["signal"] == 9, f"eating ended with {values}")
    report = last_resort(node)
    row = node.desktop("evil")
    say(f"  {report['killed_processes']} killed by the node, {row['oom_kills']} by the kernel")
    check(report["killed_processes"] + row["oom_kills"] >= 1, f"{report}")
    # Without it, where the kernel killed would be checked on nothing.
    check(len(kernel_victims()) >= row["oom_kills"], "the kernel's log does not tell of its kills")
    check(report["killed_desktops"] == 0 and row["state"] == "running", f"{row}")
    wait_for("memory to be enough again", lambda: last_resort(node)["danger"] == "none", 30)


def together(node, hog, bystander, other):
    """Each may have what is left, so both together run into the limit of all: the kernel may have to
    choose there, and must take one of theirs."""
    say("two desktops at once take all they can get")
    before = len(kernel_victims())
    jobs = [one.begin(f"~/attack eat {2 * PARENT_MIB}") for one in (hog, other)]
    for number, job in enumerate(jobs):
        slowest(bystander, job, f"hog {number + 1} of two")
    for one, job in zip((hog, other), jobs):
        values = one.values(job.with_suffix(".out").read_text())
        check(values["signal"] == 9, f"eating ended with {values}")
    for name in ("evil", "accomplice"):
        row = node.desktop(name)
        check(row["state"] == "running", f"{row}")
    say(f"  the kernel killed at {kernel_victims()[before:]}")
    wait_for("memory to be enough again", lambda: last_resort(node)["danger"] == "none", 30)


def again(node, hog, bystander):
    say("the same again and again: its desktop is ended, with the reason")
    hog.begin(f"while :; do ~/attack eat {2 * PARENT_MIB}; done")
    deadline = time.monotonic() + 120
    while node.desktop("evil")["state"] == "running":
        check(time.monotonic() < deadline, f"it goes on and on: {last_resort(node)}")
        bystander.check("memory again and again")
    wait_for("its state", lambda: node.desktop("evil")["state"] == "failed", 30)
    row = node.desktop("evil")
    say(f"  {row['reason']}")
    check("killed to save its neighbours" in row["reason"], row["reason"])
    check("MiB" in row["reason"] and "equal share" in row["reason"], row["reason"])
    bystander.check("after it")
    check("killed for it" in node.panal("top", "--once").stdout, "top does not say it")
    say("  and starts again when it is asked to")
    wait_for("memory to be enough again", lambda: last_resort(node)["danger"] == "none", 30)
    for old in hog.box.glob("*"):
        old.unlink()
    node.panal("desktop", "start", "evil")
    check(node.desktop("evil")["state"] == "running", f"{node.desktop('evil')}")


def accomplice(node):
    user_with_desktop(node, "oscar", "accomplice")
    one = Hostile(node, "oscar")
    one.plant()
    return one


def kernel_victims():
    """Of this run's desktops, as (whose limit was hit, whose process was killed)."""
    parent = "/" + os.environ["PANAL_LAB_CGROUP"] + "/"
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    return [(m[1], m[2]) for m in re.finditer(r"oom_memcg=([^,]*),task_memcg=([^,]*),", log)
            if m[1].startswith(parent)]


def scene(node, screen):
    pictures = pathlib.Path(os.environ.get("PANAL_PICTURES", node.directory))
    hog = two_users(node)
    before = len(kernel_victims())
    other = accomplice(node)
    node.panal("desktop", "start", "evil", "zdesk", "accomplice")
    bystander = Watched(node, screen, "zbystander", "zdesk")
    bystander.connect(pictures / "bystander.png")
    second = Screen(number=92)
    clients = []
    try:
        for login, name, one in (("mallory", "evil", hog), ("oscar", "accomplice", other)):
            clients.append(Client(node, second, login, PASSWORD, name, "--geometry", "640x480"))
            wait_connected(node, name, clients[-1], 120)
            one.run("true")
        bystander.settle()
        for attack in (bomb, counts, dirty, once, again):
            attack(node, hog, bystander)
        # At the limit of all the kernel takes the largest of anybody's.
        elsewhere = [v for v in kernel_victims()[before:] if v[0] != v[1]]
        check(not elsewhere, f"fences did not hold: the kernel killed at {elsewhere}")
        client = Client(node, second, "mallory", PASSWORD, "evil", "--geometry", "640x480")
        clients.append(client)
        wait_connected(node, "evil", client, 120)
        together(node, hog, bystander, other)
    finally:
        for client in clients:
            client.close()
        second.close()
    node.panal("desktop", "stop", "evil", "zdesk", "accomplice")
    bystander.client.process.wait(timeout=60)


def main():
    # An nxproxy that is refused dies by a signal.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    node = Node()
    text = node.config.read_text().replace(
        "[broker]", f'memory_limit = "{PARENT_MIB} MiB"\n[broker]')
    node.config.write_text(
        text + f'[desktop]\nmemory = "{DESKTOP_MIB} MiB"\npids = {PIDS}\n')
    screen = Screen()
    return conduct("hogs", node, lambda: scene(node, screen), after_down=[screen.close])


if __name__ == "__main__":
    sys.exit(main())

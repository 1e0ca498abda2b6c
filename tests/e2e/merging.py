"""Whose memory is merged: tenants that agreed, one merge domain at a time, and not programs that lose.

One node under `balanced`, looked at from outside: what the kernel says of each process (ksm_stat).
Needs scripts/lab --machine-settings: panald moves KSM's settings.
"""

import os
import pathlib
import sys

from farm import Node, conduct, say, wait_for
from two_desktops import PASSWORD, check

# As if learnt: what the agent starts, and what starts others.
LEARNT = """panal-ksm-programs 1
icewm/icewm-session -900000 9 0 1 0 50
icewm/nxagent -900000 9 0 1 0 50
"""
PEOPLE = (("alice", "a"), ("ann", "b"), ("gus", "g"))


def merging(node, name):
    """Of each program of the desktop: the answers of its processes, "yes" or "no"."""
    init = node.desktop(name)["pid"]
    namespace = os.readlink(f"/proc/{init}/ns/pid")
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(path / "ns" / "pid") != namespace:
                continue
            program = os.path.basename(os.readlink(path / "exe"))
            for line in (path / "ksm_stat").read_text().splitlines():
                if line.startswith("ksm_merge_any:"):
                    found.setdefault(program, set()).add(line.split()[1])
        except OSError:
            continue
    return found


def enlisted(node, name):
    return "yes" in merging(node, name)["panal-agent"]


def ksm(node):
    return node.json("top", "--once")["optimiser"]["ksm"]


def start(node, name):
    node.panal("desktop", "start", name)
    return enlisted(node, name)


def share(node, answer):
    node.panal("tenant", "set", "default", "--share-memory", answer)


def life(node):
    say("panal up; three users, one of another trust level")
    node.state.mkdir(mode=0o755)
    (node.state / "ksm.programs").write_text(LEARNT)
    node.panal("up")
    node.panal("image", "build", "icewm")
    for login, name in PEOPLE:
        node.panal("user", "add", login, "--password-file", "/dev/stdin", stdin=PASSWORD + "\n")
        node.panal("desktop", "create", name, "--user", login, "--image", "icewm")
    node.panal("user", "set", "gus", "--trust", "guests")

    say("nobody has agreed: nobody is merged")
    check(not start(node, "a"), f"{merging(node, 'a')}")
    check(ksm(node)["not_merged"] == {"no_consent": 1}, f"{ksm(node)}")

    say("agreed: who starts now is, who runs is not")
    share(node, "yes")
    check(start(node, "b"), f"{merging(node, 'b')}")
    check(not enlisted(node, "a"), "a desktop that ran has changed")

    say("but for the programs that lose; what they start is")
    wanted = {"nxagent": {"no"}, "icewm-session": {"no"}, "icewm": {"yes"}, "panal-agent": {"yes"}}
    # A program is what its parent was until it has loaded the guard.
    seen = wait_for("the session's programs to be merged or not as learnt", lambda: (
        lambda now: now if wanted.items() <= now.items() else None)(merging(node, "b")), 60)
    say(f"  {seen}")
    check(set(ksm(node)["programs"]["left_out"]) == {"icewm/icewm-session", "icewm/nxagent"},
          f"{ksm(node)}")

    say("another trust level is another domain: not at the same time")
    check(not start(node, "g"), f"{merging(node, 'g')}")
    check(ksm(node)["domain"] == "default/standard", f"{ksm(node)}")
    check(ksm(node)["not_merged"]["other_domain"] == 1, f"{ksm(node)}")

    say("taken back: for the next start")
    share(node, "no")
    node.panal("desktop", "stop", "a")
    check(not start(node, "a"), f"{merging(node, 'a')}")
    check(enlisted(node, "b"), "a desktop that ran has changed")
    check(ksm(node)["draining"], f"{ksm(node)}")

    say("a new panald knows whose place it is")
    node.panal("down", "--keep-desktops")
    node.panal("up", "--wait")
    wait_for("the domain", lambda: ksm(node).get("domain") == "default/standard", 30)
    check(enlisted(node, "b"), "the restart changed it")

    say("when the last is gone another domain has its turn")
    share(node, "yes")
    for name in ("a", "b", "g"):
        node.panal("desktop", "stop", name)
    check(start(node, "g"), f"{ksm(node)}")
    wait_for("the other domain", lambda: ksm(node)["domain"] == "default/guests", 10)
    check("panal_ksm_domain_changes_total 1" in node.panal("metrics").stdout,
          node.panal("metrics").stdout)


def main():
    if "ksm_merge_any" not in pathlib.Path("/proc/self/ksm_stat").read_text():
        print("e2e merging: passed: skipped, this kernel does not say whose memory is merged")
        return 0
    node = Node()
    return conduct("merging", node, lambda: life(node))


if __name__ == "__main__":
    sys.exit(main())

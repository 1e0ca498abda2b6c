"""The red team (bench/redteam/attacks) from inside a real desktop: nothing that its root sends comes in
at another.

One node, three desktops: mallory's, and two of one group, which may reach each other. Root inside is
had with nsenter: it has the rights of the desktop's id range over its network, and a raw socket. What
reaches the host or leaves by an uplink is looked for by tests/system/netconfine/redteam.
"""

import re
import subprocess
import sys

from farm import BIN, Node, conduct, say, wait_for
from two_desktops import PASSWORD, check

POLICIES = """
default = "room"
[policy.room]
group = "room"
"""
# At most: both are done when the honest ones have come.
SECONDS = 120


class Inside:
    """network-attack, as root of a desktop."""

    def __init__(self, node, name, *words):
        pid = node.desktop(name)["pid"]
        self.process = subprocess.Popen(
            ["nsenter", "--target", str(pid), "--user", "--net", str(BIN / "network-attack"),
             *map(str, words)], stdout=subprocess.PIPE, text=True)

    def listening(self):
        check(self.process.stdout.readline() == "listening 1\n", "network-attack does not listen")
        return self

    def end(self):
        out, _ = self.process.communicate(timeout=120)
        check(self.process.returncode == 0, f"network-attack: exit {self.process.returncode}: {out}")
        return out


def number(out, name):
    return int(re.search(rf"^{name} (\d+)$", out, re.M)[1])


def attacks(node):
    (node.directory / "network.toml").write_text(POLICIES)
    say("panal up; three desktops")
    node.panal("up")
    node.panal("image", "build", "icewm")
    ids = {}
    for login, name in (("mallory", "evil"), ("alice", "one"), ("bob", "two")):
        node.panal("user", "add", login, "--password-file", "/dev/stdin", stdin=PASSWORD + "\n")
        node.panal("desktop", "create", name, "--user", login, "--image", "icewm")
        if name == "evil":
            node.panal("net", "assign", "none", "--desktop", name)
        node.panal("desktop", "start", name)
        wait_for(f"{name} to run", lambda: node.desktop(name)["state"] == "running", 60)
        ids[name] = node.desktop(name)["id"]

    say("its root sends everything; the others hear each other and nothing else")
    ears = {name: Inside(node, name, "hear", SECONDS).listening() for name in ("one", "two")}
    sent = number(Inside(node, "evil", "send", ids["evil"], ids["one"], ids["two"]).end(), "sent")
    say(f"  {sent} attacks sent")
    check(sent > 500, f"only {sent} attacks could be sent")
    Inside(node, "two", "say", ids["two"], ids["one"]).end()
    Inside(node, "one", "say", ids["one"], ids["two"]).end()
    for name, ear in ears.items():
        out = ear.end()
        check(number(out, "heard") == 0, f"desktop {name} hears:\n{out}")
        check(number(out, "honest") == 2, f"desktop {name} is deaf: {out}")


def main():
    node = Node()
    return conduct("red_team", node, lambda: attacks(node))


if __name__ == "__main__":
    sys.exit(main())

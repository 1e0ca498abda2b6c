"""What desktops may reach, as an operator sees it: policies given and taken live and proved by
packets, rates, rules that somebody flushes, a panald that is killed.

Two desktops of one tenant on a node without a way out; `panal net test` sends the packets.
"""

import os
import re
import signal
import subprocess
import sys
import time

from farm import Node, conduct, say, wait_for
from two_desktops import PASSWORD, check, daemons

POLICIES = """
[service.printer]
to = ["10.9.9.9"]
ports = ["631/tcp"]
[policy.room]
group = "room"
rate = { send = "20 Mbit", receive = "20 Mbit" }
log = "denied"
[policy.office]
reach = ["printer"]
"""


def tested(node, to):
    """Of one to another desktop or address: what the rules say; the packet must have done the same."""
    said = node.json("net", "test", "one", to)
    check(said["proved"], f"{to} is said to be {said['rule']}, and the packet did not do so: {said}")
    return said["allowed"]


def inside_network(node, command):
    return subprocess.run(["nsenter", f"--net={node.run_dir}/ns/net", "sh", "-c", command],
                          capture_output=True, text=True, check=True).stdout


def network(node):
    (node.directory / "network.toml").write_text(POLICIES)
    say("panal up; two desktops without a policy: nothing is allowed")
    node.panal("up")
    node.panal("image", "build", "icewm")
    for login, name in (("alice", "one"), ("bob", "two")):
        node.panal("user", "add", login, "--password-file", "/dev/stdin", stdin=PASSWORD + "\n")
        node.panal("desktop", "create", name, "--user", login, "--image", "icewm")
        node.panal("desktop", "start", name)
        wait_for(f"{name} to run", lambda: node.desktop(name)["state"] == "running", 60)
    check(not tested(node, "two:22/tcp"), "a desktop without a policy reaches another")

    say("a group, to both: they reach each other, and are held to their rate")
    node.panal("net", "assign", "room", "--desktop", "one", "--desktop", "two")
    wait_for("the group", lambda: node.json("net", "explain", "one", "two:22/tcp")["allowed"], 20)
    check(tested(node, "two:22/tcp"), "two of one group do not reach each other")
    check(not tested(node, "10.9.9.9:631/tcp"), "a service of another policy is reached")
    classes = inside_network(node, "tc class show dev panal-send")
    check("ceil 20Mbit" in classes, f"no rate is in force: {classes}")

    say("all rules are flushed by hand: nobody gets out, and within 5 s they are back")
    began = time.monotonic()
    inside_network(node, "nft flush ruleset")
    wait_for("the rules", lambda: "policy_of" in inside_network(node, "nft list ruleset"), 5)
    say(f"  after {time.monotonic() - began:.1f} s")
    check(tested(node, "two:22/tcp"), "the rules are not back")
    text = node.panal("metrics").stdout
    check('panal_net_audits_total{outcome="repaired"' in text, "the repair is not counted")

    say("another policy, live: what the group allowed has ended; a denied packet is written down")
    node.panal("net", "assign", "office", "--desktop", "two")
    wait_for("the policy",
             lambda: not node.json("net", "explain", "one", "two:22/tcp")["allowed"], 20)
    check(not tested(node, "two:22/tcp"), "the group still holds")
    log = node.state / "log" / "panald.log"
    wait_for("the denied packet in panald's log", lambda: re.search(
        r"event=network_packet verdict=denied policy=room desktop=d1 .*to_port=22 ",
        log.read_text(errors="replace")), 20)

    say("panald is killed: the rules stay, and the next one knows them")
    before = inside_network(node, "nft list map inet panal policy_of")
    os.kill(daemons(node)["panald.pid"], signal.SIGKILL)
    check(inside_network(node, "nft list map inet panal policy_of") == before,
          "rules went with panald")
    wait_for("the next panald", lambda: node.panal("status", check=False).returncode == 0, 60)
    check(not tested(node, "two:22/tcp"), "the new panald allows more")
    node.panal("net", "assign", "room", "--desktop", "two")
    wait_for("the group", lambda: node.json("net", "explain", "one", "two:22/tcp")["allowed"], 20)
    check(tested(node, "two:22/tcp"), "the new panald's rules do not hold")

    say("a mistake in the file: told by line, and nothing changes")
    (node.directory / "network.toml").write_text(POLICIES.replace("group =", "gr0up ="))
    refused = node.panal("net", "apply", check=False)
    check(refused.returncode != 0 and "network.toml:6: unknown key gr0up" in refused.stderr,
          f"exit {refused.returncode}: {refused.stderr}")
    check(tested(node, "two:22/tcp"), "a file with a mistake was put in force")
    node.panal("down")


def main():
    node = Node()
    return conduct("network", node, lambda: network(node))


if __name__ == "__main__":
    sys.exit(main())

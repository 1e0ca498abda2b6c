"""Workers of a broker that was killed serve their clients on, and end with `panal down`.

No desktop and no image: a client that has logged in and keeps its connection is enough.
"""

import os
import signal
import sys
import time

from bad_input import Wire, basic, check
from farm import Node, conduct, say, wait_for

LOGIN, PASSWORD = "alice", "correct horse 7"
REQUEST = f"GET /qvd/list_of_vm HTTP/1.1\r\nHost: x\r\n{basic(LOGIN, PASSWORD)}\r\n"


def broker(node):
    return int((node.run_dir / "supervisor/broker.pid").read_text().split()[0])


def served(wire):
    wire.send(REQUEST)
    answer = wire.read_until(b"[]")
    check(answer.startswith("HTTP/1.1 200 "), f"{answer!r}")


def life(node, wires):
    node.panal("up")
    node.panal("user", "add", LOGIN, "--password-file", "/dev/stdin", stdin=PASSWORD + "\n")
    for generation in range(2):
        say(f"a client of broker {generation + 1}, which is killed")
        wires.append(Wire(node))
        served(wires[-1])
        old = broker(node)
        os.kill(old, signal.SIGKILL)
        wait_for("another broker", lambda: broker(node) != old and served(Wire(node)) is None, 60)
    time.sleep(2)
    say("both are served on")
    for wire in wires:
        served(wire)


def main():
    node = Node()
    wires = []  # open until the node is down

    def cut_off():
        for wire in wires:
            check(wire.read_until() == "", "a client was not cut off by panal down")

    return conduct("orphans", node, lambda: life(node, wires), after_down=[cut_off])


if __name__ == "__main__":
    sys.exit(main())
